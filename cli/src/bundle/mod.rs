//! `kubectl logistics support-bundle`: what a maintainer needs to understand a platform, without its secrets.

mod archive;
mod collect;
mod logs;
mod operator;

use std::path::PathBuf;

use archive::Archive;
pub use archive::{ArchiveError, Manifest};
pub use collect::collect;
use k8s_openapi::jiff::Timestamp;

use crate::connect::{Cluster, ClusterError, Flags};

const AFTER: &str = "\
What is in it: the platform, its status as a tree, its children, pods and Events, the last lines of the workloads' and
the operator's logs, the operator's Deployment, Lease and metrics, the definition, versions. manifest.json lists every
file, and what could not be read and why.

What is not: values of Secrets (only their metadata is asked for), values in ConfigMaps, environment variables and
arguments that may be secrets, tokens, passwords and keys in logs and messages. Look through it before you hand it on.

Exit codes:
  0  the bundle is written, perhaps without parts that could not be read (they are named)
  1  there is no bundle (the message says why)
  2  wrong usage

Example:
  kubectl logistics support-bundle acme -n logistics -o acme.tar.gz";

/// What to gather.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The platform.
    name: String,
    /// The file to write. Default: logistics-NAMESPACE-NAME-TIME.tar.gz in the current folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many of the last lines of each log to take.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    log_lines: i64,
    #[command(flatten)]
    cluster: Flags,
}

/// What to gather, and of whom.
#[derive(Clone)]
pub struct Request {
    /// The cluster and the platform's namespace.
    pub cluster: Cluster,
    /// The platform.
    pub name: String,
    /// Most lines of each log.
    pub log_lines: i64,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The platform cannot be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The file cannot be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Writes the bundle, and says where.
///
/// # Errors
/// When the platform cannot be read, or the file cannot be written.
pub async fn run(arguments: &Arguments) -> Result<u8, BundleError> {
    let cluster = arguments.cluster.connect().await?;
    let now = Timestamp::now();
    let path = arguments.output.clone().unwrap_or_else(|| {
        let time = now.strftime("%Y%m%dT%H%M%SZ");
        format!("logistics-{}-{}-{time}.tar.gz", cluster.namespace, arguments.name).into()
    });
    let request = Request {
        cluster,
        name: arguments.name.clone(),
        log_lines: arguments.log_lines,
    };
    let collected = collect(&request).await?;
    let manifest = Archive::create(&path)?.write(&request, &collected, now)?;
    for missing in &manifest.unreadable {
        eprintln!("not in the bundle: {}: {}", missing.what, missing.why);
    }
    println!(
        "{}: {} files about LogisticsPlatform {}/{}; look through it before you hand it on",
        path.display(),
        manifest.files.len(),
        request.cluster.namespace,
        request.name
    );
    Ok(0)
}
