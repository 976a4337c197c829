//! An event that cannot be applied is found, its cause is mended, and it is taken up again: with `kubectl logistics dlq`.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{orders, wait};
use logistics_schemas::dead_letters::{DeadLetter, Page, Settled};
use logistics_schemas::grpc::logistics::r#type::v1::Status;
use serde::de::DeserializeOwned;
use tokio::process::Command;

/// An event goes through PostgreSQL, the relay and Kafka.
const PARKED_LIMIT: Duration = Duration::from_secs(30);
/// Exit code: a record is parked still.
const PARKED_STILL: i32 = 3;

/// The database refuses events with this reason.
const REFUSE: &str = "CREATE FUNCTION tracking.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'not yet' USING ERRCODE = '23514'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON tracking.timeline FOR EACH ROW
         WHEN (NEW.reason = 'refuse_this') EXECUTE FUNCTION tracking.refuse();";
const ACCEPT: &str = "DROP FUNCTION IF EXISTS tracking.refuse() CASCADE";

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_event_is_found_and_taken_up_again() -> Result<()> {
    let stage = Stage::ready().await?;
    stage.platform_sql(ACCEPT).await?;
    stage.platform_sql(REFUSE).await?;
    let outcome = redrive(&stage).await;
    // Also after a failure: the other stories share the platform.
    stage.platform_sql(ACCEPT).await?;
    outcome
}

async fn redrive(stage: &Stage) -> Result<()> {
    let callers = stage.callers(&stage.new_account("parked"))?;
    let mut services = stage.services();
    let order = callers.user.plain(orders::order());
    let answer = services.shipment.create_shipment(order).await?.into_inner();
    let id = answer.shipment.context("no shipment in the answer")?.shipment_id;
    let mut refused = orders::event(&id, Status::PickedUp, TimeDelta::hours(3));
    "refuse_this".clone_into(&mut refused.reason);
    let follows = orders::event(&id, Status::InTransit, TimeDelta::hours(2));
    for event in [refused, follows] {
        services
            .shipment
            .record_event(callers.shipman.plain(event))
            .await?;
    }

    let (letter, took) = wait::until("the event is parked", PARKED_LIMIT, || async {
        Ok(listed(stage, "tracking")
            .await?
            .into_iter()
            .find(|letter| letter.shipment_id.as_ref() == Some(&id) && letter.waiting == 1))
    })
    .await?;
    println!("parked after {took:.1?}: {letter:?}");
    ensure!(letter.seq == Some(2), "{letter:?}");
    ensure!(
        listed(stage, "analytics")
            .await?
            .iter()
            .all(|other| other.shipment_id.as_ref() != Some(&id)),
        "analytics has parked it too"
    );

    let early = dlq(
        stage,
        &["redrive", MAIN.name, "tracking", &letter.id, "-o", "json"],
    )
    .await?;
    ensure!(early.status.code() == Some(PARKED_STILL), "{early:?}");
    stage.platform_sql(ACCEPT).await?;
    let settled: Vec<Settled> = parse(
        &dlq(
            stage,
            &["redrive", MAIN.name, "tracking", &letter.id, "-o", "json"],
        )
        .await?,
    )?;
    ensure!(
        settled.len() == 1 && settled[0].applied == 2 && settled[0].problem.is_none(),
        "{settled:?}"
    );
    let audited = stage
        .platform_sql(&format!(
            "SELECT DISTINCT method, subject <> '' FROM tracking.audit_leaves WHERE object_id = '{id}'"
        ))
        .await?;
    ensure!(audited == "dlq redrive|t", "{audited}");

    let again = dlq(stage, &["redrive", MAIN.name, "tracking", &letter.id]).await?;
    let told = String::from_utf8_lossy(&again.stderr);
    ensure!(
        again.status.code() == Some(1) && told.contains("is parked"),
        "{told}"
    );
    Ok(())
}

async fn listed(stage: &Stage, workload: &str) -> Result<Vec<DeadLetter>> {
    let output = dlq(stage, &["list", MAIN.name, workload, "-o", "json"]).await?;
    Ok(parse::<Page>(&output)?.items)
}

async fn dlq(stage: &Stage, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(plugin()?);
    command
        .arg("dlq")
        .args(args)
        .args(["-n", MAIN.namespace])
        .env("KUBECONFIG", &stage.facts.kubeconfig)
        .kill_on_drop(true);
    command.output().await.context("run kubectl-logistics")
}

/// The plugin, which the tests of the workspace have built.
fn plugin() -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests.ancestors().nth(2).context("the folder of the build")?;
    let program = folder.join("kubectl-logistics");
    ensure!(
        program.is_file(),
        "{} is missing; build it: cargo build -p kubectl-logistics",
        program.display()
    );
    Ok(program)
}

fn parse<T: DeserializeOwned>(output: &Output) -> Result<T> {
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
