//! The write path: a change, its audit leaf, its idempotency record and its outbox record in one transaction. A reply means
//! durable. Requests that wait at the same time share a transaction: most of what one costs is its commit.

mod batch;
mod committer;

use logistics_chassis::errors::ServiceError;
use logistics_chassis::idempotency::Claim;
use logistics_chassis::identity::Principal;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use self::batch::now;
pub(crate) use self::committer::{CommitMetrics, Committers};
use crate::model::{Change, Order};
use crate::request::{self, Cancellation, Scan};

/// Writes for the callers; clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Writer(mpsc::Sender<(Job, Reply)>);

/// What is to be done, checked but not yet decided.
#[derive(Clone, Debug)]
enum Intent {
    Create(Order),
    Record(Scan),
    Cancel(Cancellation),
}

/// A request on its way to the database.
#[derive(Debug)]
struct Job {
    principal: Principal,
    claim: Claim,
    intent: Intent,
    /// The answer, encoded: it is kept as it is sent.
    answer: fn(&Change) -> Vec<u8>,
    /// The trace that the event carries on.
    span: Span,
}

/// Where a request's answer goes, or why there is none.
type Reply = oneshot::Sender<Result<Vec<u8>, ServiceError>>;

/// What a change is answered with.
trait Answer: prost::Message + Default {
    fn of(change: &Change) -> Self;
}

impl Answer for proto::CreateShipmentResponse {
    fn of(change: &Change) -> Self {
        Self {
            shipment: Some(change.shipment.to_proto()),
        }
    }
}

impl Answer for proto::RecordEventResponse {
    fn of(change: &Change) -> Self {
        Self {
            event: Some(change.event_to_proto()),
            shipment: Some(change.shipment.to_proto()),
        }
    }
}

impl Answer for proto::CancelShipmentResponse {
    fn of(change: &Change) -> Self {
        Self {
            shipment: Some(change.shipment.to_proto()),
        }
    }
}

impl Writer {
    pub(crate) async fn create(
        &self,
        principal: &Principal,
        request: &proto::CreateShipmentRequest,
    ) -> Result<proto::CreateShipmentResponse, ServiceError> {
        let intent = Intent::Create(request::create(request)?);
        let claim = Claim::new(principal, "CreateShipment", &request.idempotency_key, request);
        self.once(principal, claim, intent).await
    }

    pub(crate) async fn record(
        &self,
        principal: &Principal,
        request: &proto::RecordEventRequest,
    ) -> Result<proto::RecordEventResponse, ServiceError> {
        let intent = Intent::Record(request::record(request, now())?);
        let claim = Claim::new(principal, "RecordEvent", &request.idempotency_key, request);
        self.once(principal, claim, intent).await
    }

    pub(crate) async fn cancel(
        &self,
        principal: &Principal,
        request: &proto::CancelShipmentRequest,
    ) -> Result<proto::CancelShipmentResponse, ServiceError> {
        let intent = Intent::Cancel(request::cancel(request)?);
        let claim = Claim::new(principal, "CancelShipment", &request.idempotency_key, request);
        self.once(principal, claim, intent).await
    }

    /// Answers as the first time, or does it and keeps the answer.
    async fn once<R: Answer>(
        &self,
        principal: &Principal,
        claim: Claim,
        intent: Intent,
    ) -> Result<R, ServiceError> {
        let (reply, replied) = oneshot::channel();
        let job = Job {
            principal: principal.clone(),
            claim,
            intent,
            answer: |change| R::of(change).encode_to_vec(),
            span: Span::current(),
        };
        // The committers end after the last request was answered; before that, only by a failure that ends the process.
        let stopping = || ServiceError::from(sqlx::Error::PoolClosed);
        self.0.send((job, reply)).await.map_err(|_| stopping())?;
        let answer = replied.await.map_err(|_| stopping())??;
        R::decode(answer.as_slice()).map_err(|error| ServiceError::internal("read the answer", error))
    }
}
