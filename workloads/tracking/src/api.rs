//! The gRPC service.

use logistics_chassis::codec::{
    classifier_to_proto, disposition_to_proto, location_to_proto, status_to_proto,
};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::{Fields, timestamp};
use logistics_chassis::identity::Principal;
use logistics_chassis::projection;
use logistics_chassis::server::Deadline;
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_server::TrackingService;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use sqlx::PgPool;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::store::{self, Entry, Shipment};
use crate::stream::{Answer, Streams};

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    pool: PgPool,
    streams: Streams,
}

impl Api {
    pub(crate) const fn new(pool: PgPool, streams: Streams) -> Self {
        Self { pool, streams }
    }
}

#[tonic::async_trait]
impl TrackingService for Api {
    async fn get_timeline(
        &self,
        request: Request<proto::GetTimelineRequest>,
    ) -> Result<Response<proto::GetTimelineResponse>, Status> {
        let principal = Principal::of(&request)?;
        let id = shipment_id(&request.get_ref().shipment_id)?;
        let (shipment, entries) = store::timeline(&self.pool, id, &principal.account_id).await?;
        Ok(Response::new(timeline(&shipment, &entries)))
    }

    type StreamTrackingStream = Answer;

    async fn stream_tracking(
        &self,
        request: Request<proto::StreamTrackingRequest>,
    ) -> Result<Response<Answer>, Status> {
        let principal = Principal::of(&request)?;
        let (id, after) = stream_start(request.get_ref())?;
        let answer = self
            .streams
            .open(principal, id, after, Deadline::of(&request))
            .await?;
        Ok(Response::new(answer))
    }

    async fn get_projection(
        &self,
        request: Request<proto::GetProjectionRequest>,
    ) -> Result<Response<proto::GetProjectionResponse>, Status> {
        let principal = Principal::of(&request)?;
        let progress = projection::progress(&self.pool, &principal.account_id)
            .await
            .map_err(ServiceError::from)?;
        Ok(Response::new(proto::GetProjectionResponse {
            shipments: progress.shipments,
            events: progress.events,
            parked: progress.parked,
        }))
    }
}

fn shipment_id(value: &str) -> Result<Uuid, ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", value);
    fields.finish()?;
    id.ok_or_else(|| ServiceError::internal("check shipment_id", "a wrong value was not reported"))
}

fn stream_start(request: &proto::StreamTrackingRequest) -> Result<(Uuid, i64), ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    if request.after_seq < 0 {
        fields.wrong(
            "after_seq",
            &request.after_seq.to_string(),
            "give the seq of the last event that you have, or 0",
        );
    }
    fields.finish()?;
    let id =
        id.ok_or_else(|| ServiceError::internal("check shipment_id", "a wrong value was not reported"))?;
    Ok((id, request.after_seq))
}

fn timeline(shipment: &Shipment, entries: &[Entry]) -> proto::GetTimelineResponse {
    proto::GetTimelineResponse {
        shipment_id: shipment.id.to_string(),
        carrier: shipment.carrier.clone(),
        tracking_number: shipment.tracking_number.clone(),
        origin: Some(location_to_proto(&shipment.origin)),
        destination: Some(location_to_proto(&shipment.destination)),
        planned_departure: Some(timestamp(shipment.planned_departure)),
        promised_arrival: Some(timestamp(shipment.promised_arrival)),
        status: status_to_proto(shipment.status).into(),
        events: entries.iter().map(event).collect(),
    }
}

pub(crate) fn event(entry: &Entry) -> types::ShipmentEvent {
    types::ShipmentEvent {
        event_id: entry.event_id.to_string(),
        shipment_id: entry.shipment_id.to_string(),
        seq: entry.seq,
        status: status_to_proto(entry.reported).into(),
        classifier: classifier_to_proto(entry.classifier).into(),
        occurred_at: Some(timestamp(entry.occurred_at)),
        recorded_at: Some(timestamp(entry.recorded_at)),
        location: entry.location.as_ref().map(location_to_proto),
        reason: entry.reason.clone(),
        actor: entry.actor.clone(),
        disposition: disposition_to_proto(entry.disposition).into(),
    }
}
