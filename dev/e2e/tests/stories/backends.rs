//! A backing service goes away and comes back: the platform says so and recovers alone, and one that stands on other
//! backing services does not notice.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_demo::platform::{self, Condition};
use dev_e2e::backing::{self, Second, Service};
use dev_e2e::stage::{MAIN, NEIGHBOUR, Stage, TWIN};
use dev_e2e::{children, orders, wait};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use logistics_operator::child::ChildKind;
use serde_json::{Value, json};
use tonic::Code;

/// How often topics and subjects are read in this story: the least that the resource takes.
const RESYNC: &str = "5s";
/// A read, its time-out, and the longest pause between two.
const TELL_LIMIT: Duration = Duration::from_secs(40);
const BACK_LIMIT: Duration = Duration::from_mins(2);
const REPAIR_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_may_go_away_and_come_back() -> Result<()> {
    let stage = Stage::ready().await?;
    let second = backing::second(&stage.client, &stage.facts).await?;
    let outcome = each_goes_away(&stage, &second).await;
    for service in Service::ALL {
        // Also after a failure: the other stories need them.
        service.bring_back(&stage.client).await?;
    }
    outcome?;
    stage.remove(NEIGHBOUR).await?;
    backing::remove_second(&stage.client).await
}

async fn each_goes_away(stage: &Stage, second: &Second) -> Result<()> {
    let beside = second.under(often(stage.prepare(NEIGHBOUR).await?));
    NEIGHBOUR
        .new_owner_password(&stage.client, &stage.facts, &second.postgres())
        .await
        .context("the neighbour's database")?;
    stage.apply(&beside).await?;
    stage.apply(&often(stage.platform.clone())).await?;
    stage.wait_ready().await?;
    println!(
        "a platform on other backing services is Ready after {:.1?} more",
        stage.wait_ready_at(NEIGHBOUR).await?
    );
    let restarts = stage.operator.restarts().await?;
    let (ours, theirs) = (stage.pod_states(MAIN).await?, stage.pod_states(NEIGHBOUR).await?);
    for (service, kind) in [
        (Service::Kafka, "KafkaReady"),
        (Service::Registry, "SchemasReady"),
    ] {
        service.take_away(&stage.client).await?;
        let (told, took) = stage.wait_condition(MAIN, kind, TELL_LIMIT, away).await?;
        println!("{} is away, told after {took:.1?}: {told}", service.name());
        ensure!(
            told.message.contains(service.name()),
            "the condition does not name {}: {told}",
            service.name()
        );
        stage
            .wait_condition(MAIN, "Degraded", TELL_LIMIT, |condition| {
                condition.status == "True"
            })
            .await?;
        unaffected(stage).await?;

        service.bring_back(&stage.client).await?;
        let (_, took) = stage.wait_condition(MAIN, kind, BACK_LIMIT, back).await?;
        println!("{} is back, told after {took:.1?}", service.name());
        stage.wait_ready().await?;
    }
    without_postgres(stage).await?;
    ensure!(
        stage.operator.restarts().await? == restarts,
        "the operator was restarted"
    );
    ensure!(
        stage.pod_states(NEIGHBOUR).await? == theirs,
        "pods of the platform on other backing services were restarted"
    );
    ensure!(stage.pod_states(MAIN).await? == ours, "pods were restarted");
    let services = stage.services();
    let callers = stage.callers(&stage.new_account("back"))?;
    orders::one(&services, &callers, &AtomicU64::new(0)).await?;
    Ok(())
}

fn away(condition: &Condition) -> bool {
    condition.status == "False"
}

fn back(condition: &Condition) -> bool {
    condition.status == "True"
}

/// PostgreSQL goes away: the platform says so, services refuse calls at once, the schema registry, which stands on it, is
/// told as away, and a platform that needs a migration waits for it and says so.
async fn without_postgres(stage: &Stage) -> Result<()> {
    let new = stage.prepare(TWIN).await?;
    Service::Postgres.take_away(&stage.client).await?;
    let (told, took) = stage
        .wait_condition(MAIN, "DatabaseReady", TELL_LIMIT, away)
        .await?;
    let name = Service::Postgres.name();
    println!("{name} is away, told after {took:.1?}: {told}");
    ensure!(
        told.message.contains(name),
        "the condition does not name {name}: {told}"
    );
    stage
        .wait_condition(MAIN, "Degraded", TELL_LIMIT, |condition| {
            condition.status == "True"
        })
        .await?;
    stage.apply(&often(new)).await?;
    let (told, took) = stage
        .wait_condition(TWIN, "DatabaseReady", TELL_LIMIT, away)
        .await?;
    println!("postgres is away, a new platform tells after {took:.1?}: {told}");
    let (told, took) = stage
        .wait_condition(MAIN, "SchemasReady", TELL_LIMIT, away)
        .await?;
    println!("the registry without it is told after {took:.1?}: {told}");
    let callers = stage.callers(&stage.new_account("away"))?;
    let order = callers.user.plain(orders::order());
    let refused = stage.services().shipment.create_shipment(order).await;
    let code = refused.err().map(|status| status.code());
    ensure!(
        matches!(code, Some(Code::Unavailable | Code::DeadlineExceeded)),
        "without its database, shipment answers {code:?}"
    );
    unaffected(stage).await?;

    Service::Postgres.bring_back(&stage.client).await?;
    let (_, took) = stage
        .wait_condition(MAIN, "DatabaseReady", BACK_LIMIT, back)
        .await?;
    println!("{name} is back, told after {took:.1?}");
    stage
        .wait_condition(MAIN, "SchemasReady", BACK_LIMIT, back)
        .await?;
    stage.wait_ready().await?;
    let took = stage.wait_ready_at(TWIN).await?;
    println!("postgres is back, the new platform is Ready after {took:.1?}");
    stage.remove(TWIN).await
}

/// The platform on other backing services: all its conditions hold, it serves, and it is repaired as ever.
async fn unaffected(stage: &Stage) -> Result<()> {
    let neighbour = platform::api(&stage.client, NEIGHBOUR.namespace)
        .get(NEIGHBOUR.name)
        .await?;
    for condition in platform::conditions(&neighbour) {
        let good = match condition.kind.as_str() {
            "Progressing" | "Degraded" => "False",
            _ => "True",
        };
        ensure!(condition.status == good, "on other backing services: {condition}");
    }
    let services = stage.services_at(NEIGHBOUR);
    let callers = stage.callers(&stage.new_account("beside"))?;
    let retries = AtomicU64::new(0);
    orders::one(&services, &callers, &retries).await?;
    let retries = retries.into_inner();
    ensure!(retries == 0, "{retries} calls had to be repeated");

    let api = children::api(&stage.client, NEIGHBOUR.namespace, ChildKind::Service);
    let name = format!("{}-shipment", NEIGHBOUR.name);
    let uid = api.get(&name).await?.uid();
    api.delete(&name, &DeleteParams::default()).await?;
    let ((), took) = wait::until("repair beside", REPAIR_LIMIT, || async {
        let now = api.get_opt(&name).await?;
        Ok(now.is_some_and(|now| now.uid() != uid).then_some(()))
    })
    .await?;
    println!("the platform on other backing services serves, drift repaired after {took:.1?}");
    Ok(())
}

fn often(mut platform: Value) -> Value {
    platform["spec"]["kafka"]["resync"] = json!(RESYNC);
    platform
}
