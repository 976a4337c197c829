//! The write path: a change, its audit leaf, its idempotency record and its outbox record in one transaction. A reply means
//! durable. Requests that wait at the same time share a transaction: most of what one costs is its commit.

mod batch;
mod committer;
mod intent;

use logistics_chassis::errors::ServiceError;
use logistics_chassis::idempotency::Claim;
use logistics_chassis::identity::Principal;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use self::batch::now;
pub(crate) use self::committer::{CommitMetrics, Committers};
use self::intent::Intent;
use crate::model::Change;
use crate::request;

/// Writes for the callers; clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Writer(mpsc::Sender<(Job, Reply)>);

/// A request on its way to the database.
#[derive(Debug)]
pub(crate) struct Job {
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

/// Answers with the shipment after the change.
macro_rules! answer_shipment {
    ($($answer:ident),*) => {$(
        impl Answer for proto::$answer {
            fn of(change: &Change) -> Self {
                Self {
                    shipment: Some(change.shipment.to_proto()),
                }
            }
        }
    )*};
}

/// Answers with the event, too.
macro_rules! answer_event {
    ($($answer:ident),*) => {$(
        impl Answer for proto::$answer {
            fn of(change: &Change) -> Self {
                Self {
                    event: Some(change.event_to_proto()),
                    shipment: Some(change.shipment.to_proto()),
                }
            }
        }
    )*};
}

answer_shipment!(
    CreateShipmentResponse,
    CancelShipmentResponse,
    ReturnShipmentResponse,
    AssignShipmentResponse
);
answer_event!(
    RecordEventResponse,
    RecordDeliveryResponse,
    ReportDelayResponse,
    RetractEventResponse
);

/// A request of one RPC and what it asks for.
macro_rules! rpc {
    ($name:ident, $method:literal, $request:ident => $answer:ident, $intent:expr) => {
        pub(crate) async fn $name(
            &self,
            principal: &Principal,
            request: &proto::$request,
        ) -> Result<proto::$answer, ServiceError> {
            let intent: fn(&proto::$request) -> Result<Intent, ServiceError> = $intent;
            let intent = intent(request)?;
            let claim = Claim::new(principal, $method, &request.idempotency_key, request);
            self.once(principal, claim, intent).await
        }
    };
}

impl Writer {
    rpc!(create, "CreateShipment", CreateShipmentRequest => CreateShipmentResponse,
        |request| request::create(request).map(Intent::Create));
    rpc!(record, "RecordEvent", RecordEventRequest => RecordEventResponse,
        |request| request::record(request, now()).map(Intent::Record));
    rpc!(record_delivery, "RecordDelivery", RecordDeliveryRequest => RecordDeliveryResponse,
        |request| request::delivery(request, now()).map(Intent::Record));
    rpc!(report_delay, "ReportDelay", ReportDelayRequest => ReportDelayResponse,
        |request| request::delay(request, now()).map(Intent::Record));
    rpc!(retract, "RetractEvent", RetractEventRequest => RetractEventResponse,
        |request| request::retract(request).map(Intent::Retract));
    rpc!(cancel, "CancelShipment", CancelShipmentRequest => CancelShipmentResponse,
        |request| request::cancel(request).map(Intent::Cancel));
    rpc!(send_back, "ReturnShipment", ReturnShipmentRequest => ReturnShipmentResponse,
        |request| request::send_back(request).map(Intent::Return));
    rpc!(assign, "AssignShipment", AssignShipmentRequest => AssignShipmentResponse,
        |request| request::assign(request).map(Intent::Assign));

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
