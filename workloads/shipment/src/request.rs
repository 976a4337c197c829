//! Checks requests: what comes out can be written.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_chassis::codec::{Location, classifier_from_proto, status_from_proto};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::Fields;
use logistics_domain::status::{Report, Status};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use uuid::Uuid;

use crate::model::Order;
use crate::page;

/// How far a caller's clock may be ahead.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);
/// A page where the caller names no size, and the largest.
const PAGE: (u16, u16) = (100, 500);

/// A checked `RecordEventRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) shipment_id: Uuid,
    pub(crate) report: Report,
    pub(crate) location: Option<Location>,
    pub(crate) reason: String,
}

/// A checked `CancelShipmentRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancellation {
    pub(crate) shipment_id: Uuid,
    pub(crate) reason: String,
}

/// A checked `ListShipmentsRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) size: u16,
    pub(crate) after: Option<Uuid>,
}

pub(crate) fn create(request: &proto::CreateShipmentRequest) -> Result<Order, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let carrier = fields.text(
        "carrier",
        &request.carrier,
        2..=10,
        is_code,
        "give 2 to 10 upper-case letters or digits",
    );
    let tracking_number = fields.text(
        "tracking_number",
        &request.tracking_number,
        1..=64,
        |c| !c.is_control(),
        "give the carrier's number, 1 to 64 printable characters",
    );
    let origin = required_location(&mut fields, "origin", request.origin.as_ref());
    let destination = required_location(&mut fields, "destination", request.destination.as_ref());
    let planned = fields.time("planned_departure", request.planned_departure.as_ref());
    let promised = fields.time("promised_arrival", request.promised_arrival.as_ref());
    if let (Some(planned), Some(promised)) = (planned, promised)
        && promised <= planned
    {
        fields.wrong(
            "promised_arrival",
            &promised.to_rfc3339(),
            "give a time after planned_departure",
        );
    }
    fields.finish()?;
    let (Some(origin), Some(destination), Some(planned_departure), Some(promised_arrival)) =
        (origin, destination, planned, promised)
    else {
        return Err(unreported());
    };
    Ok(Order {
        carrier,
        tracking_number,
        origin,
        destination,
        planned_departure,
        promised_arrival,
    })
}

pub(crate) fn get(request: &proto::GetShipmentRequest) -> Result<Uuid, ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    fields.finish()?;
    id.ok_or_else(unreported)
}

pub(crate) fn list(request: &proto::ListShipmentsRequest, account_id: &str) -> Result<Page, ServiceError> {
    let mut fields = Fields::new();
    let size = fields.page_size(request.page_size, PAGE.0, PAGE.1);
    let after = match request.page_token.as_str() {
        "" => None,
        token => {
            let after = page::read(token, account_id);
            if after.is_none() {
                fields.wrong(
                    "page_token",
                    token,
                    "give next_page_token of the previous answer, or none to start anew",
                );
            }
            after
        }
    };
    fields.finish()?;
    Ok(Page { size, after })
}

pub(crate) fn record(request: &proto::RecordEventRequest, now: DateTime<Utc>) -> Result<Scan, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let status = reported_status(&mut fields, request.status);
    let classifier = types::Classifier::try_from(request.classifier).ok();
    if classifier.is_none() {
        fields.wrong(
            "classifier",
            &request.classifier.to_string(),
            "give ACTUAL, ESTIMATED or PLANNED",
        );
    }
    let occurred_at = fields.time("occurred_at", request.occurred_at.as_ref());
    if let (Some(types::Classifier::Actual | types::Classifier::Unspecified), Some(occurred_at)) =
        (classifier, occurred_at)
        && occurred_at > now + CLOCK_SKEW
    {
        // It would make all that really happens until then late.
        fields.wrong(
            "occurred_at",
            &occurred_at.to_rfc3339(),
            "what happened lies in the past; what is to come is ESTIMATED or PLANNED",
        );
    }
    let location = request
        .location
        .as_ref()
        .map(|location| location_of(&mut fields, "location", location));
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    let (Some(shipment_id), Some(status), Some(classifier), Some(occurred_at)) =
        (shipment_id, status, classifier, occurred_at)
    else {
        return Err(unreported());
    };
    Ok(Scan {
        shipment_id,
        report: Report {
            status,
            classifier: classifier_from_proto(classifier),
            occurred_at,
        },
        location,
        reason,
    })
}

pub(crate) fn cancel(request: &proto::CancelShipmentRequest) -> Result<Cancellation, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    Ok(Cancellation {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        reason,
    })
}

fn reported_status(fields: &mut Fields, value: i32) -> Option<Status> {
    let named = types::Status::try_from(value).ok();
    match named.and_then(status_from_proto) {
        Some(Status::Created) => {
            fields.wrong("status", "CREATED", "a shipment is created by CreateShipment");
            None
        }
        Some(Status::Cancelled) => {
            fields.wrong("status", "CANCELLED", "a shipment is cancelled by CancelShipment");
            None
        }
        Some(status) => Some(status),
        None if value == 0 => {
            fields.missing("status", "give the status that the event reports");
            None
        }
        None => {
            fields.wrong(
                "status",
                &value.to_string(),
                "give a value of logistics.type.v1.Status",
            );
            None
        }
    }
}

fn required_location(fields: &mut Fields, field: &str, value: Option<&types::Location>) -> Option<Location> {
    if value.is_none() {
        fields.missing(field, "give a location with a code");
    }
    value.map(|location| location_of(fields, field, location))
}

fn location_of(fields: &mut Fields, field: &str, value: &types::Location) -> Location {
    Location {
        code: fields.text(
            &format!("{field}.code"),
            &value.code,
            3..=5,
            is_code,
            "give a UN/LOCODE or IATA code: 3 to 5 upper-case letters or digits",
        ),
        facility: fields.text(
            &format!("{field}.facility"),
            &value.facility,
            0..=100,
            |c| !c.is_control(),
            "give at most 100 printable characters",
        ),
    }
}

fn reason(fields: &mut Fields, value: &str) -> String {
    fields.text(
        "reason",
        value,
        0..=64,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
        "give at most 64 characters of a-z, 0-9 and _, for example carrier_delay",
    )
}

const fn is_code(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

/// A field is absent although nothing was found wrong: a mistake of this module, not of the caller.
fn unreported() -> ServiceError {
    ServiceError::internal("check the request", "a field is absent and was not reported")
}

#[cfg(test)]
mod tests;
