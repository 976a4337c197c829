//! A running service, and legs to feed it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use logistics_analytics::MIGRATIONS;
use logistics_chassis::codec::{Codec, Location, ShipmentCreated, ShipmentObserved, ShipmentStatusChanged};
use logistics_chassis::projection;
use logistics_chassis::service::{Chassis, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::grpc::logistics::analytics::v1 as proto;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::{Workload, topics};
use logistics_testbed::{FeedRecord, Numbers, Testbed, eventually};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Request, Response, Status as Refusal};
use uuid::Uuid;

pub(crate) const ACCOUNT: &str = "acct-1";

/// A platform with nothing but this service's tables, and a codec for feeding it.
pub(crate) struct Bench {
    pub(crate) testbed: Testbed,
    pub(crate) codec: Codec,
}

impl Bench {
    pub(crate) async fn start() -> Result<Self> {
        let testbed = Testbed::start(&[&MIGRATIONS]).await?;
        let config = testbed.config(Workload::Analytics);
        let [created, changed] = projection::TOPICS;
        let all = [
            created,
            changed,
            topics::ANALYTICS_ASSESSED,
            topics::ANALYTICS_OBSERVED,
        ];
        let codec = Codec::connect(&config.schema_registry, &config.kafka.topic_prefix, &all).await?;
        Ok(Self { testbed, codec })
    }

    async fn chassis(&self, instance: &str) -> Result<Chassis> {
        Ok(self
            .testbed
            .chassis(Workload::Analytics, instance, &MIGRATIONS)
            .await?)
    }

    pub(crate) async fn service(&self, instance: &str) -> Result<Service> {
        Service::on(self.chassis(instance).await?)
    }

    /// A service whose group has read nothing yet.
    pub(crate) async fn forgetful_service(&self) -> Result<Service> {
        let mut chassis = self.chassis("forgetful").await?;
        Arc::make_mut(&mut chassis.config)
            .kafka
            .group_id
            .push_str(".again");
        Service::on(chassis)
    }

    /// Waits until as many events are applied and nothing waits.
    pub(crate) async fn applied(&self, events: usize) -> Result<()> {
        let wanted = format!("{events}|0");
        eventually(&format!("{events} events applied"), || async {
            let now = self
                .testbed
                .sql("SELECT coalesce(sum(last_seq), 0), (SELECT count(*) FROM analytics.parked) FROM analytics.projected")
                .await?;
            Ok((now.trim() == wanted).then_some(()))
        })
        .await
    }

    /// Waits until all that the applied events teach is learned.
    pub(crate) async fn learned(&self) -> Result<()> {
        eventually("all observations learned", || async {
            let unsent = self.testbed.sql("SELECT count(*) FROM analytics.outbox").await?;
            if unsent.trim() != "0" {
                return Ok(None);
            }
            let mut newest: BTreeMap<Uuid, i64> = BTreeMap::new();
            for record in self.testbed.log()?.read(&topics::ANALYTICS_OBSERVED).await? {
                let observed: ShipmentObserved = self
                    .codec
                    .decode(record.payload.as_deref().unwrap_or_default())
                    .await?;
                let seq = newest.entry(observed.shipment_id).or_default();
                *seq = observed.seq.max(*seq);
            }
            let wanted: i64 = newest.values().sum();
            let learned = self
                .testbed
                .sql("SELECT coalesce(sum(seq), 0) FROM analytics.learned")
                .await?;
            Ok((learned.trim() == wanted.to_string()).then_some(()))
        })
        .await
    }

    /// Waits until the observation at this position of a shipment is learned.
    pub(crate) async fn learned_of(&self, shipment: Uuid, seq: i64) -> Result<()> {
        let sql = format!("SELECT seq FROM analytics.learned WHERE shipment_id = '{shipment}'");
        eventually(&format!("{shipment} learned up to {seq}"), || async {
            let learned = self.testbed.sql(&sql).await?;
            Ok((learned.trim() == seq.to_string()).then_some(()))
        })
        .await
    }

    pub(crate) fn request<T>(&self, account: &str, role: &str, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.testbed.bearer("ann", &[role], account)?);
        Ok(request)
    }

    pub(crate) async fn feed(&self, events: &[Happening]) -> Result<()> {
        let records: Result<Vec<FeedRecord>> = events.iter().map(|event| event.record(&self.codec)).collect();
        self.testbed.log()?.write(&records?).await
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) client: AnalyticsServiceClient<Channel>,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Service {
    fn on(chassis: Chassis) -> Result<Self> {
        let address = format!("http://{}", chassis.grpc_address());
        let shutdown = chassis.shutdown.clone();
        let ended = tokio::spawn(logistics_analytics::serve(chassis));
        let client = AnalyticsServiceClient::new(Channel::from_shared(address)?.connect_lazy());
        Ok(Self {
            client,
            shutdown,
            ended,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        Ok(self.ended.await??)
    }

    pub(crate) async fn accuracy(&self, bench: &Bench, account: &str) -> Result<proto::GetAccuracyResponse> {
        let request = bench.request(account, "admin", proto::GetAccuracyRequest {})?;
        Ok(self.client.clone().get_accuracy(request).await?.into_inner())
    }

    pub(crate) async fn lanes(
        &self,
        bench: &Bench,
        account: &str,
        page_size: i32,
    ) -> Result<Vec<proto::Lane>> {
        let request = bench.request(account, "user", proto::ListLanesRequest { page_size })?;
        Ok(self.client.clone().list_lanes(request).await?.into_inner().lanes)
    }

    pub(crate) async fn assessment(
        &self,
        bench: &Bench,
        account: &str,
        shipment_id: &str,
    ) -> Result<Result<proto::Assessment, Refusal>> {
        let message = proto::GetAssessmentRequest {
            shipment_id: shipment_id.to_owned(),
        };
        let answer = self
            .client
            .clone()
            .get_assessment(bench.request(account, "shipman", message)?)
            .await;
        Ok(answer
            .map(Response::into_inner)
            .map(|answer| answer.assessment.unwrap_or_default()))
    }
}

/// One event, and when it is recorded.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Created(ShipmentCreated),
    Changed(ShipmentStatusChanged),
}

impl Happening {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Created(event) => event.recorded_at,
            Self::Changed(event) => event.recorded_at,
        }
    }

    fn record(&self, codec: &Codec) -> Result<FeedRecord> {
        match self {
            Self::Created(event) => FeedRecord::of(codec, event),
            Self::Changed(event) => FeedRecord::of(codec, event),
        }
    }
}

/// A leg: planned for two hours, with its real delays in minutes; `None` means that it was cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) number: u64,
    pub(crate) carrier: &'static str,
    pub(crate) destination: &'static str,
    pub(crate) delays: Option<(i64, i64)>,
}

pub(crate) fn start_of(number: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
        + TimeDelta::days(16_000)
        + TimeDelta::minutes(i64::try_from(number).unwrap_or_default() * 5)
}

impl Leg {
    pub(crate) const fn id(&self) -> Uuid {
        Uuid::from_u64_pair(0x0198_c5a4_7d2e_7c3b, 0x9f10_0000_0000_0000 | self.number)
    }

    pub(crate) fn created(&self) -> Happening {
        let departure = start_of(self.number);
        let place = |code: &str| Location {
            code: code.to_owned(),
            facility: String::new(),
        };
        Happening::Created(ShipmentCreated {
            shipment_id: self.id(),
            seq: 1,
            account_id: ACCOUNT.to_owned(),
            actor: "ann".to_owned(),
            carrier: self.carrier.to_owned(),
            tracking_number: self.number.to_string(),
            origin: place("EWR"),
            destination: place(self.destination),
            planned_departure: departure,
            promised_arrival: departure + TimeDelta::hours(2),
            recorded_at: departure - TimeDelta::hours(3),
        })
    }

    pub(crate) fn changed(&self, seq: i64, status: Status, occurred_at: DateTime<Utc>) -> Happening {
        Happening::Changed(ShipmentStatusChanged {
            shipment_id: self.id(),
            seq,
            account_id: ACCOUNT.to_owned(),
            actor: "scanner".to_owned(),
            reported: status,
            status,
            classifier: Classifier::Actual,
            disposition: Disposition::Applied,
            occurred_at,
            recorded_at: occurred_at,
            location: None,
            reason: String::new(),
            kind: Kind::Scan,
            retracts: None,
            delay: None,
            notice: None,
            proof: None,
            assignee: String::new(),
        })
    }

    pub(crate) fn happenings(&self) -> Vec<Happening> {
        let departure = start_of(self.number);
        match self.delays {
            None => vec![self.created(), self.changed(2, Status::Cancelled, departure)],
            Some((left, came)) => vec![
                self.created(),
                self.changed(2, Status::InTransit, departure + TimeDelta::minutes(left)),
                self.changed(
                    3,
                    Status::AvailableForPickup,
                    departure + TimeDelta::minutes(120 + came),
                ),
            ],
        }
    }
}

/// Legs whose departure explains most of their delay: of four carriers and three routes one is late more often.
pub(crate) fn legs(count: u64) -> Vec<Leg> {
    let mut numbers = Numbers::new(11);
    let mut leg = |number: u64| {
        let carrier = ["UA", "DL", "B6", "AA"][usize::try_from(number % 4).unwrap_or_default()];
        let destination = ["IAH", "ATL", "ORD"][usize::try_from(number / 4 % 3).unwrap_or_default()];
        let unlucky = if (carrier, destination) == ("B6", "ORD") {
            35
        } else {
            0
        };
        let base = i64::try_from(numbers.below(10)).unwrap_or_default() - 5;
        let trouble = if numbers.below(4) == 0 {
            i64::try_from(numbers.below(90)).unwrap_or_default()
        } else {
            0
        };
        let left = base + trouble + unlucky;
        let flight = i64::try_from(numbers.below(21)).unwrap_or_default() - 17;
        let delays = (numbers.below(25) != 0).then_some((left, left + flight));
        Leg {
            number,
            carrier,
            destination,
            delays,
        }
    };
    (0..count).map(&mut leg).collect()
}

/// All that happens to the legs, in the order of time.
pub(crate) fn in_time(legs: &[Leg]) -> Vec<Happening> {
    let mut all: Vec<Happening> = legs.iter().flat_map(Leg::happenings).collect();
    all.sort_by_key(Happening::at);
    all
}
