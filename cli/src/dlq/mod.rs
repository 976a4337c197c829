//! `kubectl logistics dlq`: the records that a service parked instead of applying.

mod desk;
mod render;

use std::io::Write as _;

use logistics_schemas::dead_letters::{DeadLetter, Page, Settled};
use serde::Serialize;

pub use self::desk::DeskError;
use self::desk::{Desk, Verb};
use crate::connect::Flags;

/// Exit code when a record is parked still.
pub const PARKED_STILL: u8 = 3;

const AFTER: &str = "\
A service that cannot read or apply an event parks it, copies it to the topic's .dlq and goes on with other shipments; the
later events of the same shipment wait behind it. Mend the cause, then redrive. Requests go to a ready pod through the
API server, so that you need the right to create pods/portforward; what is done is noted in the service's audit log.

Exit codes:
  0  done
  1  it could not be done (the message says what)
  2  wrong usage
  3  redrive: a record is parked still

Examples:
  kubectl logistics dlq list acme tracking -n logistics
  kubectl logistics dlq show acme tracking shipment.status_changed/3/1041
  kubectl logistics dlq redrive acme tracking --all
  kubectl logistics dlq purge acme tracking shipment.status_changed/3/1041 --yes";

/// What to do with parked records.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Lists the records that could not be applied.
    #[command(after_help = "Example: kubectl logistics dlq list acme tracking")]
    List {
        /// Those too that only wait for an event before them.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        service: Service,
    },
    /// Shows a record with its headers, key and value.
    #[command(after_help = "Example: kubectl logistics dlq show acme tracking shipment.created/0/17")]
    Show {
        #[command(flatten)]
        service: Service,
        /// The record: topic/partition/offset, as list shows it.
        id: String,
    },
    /// Applies records, and what waited for them, after the cause was mended.
    #[command(after_help = "Example: kubectl logistics dlq redrive acme tracking --all")]
    Redrive {
        #[command(flatten)]
        service: Service,
        /// The records: topic/partition/offset.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that could not be applied.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Gives records up for good: their shipments go on without those events.
    #[command(after_help = "Example: kubectl logistics dlq purge acme tracking shipment.created/0/17 --yes")]
    Purge {
        #[command(flatten)]
        service: Service,
        /// The records: topic/partition/offset.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Says that their loss is meant.
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// A service of a platform.
#[derive(clap::Args, Debug)]
struct Service {
    /// The platform.
    platform: String,
    /// The service that parked them.
    #[arg(value_enum)]
    workload: Projecting,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    cluster: Flags,
}

/// A service that applies events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Projecting {
    Tracking,
    Analytics,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Lines.
    Text,
    /// A JSON document.
    Json,
}

/// Does it and gives the exit code.
///
/// # Errors
/// When the service cannot be reached or refuses.
pub async fn run(arguments: &Arguments) -> Result<u8, DeskError> {
    match &arguments.command {
        Command::List { all, service } => list(service, *all).await,
        Command::Show { service, id } => {
            let content = service.desk().await?.show(id).await?;
            service.print(&content, &render::content(&content));
            Ok(0)
        }
        Command::Redrive { service, ids, all } => {
            let mut desk = service.desk().await?;
            let ids = if *all {
                parked(&mut desk).await?
            } else {
                ids.clone()
            };
            change(service, &mut desk, Verb::Redrive, &ids).await
        }
        Command::Purge { service, ids, .. } => {
            let mut desk = service.desk().await?;
            change(service, &mut desk, Verb::Purge, ids).await
        }
    }
}

async fn list(service: &Service, all: bool) -> Result<u8, DeskError> {
    let items = read_all(&mut service.desk().await?, all).await?;
    let text = render::list(&items);
    service.print(&Page { items, next: None }, &text);
    Ok(0)
}

async fn read_all(desk: &mut Desk, all: bool) -> Result<Vec<DeadLetter>, DeskError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = desk.list(all, after.as_deref()).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(items),
        }
    }
}

async fn parked(desk: &mut Desk) -> Result<Vec<String>, DeskError> {
    let letters = read_all(desk, false).await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

/// One after the other; each answer is shown as it comes.
async fn change(service: &Service, desk: &mut Desk, verb: Verb, ids: &[String]) -> Result<u8, DeskError> {
    let mut all: Vec<Settled> = Vec::with_capacity(ids.len());
    for id in ids {
        let settled = desk.change(verb, id).await?;
        if service.output == Output::Text {
            print!("{}", render::settled(&settled));
            // Progress: a redrive of many takes a while.
            let _ = std::io::stdout().flush();
        }
        all.push(settled);
    }
    if service.output == Output::Json {
        service.print(&all, "");
    } else if ids.is_empty() {
        println!("nothing is parked");
    }
    let still = verb == Verb::Redrive && all.iter().any(|settled| settled.problem.is_some());
    Ok(if still { PARKED_STILL } else { 0 })
}

impl Service {
    async fn desk(&self) -> Result<Desk, DeskError> {
        let workload = match self.workload {
            Projecting::Tracking => logistics_schemas::Workload::Tracking,
            Projecting::Analytics => logistics_schemas::Workload::Analytics,
        };
        Desk::open(&self.cluster.connect().await?, &self.platform, workload).await
    }

    fn print(&self, value: &impl Serialize, text: &str) {
        match self.output {
            Output::Text => print!("{text}"),
            Output::Json => println!("{}", serde_json::to_string_pretty(value).unwrap_or_default()),
        }
    }
}
