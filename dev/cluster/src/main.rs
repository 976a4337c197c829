//! `dev`: the development cluster from the command line. The Makefile's targets call it.
//!
//! Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage, 3 the answer is no (`status`: not
//! all of it runs; `verify-clean`: something is left). `demo` passes on the demo's own.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use dev_cluster::images::{self, Builder};
use dev_cluster::{
    Checkout, Cluster, Target, down, leftovers, load_recorded, prerequisites, recorded_images, restart,
    status, up,
};
use dev_tools::{Cache, Tool, install};

/// The answer is no.
const NO: u8 = 3;

#[derive(Parser)]
#[command(name = "dev", about = "The development cluster of this checkout", version)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the answer is no (status, verify-clean)."
)]
struct Cli {
    #[command(subcommand)]
    command: Do,
}

#[derive(Subcommand)]
enum Do {
    /// Check what the machine must have; on Debian as root, install what is missing.
    #[command(after_help = "Example: dev prerequisites")]
    Prerequisites,
    /// Build the pinned tools that are missing in the cache.
    #[command(after_help = "Example: dev tools cluster judges")]
    Tools {
        /// Single tools, or the sets cluster, judges and bench; the cluster's when none is named.
        names: Vec<String>,
    },
    /// Print where an installed tool is.
    #[command(after_help = "Example: dev path kubectl")]
    Path {
        /// A program: kubectl, helm, cargo-deny, kubeconform or kube-score.
        program: String,
    },
    /// Build the images of the operator and the workloads; prints repository and tags.
    #[command(after_help = "Example: dev images --push registry.example.com/logistics")]
    Images {
        /// A repository to push to; without it, images stay on this machine.
        #[arg(long, value_name = "REPOSITORY")]
        push: Option<String>,
        /// A folder with the two programs, already compiled; without it, they are compiled for release.
        #[arg(long, value_name = "FOLDER")]
        compiled: Option<PathBuf>,
        #[command(flatten)]
        container: Container,
    },
    /// Start the cluster with its backing services, and load the images that were built.
    #[command(after_help = "Example: dev up")]
    Up {
        #[command(flatten)]
        container: Container,
    },
    /// Install the operator by its chart, from the last built images.
    #[command(after_help = "Example: dev install")]
    Install {
        #[command(flatten)]
        own: Own,
    },
    /// Send real shipments through a platform, with the last built images; what follows `--` goes to the demo.
    #[command(after_help = "Example: dev demo -- --legs 5000")]
    Demo {
        #[command(flatten)]
        own: Own,
        /// For the demo: see `cargo run -p dev-demo -- run --help`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Bring PostgreSQL, Kafka, Redis and the schema registry for the demo to your own cluster.
    #[command(
        after_help = "Example: dev backing --kubeconfig ~/.kube/config --registry registry.example.com/logistics"
    )]
    Backing {
        /// The kubeconfig of your cluster.
        #[arg(long, value_name = "FILE")]
        kubeconfig: PathBuf,
        /// The repository that your cluster pulls images from.
        #[arg(long, value_name = "REPOSITORY")]
        registry: String,
        #[command(flatten)]
        container: Container,
    },
    /// Delete the images that were built and their records (built tools stay).
    #[command(after_help = "Example: dev down && dev forget")]
    Forget,
    /// Import the last built images into the running cluster.
    #[command(after_help = "Example: dev images && dev load")]
    Load,
    /// Stop the cluster and leave nothing behind; fails when something is left.
    #[command(after_help = "Example: dev down")]
    Down,
    /// List what the cluster has on this machine: processes, mounts, interfaces, control groups, rules, files.
    #[command(after_help = "Example: dev down && dev verify-clean")]
    VerifyClean,
    /// Print the path of the cluster's kubeconfig.
    #[command(after_help = "Example: kubectl --kubeconfig \"$(dev kubeconfig)\" get pods -A")]
    Kubeconfig,
    /// Print what tests and demos need to know: addresses, files, tools (JSON).
    #[command(after_help = "Example: dev facts | jq -r .nodeIp")]
    Facts,
    /// Kill one of the cluster's own processes and start it again.
    #[command(after_help = "Example: dev restart kube-apiserver")]
    Restart {
        /// As `dev status` names it.
        process: String,
    },
    /// Show processes, nodes and pods.
    #[command(after_help = "Example: dev status")]
    Status,
}

#[derive(Args)]
struct Container {
    /// The program that builds images: buildah or docker.
    #[arg(
        long = "container",
        env = "CONTAINER",
        default_value = "buildah",
        value_name = "PROGRAM"
    )]
    program: String,
}

#[derive(Args)]
struct Own {
    /// The kubeconfig of your own cluster; without it, the cluster of this checkout.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Do) -> Result<ExitCode> {
    let yes_or_no = |yes| {
        if yes {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NO)
        }
    };
    match command {
        Do::Prerequisites => prerequisites::ensure()?,
        Do::Tools { names } => build_tools(&names)?,
        Do::Path { program } => print_path(&program)?,
        Do::Images {
            push,
            compiled,
            container,
        } => {
            build_images(push.as_deref(), compiled.as_deref(), &container.program)?;
        }
        Do::Up { container } => up(
            &Cluster::locate()?,
            &Builder::new(&Cache::locate()?, &container.program)?,
        )?,
        Do::Install { own } => Target::locate(own.kubeconfig.as_deref())?.install()?,
        Do::Demo { own, args } => {
            let status = Target::locate(own.kubeconfig.as_deref())?.demo(&args)?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        Do::Backing {
            kubeconfig,
            registry,
            container,
        } => {
            let builder = Builder::new(&Cache::locate()?, &container.program)?;
            Target::locate(Some(&kubeconfig))?.back(&builder, &registry)?;
        }
        Do::Forget => Builder::forget(&Cache::locate()?)?,
        Do::Load => load_recorded(&Cluster::locate()?, &Cache::locate()?)?,
        Do::Down => down(&Cluster::locate()?)?,
        Do::VerifyClean => {
            let left = leftovers::find(&Cluster::locate()?)?;
            say(&left.join("\n"))?;
            return Ok(yes_or_no(left.is_empty()));
        }
        Do::Kubeconfig => say(&running()?.kubeconfig().display().to_string())?,
        Do::Facts => say(&std::fs::read_to_string(running()?.facts())?)?,
        Do::Restart { process } => restart(&running()?, &process)?,
        Do::Status => {
            let (text, all) = status(&Cluster::locate()?)?;
            say(&text)?;
            return Ok(yes_or_no(all));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an answer, with a line end, to the output; a reader that has seen enough is no failure.
fn say(text: &str) -> Result<()> {
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The cluster, if it was brought up.
fn running() -> Result<Cluster> {
    let cluster = Cluster::locate()?;
    if !cluster.facts().exists() {
        bail!(
            "cluster {} does not run; start it with `make cluster`",
            cluster.name()
        );
    }
    Ok(cluster)
}

fn build_tools(names: &[String]) -> Result<()> {
    let mut tools = Vec::new();
    for name in names {
        match name.as_str() {
            "cluster" => tools.extend(Tool::CLUSTER),
            "judges" => tools.extend(Tool::JUDGES),
            "bench" => tools.extend(Tool::BENCH),
            "bench-workloads" => tools.extend(Tool::BENCH_WORKLOADS),
            single => {
                let Some(tool) = Tool::ALL.into_iter().find(|tool| tool.name() == single) else {
                    let known = Tool::ALL.map(Tool::name).join(", ");
                    bail!(
                        "unknown tool `{single}`; known are the sets cluster, judges, bench and bench-workloads, \
                         and: {known}"
                    );
                };
                tools.push(tool);
            }
        }
    }
    install(if tools.is_empty() { &Tool::CLUSTER } else { &tools })?;
    eprintln!("✓ tools");
    Ok(())
}

fn print_path(program: &str) -> Result<()> {
    let path = match program {
        "kubectl" => install(&[Tool::Kubernetes])?.kubectl(),
        "helm" => install(&[Tool::Helm])?.helm(),
        "cargo-deny" => install(&[Tool::CargoDeny])?.cargo_deny(),
        "kubeconform" => install(&[Tool::Kubeconform])?.kubeconform(),
        "kube-score" => install(&[Tool::KubeScore])?.kube_score(),
        other => {
            bail!("unknown program `{other}`; known are: kubectl, helm, cargo-deny, kubeconform, kube-score")
        }
    };
    say(&path.display().to_string())
}

fn build_images(push: Option<&str>, compiled: Option<&Path>, program: &str) -> Result<()> {
    let (checkout, cache) = (Checkout::locate()?, Cache::locate()?);
    let images = images::product(&Builder::new(&cache, program)?, &checkout, compiled, push)?;
    images.write(&recorded_images(&Cluster::of(&checkout, &cache)?, &cache))?;
    say(&format!(
        "repository={}\nworkloads={}\noperator={}",
        images.repository, images.workloads, images.operator
    ))
}
