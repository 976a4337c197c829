//! The gRPC service: takes a request apart, lets the writer or the store do it, and answers.

use chrono::Utc;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::identity::Principal;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_server::ShipmentService;
use sqlx::PgPool;
use tonic::{Request, Response, Status, Streaming};

use crate::write::Writer;
use crate::{many, page, request, store};

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    pool: PgPool,
    writer: Writer,
}

impl Api {
    pub(crate) const fn new(pool: PgPool, writer: Writer) -> Self {
        Self { pool, writer }
    }
}

#[tonic::async_trait]
impl ShipmentService for Api {
    async fn create_shipment(
        &self,
        request: Request<proto::CreateShipmentRequest>,
    ) -> Result<Response<proto::CreateShipmentResponse>, Status> {
        let answer = self
            .writer
            .create(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn create_shipments(
        &self,
        request: Request<Streaming<proto::CreateShipmentsRequest>>,
    ) -> Result<Response<proto::CreateShipmentsResponse>, Status> {
        let principal = Principal::of(&request)?.clone();
        let answer = many::create(&self.writer, &principal, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn find_shipment(
        &self,
        request: Request<proto::FindShipmentRequest>,
    ) -> Result<Response<proto::FindShipmentResponse>, Status> {
        let principal = Principal::of(&request)?;
        let wanted = request::find(request.get_ref(), Utc::now())?;
        let shipment = store::find(&self.pool, &wanted, &principal.account_id).await?;
        Ok(Response::new(proto::FindShipmentResponse {
            shipment: Some(shipment.to_proto()),
        }))
    }

    async fn get_shipment(
        &self,
        request: Request<proto::GetShipmentRequest>,
    ) -> Result<Response<proto::GetShipmentResponse>, Status> {
        let principal = Principal::of(&request)?;
        let id = request::get(request.get_ref())?;
        let shipment = store::get(&self.pool, id, &principal.account_id).await?;
        Ok(Response::new(proto::GetShipmentResponse {
            shipment: Some(shipment.to_proto()),
        }))
    }

    async fn list_shipments(
        &self,
        request: Request<proto::ListShipmentsRequest>,
    ) -> Result<Response<proto::ListShipmentsResponse>, Status> {
        let principal = Principal::of(&request)?;
        Ok(Response::new(self.list(principal, request.get_ref()).await?))
    }

    async fn record_event(
        &self,
        request: Request<proto::RecordEventRequest>,
    ) -> Result<Response<proto::RecordEventResponse>, Status> {
        let answer = self
            .writer
            .record(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn record_delivery(
        &self,
        request: Request<proto::RecordDeliveryRequest>,
    ) -> Result<Response<proto::RecordDeliveryResponse>, Status> {
        let answer = self
            .writer
            .record_delivery(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn report_delay(
        &self,
        request: Request<proto::ReportDelayRequest>,
    ) -> Result<Response<proto::ReportDelayResponse>, Status> {
        let answer = self
            .writer
            .report_delay(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn retract_event(
        &self,
        request: Request<proto::RetractEventRequest>,
    ) -> Result<Response<proto::RetractEventResponse>, Status> {
        let answer = self
            .writer
            .retract(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn return_shipment(
        &self,
        request: Request<proto::ReturnShipmentRequest>,
    ) -> Result<Response<proto::ReturnShipmentResponse>, Status> {
        let answer = self
            .writer
            .send_back(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn assign_shipment(
        &self,
        request: Request<proto::AssignShipmentRequest>,
    ) -> Result<Response<proto::AssignShipmentResponse>, Status> {
        let answer = self
            .writer
            .assign(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }

    async fn cancel_shipment(
        &self,
        request: Request<proto::CancelShipmentRequest>,
    ) -> Result<Response<proto::CancelShipmentResponse>, Status> {
        let answer = self
            .writer
            .cancel(Principal::of(&request)?, request.get_ref())
            .await?;
        Ok(Response::new(answer))
    }
}

impl Api {
    async fn list(
        &self,
        principal: &Principal,
        request: &proto::ListShipmentsRequest,
    ) -> Result<proto::ListShipmentsResponse, ServiceError> {
        let account_id = &principal.account_id;
        let page = request::list(request, account_id)?;
        let (shipments, more) = store::list(&self.pool, account_id, page).await?;
        let next_page_token = match shipments.last() {
            Some(last) if more => page::write(last.id, account_id),
            _ => String::new(),
        };
        Ok(proto::ListShipmentsResponse {
            shipments: shipments.iter().map(crate::model::Shipment::to_proto).collect(),
            next_page_token,
        })
    }
}
