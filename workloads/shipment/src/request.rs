//! Checks requests: what comes out can be written.

mod events;

use chrono::{DateTime, Utc};
use logistics_chassis::codec::Location;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::Fields;
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use uuid::Uuid;

use crate::model::Order;
use crate::page;

pub use events::{Retraction, Scan, delay, delivery, record, retract};

/// A page where the caller names no size, and the largest.
const PAGE: (u16, u16) = (100, 500);

/// A checked `CancelShipmentRequest` or `ReturnShipmentRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub shipment_id: Uuid,
    pub reason: String,
}

/// A checked `AssignShipmentRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub shipment_id: Uuid,
    pub assignee: String,
}

/// A checked `FindShipmentRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub carrier: String,
    pub tracking_number: String,
    pub at: DateTime<Utc>,
}

/// A checked `ListShipmentsRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub size: u16,
    pub after: Option<Uuid>,
}

pub fn create(request: &proto::CreateShipmentRequest) -> Result<Order, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let (carrier, tracking_number) = number(&mut fields, &request.carrier, &request.tracking_number);
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

/// A carrier and its number.
fn number(fields: &mut Fields, carrier: &str, tracking_number: &str) -> (String, String) {
    let carrier = fields.text(
        "carrier",
        carrier,
        2..=10,
        is_code,
        "give 2 to 10 upper-case letters or digits",
    );
    let tracking_number = fields.text(
        "tracking_number",
        tracking_number,
        1..=64,
        |c| !c.is_control(),
        "give the carrier's number, 1 to 64 printable characters",
    );
    (carrier, tracking_number)
}

pub fn find(request: &proto::FindShipmentRequest, now: DateTime<Utc>) -> Result<Wanted, ServiceError> {
    let mut fields = Fields::new();
    let (carrier, tracking_number) = number(&mut fields, &request.carrier, &request.tracking_number);
    let at = match &request.at {
        Some(at) => fields.time("at", Some(at)),
        None => Some(now),
    };
    fields.finish()?;
    Ok(Wanted {
        carrier,
        tracking_number,
        at: at.ok_or_else(unreported)?,
    })
}

pub fn get(request: &proto::GetShipmentRequest) -> Result<Uuid, ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    fields.finish()?;
    id.ok_or_else(unreported)
}

pub fn list(request: &proto::ListShipmentsRequest, account_id: &str) -> Result<Page, ServiceError> {
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

pub fn cancel(request: &proto::CancelShipmentRequest) -> Result<Instruction, ServiceError> {
    instruction(&request.idempotency_key, &request.shipment_id, &request.reason)
}

pub fn send_back(request: &proto::ReturnShipmentRequest) -> Result<Instruction, ServiceError> {
    instruction(&request.idempotency_key, &request.shipment_id, &request.reason)
}

fn instruction(key: &str, shipment_id: &str, why: &str) -> Result<Instruction, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(key);
    let shipment_id = fields.uuid("shipment_id", shipment_id);
    let reason = reason(&mut fields, why);
    fields.finish()?;
    Ok(Instruction {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        reason,
    })
}

pub fn assign(request: &proto::AssignShipmentRequest) -> Result<Assignment, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let assignee = fields.text(
        "assignee",
        &request.assignee,
        0..=128,
        |c| !c.is_control(),
        "give the subject of a token, at most 128 printable characters, or nothing for nobody",
    );
    fields.finish()?;
    Ok(Assignment {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        assignee,
    })
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
