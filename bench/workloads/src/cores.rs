//! Two cores: one for what is measured, one for all else.

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Has what is measured, and nothing else.
    pub(crate) server: usize,
    /// Has the generator, the database and the broker.
    pub(crate) generator: usize,
}

impl Cores {
    /// Takes the first two that this process may use, and moves this process to the generator's.
    pub(crate) fn take() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("ask which cores may be used")?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let both = usable.next().zip(usable.next());
        let (server, generator) =
            both.context("two cores are needed: one for the server, one for all else")?;
        let mut own = CpuSet::new();
        own.set(generator);
        sched_setaffinity(None, &own).context("move to the generator's core")?;
        Ok(Self { server, generator })
    }
}
