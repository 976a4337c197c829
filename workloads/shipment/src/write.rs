//! The write path: a change, its idempotency record and its outbox record in one transaction. A reply means durable.

use chrono::{DateTime, SubsecRound as _, Utc};
use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::idempotency::{Claim, Recorded};
use logistics_chassis::identity::Principal;
use logistics_chassis::outbox::{self, Record, Waker};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::change::{self, Act};
use crate::model::Change;
use crate::request::{self, Cancellation, Scan};
use crate::{model::Order, store};

/// Writes for the callers.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pool: PgPool,
    waker: Waker,
    events: EventWriter,
}

/// What is to be done, checked but not yet decided.
enum Intent {
    Create(Order),
    Record(Scan),
    Cancel(Cancellation),
}

impl Writer {
    pub(crate) const fn new(pool: PgPool, waker: Waker, events: EventWriter) -> Self {
        Self { pool, waker, events }
    }

    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: &proto::CreateShipmentRequest,
    ) -> Result<proto::CreateShipmentResponse, ServiceError> {
        let intent = Intent::Create(request::create(request)?);
        let claim = Claim::new(principal, "CreateShipment", &request.idempotency_key, request);
        self.once(principal, &claim, &intent, |change| {
            proto::CreateShipmentResponse {
                shipment: Some(change.shipment.to_proto()),
            }
        })
        .await
    }

    pub(crate) async fn record(
        &self,
        principal: &Principal,
        request: &proto::RecordEventRequest,
    ) -> Result<proto::RecordEventResponse, ServiceError> {
        let intent = Intent::Record(request::record(request, now())?);
        let claim = Claim::new(principal, "RecordEvent", &request.idempotency_key, request);
        self.once(principal, &claim, &intent, |change| proto::RecordEventResponse {
            event: Some(change.event_to_proto()),
            shipment: Some(change.shipment.to_proto()),
        })
        .await
    }

    pub(crate) async fn cancel(
        &self,
        principal: &Principal,
        request: &proto::CancelShipmentRequest,
    ) -> Result<proto::CancelShipmentResponse, ServiceError> {
        let intent = Intent::Cancel(request::cancel(request)?);
        let claim = Claim::new(principal, "CancelShipment", &request.idempotency_key, request);
        self.once(principal, &claim, &intent, |change| {
            proto::CancelShipmentResponse {
                shipment: Some(change.shipment.to_proto()),
            }
        })
        .await
    }

    /// Answers as the first time, or does it and keeps the answer.
    async fn once<R: prost::Message + Default>(
        &self,
        principal: &Principal,
        claim: &Claim,
        intent: &Intent,
        answer: impl Fn(&Change) -> R,
    ) -> Result<R, ServiceError> {
        let mut transaction = self.pool.begin().await?;
        if let Some(first) = claim.replay(&mut transaction).await? {
            return Ok(first);
        }
        let change = decide(&mut transaction, principal, intent).await?;
        let response = answer(&change);
        store::write(&mut transaction, &change).await?;
        outbox::append(&mut transaction, &[self.outbox_record(&change)?]).await?;
        match claim.record(&mut transaction, &response).await? {
            Recorded::First => {
                transaction.commit().await?;
                self.waker.wake();
                Ok(response)
            }
            Recorded::Overtaken => {
                transaction.rollback().await?;
                let mut connection = self.pool.acquire().await?;
                let first = claim.replay(&mut connection).await?;
                first.ok_or_else(|| ServiceError::internal("replay", "the first answer is gone"))
            }
        }
    }

    fn outbox_record(&self, change: &Change) -> Result<Record, ServiceError> {
        let event = &change.event;
        let record = if event.seq == 1 {
            self.events.record(event.id, event.recorded_at, &change.created())
        } else {
            self.events
                .record(event.id, event.recorded_at, &change.status_changed())
        };
        record.map_err(|error| ServiceError::internal("encode the event", error))
    }
}

/// Decides on the shipment as it is, which is locked from here on.
async fn decide(
    connection: &mut PgConnection,
    principal: &Principal,
    intent: &Intent,
) -> Result<Change, ServiceError> {
    let locked = match intent {
        Intent::Create(_) => None,
        Intent::Record(Scan { shipment_id, .. }) | Intent::Cancel(Cancellation { shipment_id, .. }) => {
            Some(store::lock(connection, *shipment_id, &principal.account_id).await?)
        }
    };
    // After the lock: times of one shipment's events do not run backwards.
    let act = Act {
        principal,
        now: now(),
        event_id: Uuid::now_v7(),
    };
    match (intent, locked) {
        (Intent::Create(order), _) => Ok(change::create(order.clone(), Uuid::now_v7(), act)),
        (Intent::Record(scan), Some(shipment)) => Ok(change::record(shipment, scan.clone(), act)),
        (Intent::Cancel(cancellation), Some(shipment)) => change::cancel(shipment, cancellation.clone(), act),
        (Intent::Record(_) | Intent::Cancel(_), None) => {
            Err(ServiceError::internal("decide", "nothing is locked"))
        }
    }
}

/// The clock, as fine as PostgreSQL and Avro keep it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
