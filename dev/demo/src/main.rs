//! `dev-demo`: see `dev-demo run --help`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dev_demo::platform::{NotReady, Release};
use dev_demo::report::{CountsDiffer, Report};
use dev_demo::run::{Options, run};
use dev_demo::text::Style;

const NOT_READY: u8 = 3;
const COUNTS_DIFFER: u8 = 4;

/// Sends real flight legs through a platform and reports what came of them.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Apply the sample platform, send the legs, wait until all is seen, print the report.
    ///
    /// A leg is a shipment; its actual times are its tracking events. Progress goes to standard error, the report to
    /// standard output. Each run works in an account of its own, so it can be repeated on the same platform.
    #[command(after_help = AFTER)]
    Run(Box<Run>),
}

const AFTER: &str = "\
Exit codes:
  0  all counts are equal
  1  something could not be done (the message says what)
  2  wrong usage
  3  the platform was not Ready in time
  4  counts in and counts out differ (the message says which)

Example:
  dev-demo run --kubeconfig \"$(make -s kubeconfig)\" --legs 5000 -o json > report.json";

#[derive(Args)]
struct Run {
    /// The cluster to run on.
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
    /// How many legs, the first by scheduled departure.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=336_776))]
    legs: u32,
    /// How many calls are under way at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// How many port-forwards to each service.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Namespace of the platform.
    #[arg(long, default_value = "logistics")]
    namespace: String,
    /// Name of the platform.
    #[arg(long, default_value = "acme")]
    platform: String,
    /// The custom resource to apply.
    #[arg(long, default_value = "charts/samples/acme.yaml")]
    sample: PathBuf,
    /// Replaces `spec.version` of the sample.
    #[arg(long)]
    image_version: Option<String>,
    /// Replaces `spec.image.repository` of the sample.
    #[arg(long)]
    image_repository: Option<String>,
    /// Private key of the token issuer [default: issuer/issuer.key beside the kubeconfig].
    #[arg(long)]
    issuer_key: Option<PathBuf>,
    /// Folder with the flights' files [default: the pinned package, fetched if needed].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where the client's own spans go, for example `http://127.0.0.1:4317`.
    #[arg(long)]
    otlp_endpoint: Option<String>,
    /// Seconds that the platform may take to be Ready.
    #[arg(long, default_value_t = 300)]
    ready_timeout: u64,
    /// Seconds that tracking and analytics may take to see all.
    #[arg(long, default_value_t = 180)]
    settle_timeout: u64,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Verb::Run(arguments) = Cli::parse().command;
    let output = arguments.output;
    let options = options(*arguments);
    match run(&options)
        .await
        .and_then(|report| print(&report, output, &options))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn options(arguments: Run) -> Options {
    Options {
        kubeconfig: arguments.kubeconfig,
        data: arguments.data,
        legs: arguments.legs as usize,
        concurrency: arguments.concurrency.into(),
        connections: arguments.connections.into(),
        namespace: arguments.namespace,
        platform: arguments.platform,
        sample: arguments.sample,
        release: Release {
            version: arguments.image_version,
            repository: arguments.image_repository,
        },
        issuer_key: arguments.issuer_key,
        otlp_endpoint: arguments.otlp_endpoint,
        ready_limit: Duration::from_secs(arguments.ready_timeout),
        settle_limit: Duration::from_secs(arguments.settle_timeout),
    }
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<NotReady>() {
        NOT_READY
    } else if error.is::<CountsDiffer>() {
        COUNTS_DIFFER
    } else {
        1
    }
}

fn print(report: &Report, output: Output, options: &Options) -> anyhow::Result<()> {
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Output::Text => print!("{}", report.text(Style::of_stdout(), &next(options))),
    }
    Ok(())
}

fn next(options: &Options) -> Vec<String> {
    let Options {
        namespace,
        platform,
        kubeconfig,
        ..
    } = options;
    let level = r#"{"spec":{"observability":{"logLevel":"debug"}}}"#;
    vec![
        format!("export KUBECONFIG={}", kubeconfig.display()),
        format!("kubectl -n {namespace} get lp,deploy,svc,pods"),
        format!(
            "kubectl -n {namespace} delete deploy -l app.kubernetes.io/component=tracking   # back in under 2 s"
        ),
        format!(
            "kubectl -n {namespace} patch lp {platform} --type merge -p '{level}'   # a new revision rolls"
        ),
        format!(
            "kubectl -n {namespace} delete lp {platform}   # children go, topics and data stay; apply it again"
        ),
        "make demo   # once more: the same platform, another account".to_owned(),
        "make cluster-down".to_owned(),
    ]
}
