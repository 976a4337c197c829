//! Deleting the platform takes its children and nothing else; applied again, it serves what it had.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Result, ensure};
use dev_demo::platform;
use dev_e2e::orders::{self, Acknowledged, all_arrived};
use dev_e2e::stage::{MAIN, NAMESPACE, PLATFORM, Stage, TOPIC_PREFIX};
use dev_e2e::{children, wait};
use kube::api::DeleteParams;
use logistics_schemas::grpc::logistics::tracking::v1::{GetTimelineRequest, GetTimelineResponse};
use logistics_schemas::topics;

const GONE_LIMIT: Duration = Duration::from_mins(1);
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn deletion_keeps_topics_and_data_and_hangs_nowhere() -> Result<()> {
    let stage = Stage::ready().await?;
    let callers = stage.callers(&stage.new_account("deletion"))?;
    let services = stage.services();
    let id = orders::one(&services, &callers, &AtomicU64::new(0)).await?;
    let sent = Acknowledged {
        shipments: 1,
        events: 3,
        retries: 0,
    };
    all_arrived(&services, &callers, sent, SETTLE_LIMIT).await?;
    let before = timeline(&stage, &callers.admin, &id).await?;

    let platforms = platform::api(&stage.client, NAMESPACE);
    platforms.delete(PLATFORM, &DeleteParams::default()).await?;
    let ((), took) = wait::until("the end of the platform", GONE_LIMIT, || async {
        Ok(platforms.get_opt(PLATFORM).await?.is_none().then_some(()))
    })
    .await?;
    let ((), all) = wait::until("the end of its children", GONE_LIMIT, || async {
        Ok(children::all(&stage.client, MAIN).await?.is_empty().then_some(()))
    })
    .await?;
    println!(
        "platform gone after {took:.1?}, its children after {:.1?}",
        took + all
    );

    let names: Vec<String> = topics::ALL
        .iter()
        .map(|topic| topic.full_name(TOPIC_PREFIX))
        .collect();
    let left = stage.kafka()?.describe(&names).await?;
    ensure!(
        left.len() == names.len(),
        "topics were deleted: left are {:?}",
        left.keys()
    );

    stage.apply(&stage.platform).await?;
    println!("Ready again after {:.1?}", stage.wait_ready().await?);
    ensure!(
        timeline(&stage, &callers.admin, &id).await? == before,
        "the timeline is not what it was"
    );
    // Consumers start where they were: what they read again must change nothing.
    all_arrived(&stage.services(), &callers, sent, SETTLE_LIMIT).await
}

async fn timeline(stage: &Stage, caller: &dev_demo::call::Caller, id: &str) -> Result<GetTimelineResponse> {
    let services = stage.services();
    let request = GetTimelineRequest {
        shipment_id: id.to_owned(),
    };
    let retries = AtomicU64::new(0);
    let answer = dev_demo::call::patiently(&retries, || {
        let (mut client, request) = (services.tracking.clone(), caller.plain(request.clone()));
        async move { client.get_timeline(request).await }
    });
    Ok(answer.await?)
}
