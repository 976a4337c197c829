//! A running service and its callers.

use std::time::Duration;

use anyhow::Result;
use logistics_chassis::service::RunError;
use logistics_chassis::shutdown::Shutdown;
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::Testbed;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// A running shipment service.
pub(crate) struct Service {
    pub(crate) channel: Channel,
    pub(crate) client: ShipmentServiceClient<Channel>,
    pub(crate) admin: String,
    pub(crate) shutdown: Shutdown,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Service {
    pub(crate) async fn start(testbed: &Testbed, instance: &str) -> Result<Self> {
        let chassis = testbed.chassis(Workload::Shipment, instance, &MIGRATIONS).await?;
        let address = format!("http://{}", chassis.grpc_address());
        let admin = format!("http://{}", chassis.admin_address());
        let shutdown = chassis.shutdown.clone();
        let ended = tokio::spawn(logistics_shipment::serve(chassis));
        let channel = Channel::from_shared(address)?.connect_lazy();
        let service = Self {
            client: ShipmentServiceClient::new(channel.clone()),
            channel,
            admin,
            shutdown,
            ended,
        };
        logistics_testbed::eventually("the service is ready", || async {
            let answer = reqwest::get(format!("{}/readyz", service.admin)).await?;
            Ok(answer.status().is_success().then_some(()))
        })
        .await?;
        Ok(service)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.request();
        Ok(self.ended.await??)
    }

    /// Ends as `kill -9` does, as far as that is possible within a process: nothing is finished.
    pub(crate) fn kill(self) {
        self.ended.abort();
    }
}

/// A caller, with its token.
#[derive(Clone)]
pub(crate) struct Caller {
    client: ShipmentServiceClient<Channel>,
    bearer: Option<MetadataValue<Ascii>>,
    deadline: Option<Duration>,
}

impl Caller {
    pub(crate) fn new(service: &Service, bearer: Option<MetadataValue<Ascii>>) -> Self {
        Self {
            client: service.client.clone(),
            bearer,
            deadline: None,
        }
    }

    /// With a deadline, which the service is told.
    pub(crate) fn within(self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    pub(crate) fn admin(testbed: &Testbed, service: &Service, account: &str) -> Result<Self> {
        Ok(Self::new(
            service,
            Some(testbed.bearer("ann", &["admin"], account)?),
        ))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    pub(crate) async fn create(
        &self,
        request: proto::CreateShipmentRequest,
    ) -> Result<proto::Shipment, Status> {
        let answer = self.client.clone().create_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn record(
        &self,
        request: proto::RecordEventRequest,
    ) -> Result<proto::RecordEventResponse, Status> {
        Ok(self
            .client
            .clone()
            .record_event(self.request(request))
            .await?
            .into_inner())
    }

    /// Sends orders in one stream.
    pub(crate) async fn create_many(
        &self,
        orders: impl IntoIterator<Item = proto::CreateShipmentRequest, IntoIter: Send + 'static>,
    ) -> Result<Vec<proto::CreateShipmentsResult>, Status> {
        let messages = orders
            .into_iter()
            .map(|order| proto::CreateShipmentsRequest { order: Some(order) });
        let request = self.request(futures::stream::iter(messages));
        let answer = self.client.clone().create_shipments(request).await?;
        Ok(answer.into_inner().results)
    }

    pub(crate) async fn find(
        &self,
        carrier: &str,
        tracking_number: &str,
        at: Option<i64>,
    ) -> Result<proto::Shipment, Status> {
        let request = proto::FindShipmentRequest {
            carrier: carrier.to_owned(),
            tracking_number: tracking_number.to_owned(),
            at: at.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        };
        let answer = self.client.clone().find_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn deliver(
        &self,
        request: proto::RecordDeliveryRequest,
    ) -> Result<proto::RecordDeliveryResponse, Status> {
        let answer = self.client.clone().record_delivery(self.request(request)).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn delay(
        &self,
        request: proto::ReportDelayRequest,
    ) -> Result<proto::ReportDelayResponse, Status> {
        let answer = self.client.clone().report_delay(self.request(request)).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn retract(
        &self,
        key: &str,
        shipment_id: &str,
        event_id: &str,
    ) -> Result<proto::RetractEventResponse, Status> {
        let request = proto::RetractEventRequest {
            idempotency_key: key.to_owned(),
            shipment_id: shipment_id.to_owned(),
            event_id: event_id.to_owned(),
            reason: "did_not_occur".to_owned(),
        };
        let answer = self.client.clone().retract_event(self.request(request)).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn send_back(&self, key: &str, shipment_id: &str) -> Result<proto::Shipment, Status> {
        let request = proto::ReturnShipmentRequest {
            idempotency_key: key.to_owned(),
            shipment_id: shipment_id.to_owned(),
            reason: "refused".to_owned(),
        };
        let answer = self.client.clone().return_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn assign(
        &self,
        key: &str,
        shipment_id: &str,
        assignee: &str,
    ) -> Result<proto::Shipment, Status> {
        let request = proto::AssignShipmentRequest {
            idempotency_key: key.to_owned(),
            shipment_id: shipment_id.to_owned(),
            assignee: assignee.to_owned(),
        };
        let answer = self.client.clone().assign_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn cancel(&self, key: &str, shipment_id: &str) -> Result<proto::Shipment, Status> {
        let request = proto::CancelShipmentRequest {
            idempotency_key: key.to_owned(),
            shipment_id: shipment_id.to_owned(),
            reason: String::new(),
        };
        let answer = self.client.clone().cancel_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn get(&self, shipment_id: &str) -> Result<proto::Shipment, Status> {
        let request = proto::GetShipmentRequest {
            shipment_id: shipment_id.to_owned(),
        };
        let answer = self.client.clone().get_shipment(self.request(request)).await?;
        answer
            .into_inner()
            .shipment
            .ok_or_else(|| Status::internal("no shipment"))
    }

    pub(crate) async fn list(
        &self,
        page_size: i32,
        page_token: &str,
    ) -> Result<proto::ListShipmentsResponse, Status> {
        let request = proto::ListShipmentsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        Ok(self
            .client
            .clone()
            .list_shipments(self.request(request))
            .await?
            .into_inner())
    }
}

/// The fields that a status calls wrong.
pub(crate) fn wrong_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map(|request| request.field_violations.clone())
        .unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// The reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

/// How many rows the service has written, by table.
pub(crate) async fn rows(testbed: &Testbed) -> Result<String> {
    testbed
        .sql(
            "SELECT (SELECT count(*) FROM shipment.shipments), (SELECT count(*) FROM shipment.shipment_events),
                    (SELECT count(*) FROM shipment.idempotency)",
        )
        .await
}
