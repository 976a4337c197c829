//! Any program as a process of the rig.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, Spec, log_tail};
use crate::scratch;

/// A running program; it ends when this value is dropped, or with the process that started it.
#[derive(Debug)]
pub struct Program {
    process: Process,
    _folder: TempDir,
}

impl Program {
    /// Starts a program. `name` is for messages; its output goes to a log in a scratch folder, which is its working
    /// folder.
    pub fn start(
        name: &'static str,
        program: PathBuf,
        args: Vec<String>,
        env: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let folder = scratch::folder(name)?;
        let log = folder.path().join("log");
        let process = Process::start(Spec {
            name,
            program,
            args,
            env,
            user: None,
            within: Vec::new(),
            stop: Signal::KILL,
            log,
        })?;
        Ok(Self {
            process,
            _folder: folder,
        })
    }

    /// Its process id, unless it was killed.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// How it ended, if it has, with the last lines of its log.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        let end = self.process.ended()?;
        Some(format!("{end}{}", log_tail(self.log())))
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.process.spec().log
    }

    /// Kills it at once, as a crash does.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Has it stand still, as on a machine that hangs, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has it go on after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again after [`Self::kill`], or after it ended.
    pub fn start_again(&self) -> Result<()> {
        self.process.start_again()
    }
}
