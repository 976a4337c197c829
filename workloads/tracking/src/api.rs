//! The gRPC service.

use logistics_chassis::errors::ServiceError;
use logistics_chassis::identity::Principal;
use logistics_chassis::projection;
use logistics_chassis::server::Deadline;
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_server::TrackingService;
use sqlx::PgPool;
use tonic::{Request, Response, Status};

use crate::read::Reader;
use crate::stream::{Answer, Streams};
use crate::{request, store, view};

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    pool: PgPool,
    reader: Reader,
    streams: Streams,
}

impl Api {
    pub(crate) const fn new(pool: PgPool, reader: Reader, streams: Streams) -> Self {
        Self {
            pool,
            reader,
            streams,
        }
    }
}

#[tonic::async_trait]
impl TrackingService for Api {
    async fn get_timeline(
        &self,
        request: Request<proto::GetTimelineRequest>,
    ) -> Result<Response<proto::GetTimelineResponse>, Status> {
        let principal = Principal::of(&request)?;
        let id = request::shipment_id(&request.get_ref().shipment_id)?;
        Ok(Response::new(self.reader.one(id, &principal.account_id).await?))
    }

    async fn batch_get_timelines(
        &self,
        request: Request<proto::BatchGetTimelinesRequest>,
    ) -> Result<Response<proto::BatchGetTimelinesResponse>, Status> {
        let principal = Principal::of(&request)?;
        let ids = request::shipment_ids(&request.get_ref().shipment_ids)?;
        let mut found = self.reader.many(&ids, &principal.account_id).await?;
        let mut answer = proto::BatchGetTimelinesResponse::default();
        for id in ids {
            match found.remove(&id) {
                Some(timeline) => answer.timelines.push(timeline),
                None => answer.missing.push(id.to_string()),
            }
        }
        Ok(Response::new(answer))
    }

    async fn get_public_timeline(
        &self,
        request: Request<proto::GetPublicTimelineRequest>,
    ) -> Result<Response<proto::GetPublicTimelineResponse>, Status> {
        let (id, number) = request::public(request.get_ref())?;
        let timeline = store::public_timeline(&self.pool, id, &number).await?;
        Ok(Response::new(view::public(&timeline)))
    }

    type StreamTrackingStream = Answer;

    async fn stream_tracking(
        &self,
        request: Request<proto::StreamTrackingRequest>,
    ) -> Result<Response<Answer>, Status> {
        let principal = Principal::of(&request)?;
        let (id, after) = request::stream_start(request.get_ref())?;
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
