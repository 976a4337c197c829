//! Builds that are broken on purpose, and what has to find them out.

use clap::ValueEnum;
use serde::Serialize;

use crate::check::Findings;
use crate::faults::Fault;

/// A mistake that a build of the services makes: the features `broken-…` of the package `logistics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// Events are applied without a look at what was applied before.
    SkipLastSeq,
    /// Offsets are stored before the database has committed.
    OffsetEarly,
    /// Relays claim rows instead of shards.
    ClaimRows,
}

impl Mistake {
    /// What the build does, in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SkipLastSeq => "last_seq skipped",
            Self::OffsetEarly => "offset stored early",
            Self::ClaimRows => "rows claimed instead of shards",
        }
    }

    /// The faults that bring it to light.
    #[must_use]
    pub const fn faults(self) -> &'static [Fault] {
        match self {
            Self::SkipLastSeq => &[Fault::RecordsRepeated, Fault::ConsumerKilledBeforeOffset],
            Self::OffsetEarly => &[Fault::ConsumerKilledBeforeCommit],
            Self::ClaimRows => &[Fault::RelaysRace, Fault::RelayCutOff],
        }
    }

    /// How many promises it has broken, of the kind that it is expected to break.
    #[must_use]
    pub const fn broken(self, findings: &Findings) -> usize {
        match self {
            Self::SkipLastSeq => findings.effects_repeated,
            Self::OffsetEarly => findings.effects_missing,
            Self::ClaimRows => findings.out_of_order,
        }
    }
}
