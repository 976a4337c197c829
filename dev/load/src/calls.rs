//! The calls that can be made.

use clap::ValueEnum;
use logistics_client::Balanced;
use logistics_schemas::grpc::logistics::analytics::v1 as analytics;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::grpc::logistics::shipment::v1 as shipment;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1 as tracking;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_schemas::grpc::logistics::r#type::v1::Location;
use prost_types::Timestamp;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Status};
use uuid::Uuid;

/// How long one call may take.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// What is called; each says which workload has to be the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Call {
    /// shipment: orders a shipment; writes, and feeds the other workloads.
    CreateShipment,
    /// shipment: reads a page.
    ListShipments,
    /// tracking: counts what is projected (role admin).
    GetProjection,
    /// analytics: reads how good the estimates were (role admin).
    GetAccuracy,
}

impl Call {
    /// Makes the call once.
    pub(crate) async fn make(self, channel: Balanced, bearer: &MetadataValue<Ascii>) -> Result<(), Status> {
        match self {
            Self::CreateShipment => {
                let mut client = ShipmentServiceClient::new(channel);
                client.create_shipment(request(order(), bearer)).await.map(drop)
            }
            Self::ListShipments => {
                let mut client = ShipmentServiceClient::new(channel);
                let page = shipment::ListShipmentsRequest {
                    page_size: 20,
                    page_token: String::new(),
                };
                client.list_shipments(request(page, bearer)).await.map(drop)
            }
            Self::GetProjection => {
                let mut client = TrackingServiceClient::new(channel);
                let asked = tracking::GetProjectionRequest {};
                client.get_projection(request(asked, bearer)).await.map(drop)
            }
            Self::GetAccuracy => {
                let mut client = AnalyticsServiceClient::new(channel);
                let asked = analytics::GetAccuracyRequest {};
                client.get_accuracy(request(asked, bearer)).await.map(drop)
            }
        }
    }
}

fn request<T>(message: T, bearer: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

/// A flight from Newark to Houston on New Year's Day of 2013.
fn order() -> shipment::CreateShipmentRequest {
    let place = |code: &str| Location {
        code: code.to_owned(),
        facility: String::new(),
    };
    let at = |seconds| Timestamp { seconds, nanos: 0 };
    shipment::CreateShipmentRequest {
        idempotency_key: Uuid::new_v4().to_string(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: Some(place("EWR")),
        destination: Some(place("IAH")),
        planned_departure: Some(at(1_357_034_100)),
        promised_arrival: Some(at(1_357_046_220)),
    }
}
