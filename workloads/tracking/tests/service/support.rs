//! A running service, and shipments to feed it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, TimeDelta};
use logistics_chassis::codec::{Codec, Location, ShipmentCreated, ShipmentStatusChanged};
use logistics_chassis::projection;
use logistics_chassis::service::RunError;
use logistics_chassis::shutdown::Shutdown;
use logistics_domain::ledger::{Fact, Report, State};
use logistics_domain::status::{Classifier, Kind, Status};
use logistics_schemas::Workload;
use logistics_schemas::config::Streams;
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_testbed::{FeedRecord, Testbed, eventually};
use logistics_tracking::MIGRATIONS;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Request, Status as Refusal, Streaming};
use uuid::Uuid;

pub(crate) const ACCOUNT: &str = "acct-1";

/// A platform with nothing but this service's tables, and a codec for feeding it.
pub(crate) struct Bench {
    pub(crate) testbed: Testbed,
    pub(crate) codec: Arc<Codec>,
}

impl Bench {
    pub(crate) async fn start() -> Result<Self> {
        let testbed = Testbed::start(&[&MIGRATIONS]).await?;
        let codec = Arc::new(codec(&testbed).await?);
        Ok(Self { testbed, codec })
    }

    pub(crate) async fn service(&self, instance: &str) -> Result<Service> {
        let chassis = self
            .testbed
            .chassis(Workload::Tracking, instance, &MIGRATIONS)
            .await?;
        Service::on(chassis)
    }

    /// A service with other bounds of its live streams.
    pub(crate) async fn bounded_service(&self, bounds: Streams) -> Result<Service> {
        let mut chassis = self
            .testbed
            .chassis(Workload::Tracking, "bounded", &MIGRATIONS)
            .await?;
        Arc::make_mut(&mut chassis.config).streams = bounds;
        Service::on(chassis)
    }

    /// A service whose group has read nothing yet.
    pub(crate) async fn forgetful_service(&self) -> Result<Service> {
        let mut chassis = self
            .testbed
            .chassis(Workload::Tracking, "forgetful", &MIGRATIONS)
            .await?;
        Arc::make_mut(&mut chassis.config)
            .kafka
            .group_id
            .push_str(".again");
        Service::on(chassis)
    }

    /// Waits until as many events are applied and nothing else waits.
    pub(crate) async fn applied(&self, events: usize, parked: usize) -> Result<()> {
        let wanted = format!("{events}|{parked}");
        let what = format!("{events} events applied, {parked} parked");
        eventually(&what, || async {
            let now = self
                .testbed
                .sql("SELECT coalesce(sum(last_seq), 0), (SELECT count(*) FROM tracking.parked) FROM tracking.projected")
                .await?;
            Ok((now.trim() == wanted).then_some(()))
        })
        .await
    }

    /// The whole projection as text.
    pub(crate) async fn dump(&self) -> Result<String> {
        let shipments = self
            .testbed
            .sql("SELECT * FROM tracking.shipments ORDER BY shipment_id")
            .await?;
        let timeline = self
            .testbed
            .sql("SELECT * FROM tracking.timeline ORDER BY shipment_id, seq")
            .await?;
        Ok(format!("{shipments}\n{timeline}"))
    }

    pub(crate) fn records(&self, stories: &[Story]) -> Result<Vec<FeedRecord>> {
        let mut records = Vec::new();
        for story in stories {
            records.extend(story.records(&self.codec)?);
        }
        Ok(records)
    }
}

async fn codec(testbed: &Testbed) -> Result<Codec> {
    let config = testbed.config(Workload::Tracking);
    Ok(Codec::connect(
        &config.schema_registry,
        &config.kafka.topic_prefix,
        &projection::TOPICS,
    )
    .await?)
}

/// A running service.
pub(crate) struct Service {
    pub(crate) address: String,
    client: TrackingServiceClient<Channel>,
    admin: String,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Service {
    pub(crate) fn on(chassis: logistics_chassis::service::Chassis) -> Result<Self> {
        let address = format!("http://{}", chassis.grpc_address());
        let admin = format!("http://{}", chassis.admin_address());
        let shutdown = chassis.shutdown.clone();
        let ended = tokio::spawn(logistics_tracking::serve(chassis));
        let client = TrackingServiceClient::new(Channel::from_shared(address.clone())?.connect_lazy());
        Ok(Self {
            address,
            client,
            admin,
            shutdown,
            ended,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        Ok(self.ended.await??)
    }

    pub(crate) async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.admin))
            .await?
            .text()
            .await?)
    }

    pub(crate) async fn timeline(
        &self,
        bench: &Bench,
        account: &str,
        shipment_id: &str,
    ) -> Result<Result<proto::GetTimelineResponse, Refusal>> {
        let mut request = Request::new(proto::GetTimelineRequest {
            shipment_id: shipment_id.to_owned(),
        });
        request
            .metadata_mut()
            .insert("authorization", bench.testbed.bearer("ann", &["user"], account)?);
        Ok(self
            .client
            .clone()
            .get_timeline(request)
            .await
            .map(tonic::Response::into_inner))
    }

    pub(crate) async fn timelines(
        &self,
        bench: &Bench,
        account: &str,
        shipment_ids: Vec<String>,
    ) -> Result<Result<proto::BatchGetTimelinesResponse, Refusal>> {
        let mut request = Request::new(proto::BatchGetTimelinesRequest { shipment_ids });
        request
            .metadata_mut()
            .insert("authorization", bench.testbed.bearer("ann", &["user"], account)?);
        let answer = self.client.clone().batch_get_timelines(request).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// As anybody, without a token.
    pub(crate) async fn public(
        &self,
        shipment_id: &str,
        tracking_number: &str,
    ) -> Result<proto::GetPublicTimelineResponse, Refusal> {
        let request = proto::GetPublicTimelineRequest {
            shipment_id: shipment_id.to_owned(),
            tracking_number: tracking_number.to_owned(),
        };
        let answer = self.client.clone().get_public_timeline(request).await?;
        Ok(answer.into_inner())
    }

    /// Opens a live stream as `subject` of `account`.
    pub(crate) async fn stream(
        &self,
        bench: &Bench,
        (subject, account): (&str, &str),
        shipment_id: &str,
        after_seq: i64,
    ) -> Result<Result<Streaming<proto::StreamTrackingResponse>, Refusal>> {
        let request = stream_request(bench, (subject, account), shipment_id, after_seq)?;
        let answer = self.client.clone().stream_tracking(request).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// Waits until the service reads the end of the log.
    pub(crate) async fn tails(&self) -> Result<()> {
        eventually("the tail is read", || async {
            let metrics = self.metrics().await?;
            let read = metrics
                .lines()
                .any(|line| line.starts_with("logistics_tail_partitions") && !line.ends_with(" 0"));
            Ok(read.then_some(()))
        })
        .await
    }

    pub(crate) async fn progress(
        &self,
        bench: &Bench,
        account: &str,
        role: &str,
    ) -> Result<Result<proto::GetProjectionResponse, Refusal>> {
        let mut request = Request::new(proto::GetProjectionRequest {});
        request
            .metadata_mut()
            .insert("authorization", bench.testbed.bearer("ann", &[role], account)?);
        Ok(self
            .client
            .clone()
            .get_projection(request)
            .await
            .map(tonic::Response::into_inner))
    }
}

pub(crate) fn stream_request(
    bench: &Bench,
    (subject, account): (&str, &str),
    shipment_id: &str,
    after_seq: i64,
) -> Result<Request<proto::StreamTrackingRequest>> {
    let mut request = Request::new(proto::StreamTrackingRequest {
        shipment_id: shipment_id.to_owned(),
        after_seq,
    });
    request.metadata_mut().insert(
        "authorization",
        bench.testbed.bearer(subject, &["user"], account)?,
    );
    Ok(request)
}

/// The positions of the next events of a stream.
pub(crate) async fn next_seqs(
    stream: &mut Streaming<proto::StreamTrackingResponse>,
    count: usize,
) -> Result<Vec<i64>> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let next = tokio::time::timeout(Duration::from_mins(1), stream.message())
            .await
            .with_context(|| format!("the stream is silent after {seqs:?}"))?;
        let message = next?.with_context(|| format!("the stream ended after {seqs:?}"))?;
        seqs.push(message.event.context("a message without an event")?.seq);
    }
    Ok(seqs)
}

/// How a stream ends from which nothing more is to come.
pub(crate) async fn end(stream: &mut Streaming<proto::StreamTrackingResponse>) -> Result<Option<Refusal>> {
    match tokio::time::timeout(Duration::from_mins(1), stream.message()).await? {
        Ok(None) => Ok(None),
        Ok(Some(more)) => bail!("one more event: {more:?}"),
        Err(status) => Ok(Some(status)),
    }
}

/// All that happens to one shipment.
pub(crate) struct Story {
    pub(crate) created: ShipmentCreated,
    pub(crate) changes: Vec<ShipmentStatusChanged>,
}

impl Story {
    pub(crate) fn new(number: u64, reports: &[Status]) -> Self {
        let id = Uuid::from_u64_pair(0x0198_c5a4_7d2e_7c3b, 0x9f10_0000_0000_0000 | number);
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(16_000);
        let place = |code: &str| Location {
            code: code.to_owned(),
            facility: "Terminal C".to_owned(),
        };
        let created = ShipmentCreated {
            shipment_id: id,
            seq: 1,
            account_id: ACCOUNT.to_owned(),
            actor: "ann".to_owned(),
            carrier: "UA".to_owned(),
            tracking_number: format!("T{number}"),
            origin: place("EWR"),
            destination: place("IAH"),
            planned_departure: start,
            promised_arrival: start + TimeDelta::hours(4),
            recorded_at: start - TimeDelta::hours(2),
        };
        let mut state = State::CREATED;
        let mut changes = Vec::new();
        for (seq, reported) in (2..).zip(reports) {
            let occurred_at = start + TimeDelta::minutes(seq * 10);
            let report = Report {
                fact: Fact::Status(*reported),
                classifier: Classifier::Actual,
                occurred_at,
            };
            let Some(decision) = state.decide(&report) else {
                continue;
            };
            state = decision.state;
            changes.push(ShipmentStatusChanged {
                shipment_id: id,
                seq,
                account_id: ACCOUNT.to_owned(),
                actor: "scanner".to_owned(),
                reported: *reported,
                status: state.status,
                classifier: report.classifier,
                disposition: decision.disposition,
                occurred_at,
                recorded_at: occurred_at,
                location: (seq % 2 == 0).then(|| place("ORD")),
                reason: String::new(),
                kind: Kind::Scan,
                retracts: None,
                delay: None,
                notice: None,
                proof: None,
                assignee: String::new(),
            });
        }
        Self { created, changes }
    }

    /// A parcel that goes the whole road: 7 events.
    pub(crate) fn usual(number: u64) -> Self {
        use Status::{Delivered, InTransit, OutForDelivery, PickedUp};
        Self::new(
            number,
            &[
                PickedUp,
                InTransit,
                InTransit,
                PickedUp,
                OutForDelivery,
                Delivered,
            ],
        )
    }

    pub(crate) const fn id(&self) -> Uuid {
        self.created.shipment_id
    }

    pub(crate) fn records(&self, codec: &Codec) -> Result<Vec<FeedRecord>> {
        let mut records = vec![FeedRecord::of(codec, &self.created)?];
        for change in &self.changes {
            records.push(FeedRecord::of(codec, change)?);
        }
        Ok(records)
    }
}
