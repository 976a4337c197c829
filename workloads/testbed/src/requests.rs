//! Requests that the shipment service accepts.

use logistics_schemas::grpc::logistics::shipment::v1::{CreateShipmentRequest, RecordEventRequest};
use logistics_schemas::grpc::logistics::r#type::v1::{Classifier, Location, Status};
use prost_types::Timestamp;

/// An order: a flight from Newark to Houston on New Year's Day of 2013.
#[must_use]
pub fn order(key: &str) -> CreateShipmentRequest {
    let place = |code: &str| Location {
        code: code.to_owned(),
        facility: String::new(),
    };
    CreateShipmentRequest {
        idempotency_key: key.to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: Some(place("EWR")),
        destination: Some(place("IAH")),
        planned_departure: Some(at(1_357_034_100)),
        promised_arrival: Some(at(1_357_046_220)),
    }
}

/// A scan, `seconds` after 1970.
#[must_use]
pub fn scan(key: &str, shipment_id: &str, status: Status, seconds: i64) -> RecordEventRequest {
    RecordEventRequest {
        idempotency_key: key.to_owned(),
        shipment_id: shipment_id.to_owned(),
        status: status.into(),
        classifier: Classifier::Actual.into(),
        occurred_at: Some(at(seconds)),
        location: None,
        reason: String::new(),
    }
}

const fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}
