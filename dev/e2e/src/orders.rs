//! Small, real traffic: shipments that are ordered, leave and arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{TimeDelta, Utc};
use dev_demo::call::{Services, patiently};
use dev_demo::counts::{self, Count};
use dev_demo::run::Callers;
use dev_demo::send::timestamp;
use logistics_schemas::grpc::logistics::shipment::v1::{CreateShipmentRequest, RecordEventRequest};
use logistics_schemas::grpc::logistics::r#type::v1::{Classifier, Location, Status};
use tokio::task::JoinHandle;

use crate::wait;

/// What was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Shipments.
    pub shipments: i64,
    /// Events, creations included.
    pub events: i64,
    /// Calls that were tried again.
    pub retries: u64,
}

/// One shipment with three events, each acknowledged; gives its id.
pub async fn one(services: &Services, callers: &Callers, retries: &AtomicU64) -> Result<String> {
    let shipment = patiently(retries, {
        let message = order();
        move || {
            let (mut client, request) = (services.shipment.clone(), callers.user.plain(message.clone()));
            async move { client.create_shipment(request).await }
        }
    });
    let id = shipment
        .await
        .context("CreateShipment")?
        .shipment
        .context("no shipment in the answer")?
        .shipment_id;
    for (status, hours_ago) in [(Status::InTransit, 4), (Status::AvailableForPickup, 1)] {
        let message = event(&id, status, TimeDelta::hours(hours_ago));
        patiently(retries, || {
            let (mut client, request) = (services.shipment.clone(), callers.shipman.plain(message.clone()));
            async move { client.record_event(request).await }
        })
        .await
        .with_context(|| format!("RecordEvent {}", status.as_str_name()))?;
    }
    Ok(id)
}

/// A right order with a fresh idempotency key.
#[must_use]
pub fn order() -> CreateShipmentRequest {
    let place = |code: &str| {
        Some(Location {
            code: code.into(),
            facility: String::new(),
        })
    };
    let now = Utc::now();
    CreateShipmentRequest {
        idempotency_key: uuid::Uuid::new_v4().to_string(),
        carrier: "UA".into(),
        tracking_number: "1545".into(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: Some(timestamp(now - TimeDelta::hours(4))),
        promised_arrival: Some(timestamp(now - TimeDelta::hours(1))),
    }
}

/// A right event with a fresh idempotency key, some time ago.
#[must_use]
pub fn event(shipment_id: &str, status: Status, ago: TimeDelta) -> RecordEventRequest {
    RecordEventRequest {
        idempotency_key: uuid::Uuid::new_v4().to_string(),
        shipment_id: shipment_id.to_owned(),
        status: status.into(),
        classifier: Classifier::Actual.into(),
        occurred_at: Some(timestamp(Utc::now() - ago)),
        location: None,
        reason: String::new(),
    }
}

/// Traffic in the background until it is stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Acknowledged>>,
}

impl Traffic {
    /// Starts: one shipment after another, with a pause between them.
    #[must_use]
    pub fn start(services: Services, callers: Callers, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                let retries = AtomicU64::new(0);
                let mut acknowledged = Acknowledged::default();
                while !stop.load(Ordering::Relaxed) {
                    one(&services, &callers, &retries).await?;
                    acknowledged.shipments += 1;
                    acknowledged.events += 3;
                    tokio::time::sleep(pause).await;
                }
                acknowledged.retries = retries.into_inner();
                Ok(acknowledged)
            }
        });
        Self { stop, task }
    }

    /// Ends after the shipment that is under way.
    pub async fn stop(self) -> Result<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// Waits until all three services have exactly what was acknowledged.
pub async fn all_arrived(
    services: &Services,
    callers: &Callers,
    sent: Acknowledged,
    limit: Duration,
) -> Result<()> {
    let expected = Count {
        shipments: sent.shipments,
        events: sent.events,
        parked: 0,
    };
    let all = || async {
        let admin = &callers.admin;
        let counts = [
            counts::shipment(services, admin).await?,
            counts::tracking(services, admin).await?,
            counts::analytics(services, admin).await?.0,
        ];
        anyhow::Ok((counts == [expected; 3], counts))
    };
    let arrived = wait::until("counts in = counts out", limit, || async {
        Ok(all().await?.0.then_some(()))
    })
    .await;
    match arrived {
        Ok(_) => Ok(()),
        Err(error) => Err(error.context(format!(
            "sent {sent:?}, found (shipment, tracking, analytics) {:?}",
            all().await?.1
        ))),
    }
}
