//! Timelines that are asked for at the same time share statements, and each caller gets its own.

use anyhow::{Context as _, Result};
use futures::future::join_all;
use logistics_schemas::grpc::logistics::tracking::v1::GetTimelineRequest;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request};
use uuid::Uuid;

use crate::support::{ACCOUNT, Bench, Service, Story};

const CALLERS: u64 = 240;
const STORIES: u64 = 30;

/// A counter or the count of a histogram.
async fn metric(service: &Service, name: &str) -> Result<f64> {
    let metrics = service.metrics().await?;
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    Ok(value.with_context(|| format!("no metric {name}"))?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_one_time_get_their_own_timelines_by_few_statements() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..STORIES).map(Story::usual).collect();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    let events = stories.len() * 7;
    bench.applied(events, 0).await?;

    let bearers = [
        bench.testbed.bearer("ann", &["user"], ACCOUNT)?,
        bench.testbed.bearer("bob", &["user"], "acct-2")?,
    ];
    let client = TrackingServiceClient::new(Channel::from_shared(service.address.clone())?.connect_lazy());
    let ask = async |number: u64| -> Result<()> {
        let story = &stories[usize::try_from(number % STORIES)?];
        let id = story.id().to_string();
        let (bearer, shipment_id, expected) = match number % 4 {
            0 => (&bearers[1], id, Err(Code::NotFound)),
            1 => (
                &bearers[0],
                Uuid::from_u128(number.into()).to_string(),
                Err(Code::NotFound),
            ),
            _ => (&bearers[0], id.clone(), Ok(id)),
        };
        let mut request = Request::new(GetTimelineRequest { shipment_id });
        request.metadata_mut().insert("authorization", bearer.clone());
        let told = match client.clone().get_timeline(request).await {
            Ok(answer) => {
                let timeline = answer.into_inner();
                anyhow::ensure!(timeline.events.len() == 7, "{timeline:?}");
                Ok(timeline.shipment_id)
            }
            Err(refusal) => Err(refusal.code()),
        };
        anyhow::ensure!(told == expected, "{number}: {told:?} instead of {expected:?}");
        Ok(())
    };
    for outcome in join_all((0..CALLERS).map(ask)).await {
        outcome?;
    }

    let statements = metric(&service, "logistics_timelines_read_count").await?;
    let timelines = metric(&service, "logistics_timelines_read_sum").await?;
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let callers = CALLERS as f64;
    assert!(
        (timelines - callers).abs() < 0.5,
        "{timelines} timelines were read"
    );
    assert!(statements < callers / 2.0, "{statements} statements");
    service.stop().await
}
