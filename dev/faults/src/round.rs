//! One fault after the other, each with shipments of its own.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::check::check;
use crate::faults::{Fault, Scene};
use crate::inspect::{Reader, effects};
use crate::report::Row;
use crate::site::{Servers, Site};
use crate::traffic::{Manner, Seen, Traffic};

/// How much is done for each fault.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Changes that are acknowledged, at least.
    pub changes: usize,
    /// Requests a second, at most.
    pub rate: u32,
    /// Faults are injected as often as [`Fault::times`] says, but no more often than this.
    pub most_times: usize,
}

/// Injects the faults into services of this program; `done` hears of each.
pub async fn run(
    servers: &Servers,
    logistics: &Path,
    faults: &[Fault],
    extent: Extent,
    mut done: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let site = Site::start(servers, logistics).await?;
    let mut reader = Reader::default();
    let mut rows = Vec::with_capacity(faults.len());
    for (number, fault) in faults.iter().enumerate() {
        let account = format!("fault-{number}");
        let row = one(&site, &mut reader, *fault, &account, extent);
        let row = row.await.with_context(|| fault.title())?;
        done(&row);
        rows.push(row);
    }
    Ok(rows)
}

async fn one(
    site: &Site<'_>,
    reader: &mut Reader,
    fault: Fault,
    account: &str,
    extent: Extent,
) -> Result<Row> {
    let begin = Instant::now();
    let times = fault.times().min(extent.most_times);
    let manner = Manner {
        rate: extent.rate,
        twice: fault.doubles_requests(),
    };
    let traffic = Traffic::start(site, account, manner)?;
    let scene = Scene {
        site,
        traffic: &traffic,
        step: extent.changes / (times + 1),
    };
    let mut injected = fault.inject(scene, times).await?;
    traffic.reach(extent.changes).await?;
    site.heal().await?;
    let Seen {
        acknowledged,
        refusals,
    } = traffic.finish().await?;
    if fault.doubles_requests() {
        injected.times = acknowledged.len();
    }
    let settled = site.settle().await?;
    let log = reader.read(site).await?;
    let mut findings = check(&acknowledged, &log, &effects(site, account).await?);
    findings.add(&fault.aftermath(site, &injected).await?);
    if !settled {
        findings.example(|| "not all was sent and handled in time".to_owned());
    }
    Ok(Row {
        fault,
        injected: injected.times,
        seconds: begin.elapsed().as_secs(),
        settled,
        findings,
        refusals,
    })
}
