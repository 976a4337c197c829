//! The faults. Each is injected into a platform that works, again and again while callers go on calling.

mod consumers;
mod records;
mod redrive;
mod servers;
mod writers;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::check::Findings;
use crate::site::Site;
use crate::traffic::Traffic;
use crate::wait::until;

use records::Foreign;

/// What is done to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing.
    Nothing,
    /// The shipment service is killed.
    WriterKilled,
    /// It is killed when the database has committed and the answer is still on its way.
    WriterKilledBeforeAnswer,
    /// It is killed when the broker has the records and the relay has not heard of it.
    RelayKilledBeforeMark,
    /// A relay is cut off from the broker.
    RelayCutOff,
    /// A relay loses its shards while what it has sent is still on its way; another one takes them.
    RelaysRace,
    /// The processes of the shipment service are replaced one after the other, as in a rollout.
    RelaysReplaced,
    /// A service that applies events is killed.
    ConsumerKilled,
    /// It is killed when it has applied events and the broker does not know yet.
    ConsumerKilledBeforeOffset,
    /// It is killed in the middle of a transaction.
    ConsumerKilledBeforeCommit,
    /// It hangs so long that its partitions go to others, and then goes on.
    ConsumerHangs,
    /// It is cut off from the broker.
    ConsumerCutOff,
    /// Another process joins the group, and leaves it.
    Rebalance,
    /// The broker is killed.
    BrokerKilled,
    /// The broker hangs.
    BrokerHangs,
    /// The database is killed.
    DatabaseKilled,
    /// All connections to the database are cut.
    DatabaseCutOff,
    /// All sessions are ended by the database.
    SessionsEnded,
    /// The disk of the database is full.
    DiskFull,
    /// The schema registry is away, and services start meanwhile.
    RegistryAway,
    /// A record of the log comes again.
    RecordsRepeated,
    /// Records that nobody can read.
    PoisonedRecords,
    /// Records of a schema that does not fit the events.
    IncompatibleSchema,
    /// A poisoned record is found while its dead letter topic is away.
    DeadLetterTopicAway,
    /// Every request is sent twice at the same time.
    RequestsRepeated,
    /// A parked record is redriven several times at once.
    RedrivesRepeated,
}

/// A platform that works, and those who use it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) site: &'a Site<'a>,
    pub(crate) traffic: &'a Traffic,
    /// Changes between one fault and the next.
    pub(crate) step: usize,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    pub(crate) times: usize,
    /// Records that no service has written, and that can never be applied.
    pub(crate) foreign: Vec<Foreign>,
}

impl Injected {
    fn times(times: usize) -> Self {
        Self {
            times,
            ..Self::default()
        }
    }
}

impl Fault {
    /// What is done, in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::WriterKilled => "writer killed",
            Self::WriterKilledBeforeAnswer => "writer killed after its commit, before its answer",
            Self::RelayKilledBeforeMark => {
                "relay killed after the broker took records, before it marked them"
            }
            Self::RelayCutOff => "relay cut off from the broker",
            Self::RelaysRace => "two relays send the same shards",
            Self::RelaysReplaced => "writers and relays replaced one by one",
            Self::ConsumerKilled => "consumer killed",
            Self::ConsumerKilledBeforeOffset => "consumer killed after its commit, before its offset",
            Self::ConsumerKilledBeforeCommit => "consumer killed before its commit",
            Self::ConsumerHangs => "consumer hangs until others have its partitions",
            Self::ConsumerCutOff => "consumer cut off from the broker",
            Self::Rebalance => "rebalance in mid-batch",
            Self::BrokerKilled => "broker killed and restarted",
            Self::BrokerHangs => "broker hangs",
            Self::DatabaseKilled => "database killed and restarted",
            Self::DatabaseCutOff => "connections to the database cut, commits in doubt",
            Self::SessionsEnded => "database sessions ended",
            Self::DiskFull => "disk of the database full",
            Self::RegistryAway => "schema registry away, services restart",
            Self::RecordsRepeated => "records delivered again",
            Self::PoisonedRecords => "poisoned records",
            Self::IncompatibleSchema => "records of an incompatible schema",
            Self::DeadLetterTopicAway => "poisoned records, dead letter topics away",
            Self::RequestsRepeated => "every request sent twice at once",
            Self::RedrivesRepeated => "redrives, three of each at once",
        }
    }

    /// How often it is injected in a whole run. Where requests or records are counted, those are more.
    #[must_use]
    pub const fn times(self) -> usize {
        match self {
            Self::Nothing | Self::RequestsRepeated => 0,
            Self::ConsumerHangs | Self::RelaysReplaced => 2,
            Self::BrokerKilled
            | Self::BrokerHangs
            | Self::DiskFull
            | Self::DatabaseKilled
            | Self::RegistryAway
            | Self::Rebalance
            | Self::RedrivesRepeated
            | Self::DeadLetterTopicAway => 3,
            Self::RelayCutOff
            | Self::RelaysRace
            | Self::ConsumerCutOff
            | Self::ConsumerKilledBeforeOffset
            | Self::ConsumerKilledBeforeCommit
            | Self::DatabaseCutOff
            | Self::SessionsEnded => 6,
            Self::WriterKilled
            | Self::WriterKilledBeforeAnswer
            | Self::RelayKilledBeforeMark
            | Self::ConsumerKilled
            | Self::RecordsRepeated => 8,
            Self::PoisonedRecords | Self::IncompatibleSchema => 30,
        }
    }

    /// Whether callers send each request twice.
    pub(crate) fn doubles_requests(self) -> bool {
        self == Self::RequestsRepeated
    }

    /// Injects the fault as often, with some traffic before each.
    pub(crate) async fn inject(self, scene: Scene<'_>, times: usize) -> Result<Injected> {
        let mut injected = Injected::times(times);
        for turn in 0..times {
            scene.traffic.more(scene.step).await?;
            let once = self.once(scene, turn, &mut injected);
            once.await
                .with_context(|| format!("{}, the time {}", self.title(), turn + 1))?;
        }
        Ok(injected)
    }

    async fn once(self, scene: Scene<'_>, turn: usize, injected: &mut Injected) -> Result<()> {
        match self {
            Self::Nothing | Self::RequestsRepeated => Ok(()),
            Self::WriterKilled => writers::killed(scene, turn).await,
            Self::WriterKilledBeforeAnswer => writers::killed_before_answer(scene, turn).await,
            Self::RelayKilledBeforeMark => writers::killed_before_mark(scene, turn).await,
            Self::RelayCutOff => writers::cut_off(scene, turn).await,
            Self::RelaysRace => writers::race(scene, turn).await,
            Self::RelaysReplaced => writers::replaced(scene).await,
            Self::ConsumerKilled => consumers::killed(scene, turn).await,
            Self::ConsumerKilledBeforeOffset => consumers::killed_before_offset(scene, turn).await,
            Self::ConsumerKilledBeforeCommit => consumers::killed_before_commit(scene, turn).await,
            Self::ConsumerHangs => consumers::hangs(scene, turn).await,
            Self::ConsumerCutOff => consumers::cut_off(scene, turn).await,
            Self::Rebalance => consumers::rebalance(scene).await,
            Self::BrokerKilled => servers::broker_killed(scene).await,
            Self::BrokerHangs => servers::broker_hangs(scene).await,
            Self::DatabaseKilled => servers::database_killed(scene).await,
            Self::DatabaseCutOff => servers::database_cut_off(scene, turn).await,
            Self::SessionsEnded => servers::sessions_ended(scene).await,
            Self::DiskFull => servers::disk_full(scene).await,
            Self::RegistryAway => servers::registry_away(scene, turn).await,
            Self::RecordsRepeated => {
                // Each record counts.
                injected.times += records::repeat(scene).await?;
                Ok(())
            }
            Self::PoisonedRecords => records::poison(scene, turn, injected).await,
            Self::IncompatibleSchema => records::misfit(scene, turn, injected).await,
            Self::DeadLetterTopicAway => records::without_dead_letter_topics(scene, injected).await,
            Self::RedrivesRepeated => {
                injected.times += redrive::repeatedly(scene).await?;
                Ok(())
            }
        }
    }

    /// What is to be seen of it beyond the shipments' own events.
    pub(crate) async fn aftermath(self, site: &Site<'_>, injected: &Injected) -> Result<Findings> {
        records::dead_letters(site, &injected.foreign).await
    }
}

impl Scene<'_> {
    /// Waits until as many events wait for relays: the fault has its effect. In a build that is broken on purpose they
    /// may never gather.
    async fn unsent(self, events: usize) -> Result<()> {
        let gathered = until(Duration::from_secs(3), || async {
            Ok((self.site.unsent().await? >= events).then_some(()))
        });
        gathered.await.map(drop)
    }

    /// Waits as long as a fault is to last.
    async fn lasts(self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
