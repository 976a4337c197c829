//! A bare loop: the SQL of durable creates in transactions of a given size, by as many committers as the service has,
//! and the reading and deleting of the outbox; no requests, no decisions, no events. It is a process on the server's core.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use logistics_chassis::storage;
use logistics_schemas::Workload;
use logistics_schemas::config::Database;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row as _};

use crate::creates::WARM_UP;
use crate::peers::Start;
use crate::stage::{Platform, Stage};
use crate::statements::{self, Creates};
use crate::subject;

/// As many as the service has.
const COMMITTERS: usize = 2;

/// What the loop is told.
#[derive(Serialize, Deserialize)]
struct Order {
    database: Database,
    batch: usize,
    load: Duration,
}

/// What it tells.
#[derive(Serialize, Deserialize)]
struct Told {
    rows: u64,
    seconds: f64,
}

/// Measures the rows a second of the loop.
pub(crate) async fn measure(stage: &Stage, platform: &Platform, batch: usize, load: Duration) -> Result<f64> {
    let order = Order {
        database: platform.testbed.config(Workload::Shipment).database,
        batch,
        load,
    };
    let told: Told = in_process(stage, platform, "loop", &order).await?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of rows")]
    Ok(told.rows as f64 / told.seconds)
}

/// Runs a part of this program on the server's core, to its end.
pub(crate) async fn in_process<T: serde::de::DeserializeOwned>(
    stage: &Stage,
    platform: &Platform,
    part: &'static str,
    order: &impl Serialize,
) -> Result<T> {
    let file = platform.testbed.file(&format!("{part}.json"));
    std::fs::write(&file, serde_json::to_string(order)?)?;
    let start = Start {
        program: std::env::current_exe()?,
        args: vec![part.to_owned(), file.display().to_string()],
        env: Vec::new(),
    };
    let program = subject::on_core(stage, part, start)?;
    // It ends with its work, and nothing else tells.
    while program.ended().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = std::fs::read_to_string(answer(&file));
    let answer = answer.with_context(|| format!("the {part} ended: {:?}", program.ended()))?;
    std::fs::remove_file(file.with_extension("answer"))?;
    Ok(serde_json::from_str(&answer)?)
}

/// Where a part answers.
pub(crate) fn answer(file: &Path) -> std::path::PathBuf {
    file.with_extension("answer")
}

/// The loop.
pub(crate) async fn run(file: &Path) -> Result<()> {
    let order: Order = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let (pool, _) = storage::open(&order.database, Workload::Shipment.name())?;
    let (rows, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..COMMITTERS {
        tasks.spawn(commit(
            pool.clone(),
            order.batch,
            Arc::clone(&rows),
            Arc::clone(&over),
        ));
    }
    tasks.spawn(forget(pool.clone(), Arc::clone(&over)));
    tokio::time::sleep(WARM_UP).await;
    let (begin, before) = (Instant::now(), rows.load(Ordering::Relaxed));
    tokio::time::sleep(order.load).await;
    let told = Told {
        rows: rows.load(Ordering::Relaxed) - before,
        seconds: begin.elapsed().as_secs_f64(),
    };
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    ensure!(told.rows > 0, "the loop has written nothing");
    std::fs::write(answer(file), serde_json::to_string(&told)?)?;
    Ok(())
}

async fn commit(pool: PgPool, batch: usize, rows: Arc<AtomicU64>, over: Arc<AtomicBool>) -> Result<()> {
    let mut fresh = Creates::new(batch);
    while !over.load(Ordering::Relaxed) {
        fresh.write(&pool).await?;
        rows.fetch_add(batch as u64, Ordering::Relaxed);
    }
    Ok(())
}

async fn forget(pool: PgPool, over: Arc<AtomicBool>) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let unsent = sqlx::query(statements::UNSENT).fetch_all(&pool).await?;
        let positions: Vec<i64> = unsent.iter().map(|row| row.get("position")).collect();
        if positions.is_empty() {
            // How often the outbox is looked at while it is empty.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        sqlx::query(statements::SENT)
            .bind(positions)
            .execute(&pool)
            .await?;
    }
    Ok(())
}
