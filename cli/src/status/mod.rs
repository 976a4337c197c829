//! `kubectl logistics status`: a platform as a tree, with reasons and next steps.

mod gather;
mod platform;
mod pod;
mod render;
mod tree;
mod warnings;
mod watch;
mod workload;

pub use gather::{Snapshot, Wanted, gather};
pub use platform::{ready, tree};
pub use render::{colours, text};
use serde::Serialize;
pub use tree::{Node, State};

use crate::connect::{Cluster, ClusterError, Flags};

/// Exit code when a platform is not Ready.
pub const NOT_READY: u8 = 3;

const AFTER: &str = "\
Exit codes:
  0  all platforms that are shown are Ready
  1  something could not be read (the message says what)
  2  wrong usage
  3  a platform is not Ready

Marks:
  ✓ as it should be   … on its way   ✗ wrong   ? could not be read   → what to do

Examples:
  kubectl logistics status acme -n logistics
  kubectl logistics status -A -o json
  kubectl logistics status acme --watch";

/// What to show.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The platform. Default: all of the namespace.
    name: Option<String>,
    /// The platforms of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// Show it again after each change, until interrupted.
    #[arg(short, long)]
    watch: bool,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    cluster: Flags,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A tree.
    Text,
    /// A JSON object; with --watch, one on each line.
    Json,
    /// A YAML document.
    Yaml,
}

/// Shows platforms and gives the exit code.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn run(arguments: &Arguments) -> Result<u8, ClusterError> {
    let cluster = arguments.cluster.connect().await?;
    let wanted = Wanted {
        name: arguments.name.clone(),
        namespace: (!arguments.all_namespaces).then(|| cluster.namespace.clone()),
    };
    if arguments.watch {
        return watch(&cluster, &wanted, arguments.output).await;
    }
    let report = report(&cluster, &wanted).await?;
    print!("{}", report.show(arguments.output, colours(), false));
    if report.platforms.is_empty() {
        let place = wanted
            .namespace
            .map_or("the cluster".into(), |name| format!("the namespace {name}"));
        eprintln!("there is no LogisticsPlatform in {place}");
    }
    Ok(report.exit_code())
}

/// Shows platforms again after each change, until interrupted.
async fn watch(cluster: &Cluster, wanted: &Wanted, output: Output) -> Result<u8, ClusterError> {
    let mut changes = watch::Changes::new(cluster, wanted);
    let mut shown = String::new();
    loop {
        let report = report(cluster, wanted).await?;
        let text = report.show(output, colours(), true);
        if text != shown {
            // On a terminal the newest picture stands alone; elsewhere pictures follow each other.
            if colours() {
                print!("\x1b[H\x1b[2J\x1b[3J");
            } else if !shown.is_empty() && output == Output::Text {
                println!();
            }
            print!("{text}");
            shown = text;
        }
        tokio::select! {
            () = changes.next() => {}
            _ = tokio::signal::ctrl_c() => return Ok(report.exit_code()),
        }
    }
}

async fn report(cluster: &Cluster, wanted: &Wanted) -> Result<Report, ClusterError> {
    let snapshots = gather(cluster, wanted).await?;
    let platforms = snapshots.iter().map(|snapshot| Platform {
        ready: ready(snapshot),
        tree: tree(snapshot),
    });
    Ok(Report {
        platforms: platforms.collect(),
    })
}

/// The platforms that are shown.
#[derive(Debug, Serialize)]
pub struct Report {
    platforms: Vec<Platform>,
}

#[derive(Debug, Serialize)]
struct Platform {
    /// Whether it is Ready for its newest spec.
    ready: bool,
    #[serde(flatten)]
    tree: Node,
}

impl Report {
    fn exit_code(&self) -> u8 {
        if self.platforms.iter().all(|platform| platform.ready) {
            0
        } else {
            NOT_READY
        }
    }

    fn show(&self, output: Output, colours: bool, line: bool) -> String {
        match output {
            Output::Text => {
                let trees: Vec<_> = self
                    .platforms
                    .iter()
                    .map(|platform| text(&platform.tree, colours))
                    .collect();
                trees.join("\n")
            }
            Output::Json if line => serde_json::to_string(self).unwrap_or_default() + "\n",
            Output::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Output::Yaml => {
                let document = serde_norway::to_string(self).unwrap_or_default();
                if line {
                    format!("---\n{document}")
                } else {
                    document
                }
            }
        }
    }
}
