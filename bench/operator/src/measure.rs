//! Measuring a process from outside, and requests by the API server's audit log.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use dev_rig::{Program, cost};
use serde::{Deserialize, Serialize};

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    count: usize,
    min: f64,
    median: f64,
    /// 99 of 100 are not above it.
    p99: f64,
    max: f64,
}

/// From how many measurements on the 99th percentile says more than the highest.
const MANY: usize = 100;

impl Spread {
    /// One measurement.
    pub(crate) const fn one(value: f64) -> Self {
        Self {
            count: 1,
            min: value,
            median: value,
            p99: value,
            max: value,
        }
    }

    /// Some measurements, at least one.
    pub(crate) fn of(mut values: Vec<f64>) -> Result<Self> {
        values.sort_by(f64::total_cmp);
        let at = |per_cent: usize| {
            let index = (values.len() * per_cent).div_ceil(100).max(1) - 1;
            values.get(index).copied().context("nothing was measured")
        };
        Ok(Self {
            count: values.len(),
            min: at(0)?,
            median: at(50)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }

    /// What a target is compared with.
    pub(crate) fn worst(&self) -> f64 {
        if self.count >= MANY { self.p99 } else { self.max }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: f64| {
            if value == 0.0 || value.abs() >= 100.0 {
                format!("{value:.0}")
            } else if value.abs() >= 1.0 {
                format!("{value:.1}")
            } else {
                format!("{value:.3}")
            }
        };
        let text = match self.count {
            1 => number(self.median),
            count if count < MANY => format!(
                "{} ({} to {})",
                number(self.median),
                number(self.min),
                number(self.max)
            ),
            _ => format!("{} (p99 {})", number(self.median), number(self.p99)),
        };
        f.pad(&text)
    }
}

/// A running program with its costs.
pub(crate) struct Subject<'a>(pub(crate) &'a Program);

impl Subject<'_> {
    fn read(&self, read: fn(u32) -> Result<f64>) -> Result<f64> {
        let id = self.0.id().context("the process was killed")?;
        read(id).with_context(|| format!("how it ended: {:?}", self.0.ended()))
    }

    /// Resident memory in MiB.
    pub(crate) fn rss(&self) -> Result<f64> {
        self.read(cost::rss)
    }

    /// The most resident memory so far, in MiB.
    pub(crate) fn peak_rss(&self) -> Result<f64> {
        self.read(cost::peak_rss)
    }

    /// CPU time so far, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        self.read(cost::cpu)
    }
}

/// Requests of one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// Reads and writes, but for those of the lease.
    pub(crate) calls: u64,
    /// Watches that were begun, and lists.
    pub(crate) watches: u64,
    /// Reads and writes of leases.
    pub(crate) leases: u64,
}

/// The audit log, read on from where the last count ended.
pub(crate) struct Audit {
    path: PathBuf,
    offset: u64,
}

#[derive(Deserialize)]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(rename = "objectRef")]
    object: Option<Object>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    resource: String,
}

impl Audit {
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path, offset: 0 }
    }

    /// Counts a user's requests since the last count.
    pub(crate) async fn count(&mut self, user: &str) -> Result<Requests> {
        // The log is written a moment after the answer, and nothing tells when all of it is there.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut lines = BufReader::new(file);
        let mut requests = Requests::default();
        let mut line = String::new();
        loop {
            line.clear();
            let length = lines.read_line(&mut line)?;
            if length == 0 || !line.ends_with('\n') {
                break;
            }
            self.offset += length as u64;
            let event: Event = serde_json::from_str(&line).context("audit log")?;
            // A watch is logged when it begins and when it ends.
            let counted = match event.stage.as_str() {
                "ResponseStarted" => event.verb == "watch",
                "ResponseComplete" => event.verb != "watch",
                _ => false,
            };
            if !counted || event.user.username != user {
                continue;
            }
            let resource = event.object.map(|object| object.resource).unwrap_or_default();
            match event.verb.as_str() {
                _ if resource == "leases" => requests.leases += 1,
                "watch" | "list" => requests.watches += 1,
                _ => requests.calls += 1,
            }
        }
        Ok(requests)
    }
}
