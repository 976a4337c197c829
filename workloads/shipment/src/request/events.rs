//! Checks what is said of a shipment.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_chassis::codec::{
    Location, ProofOfDelivery, classifier_from_proto, delay_from_proto, status_from_proto,
};
use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::Fields;
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::{Fact, Report};
use logistics_domain::status::{Classifier, Status};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use prost_types::Timestamp;
use uuid::Uuid;

use super::{location_of, reason, unreported};

/// How far a caller's clock may be ahead.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// A checked `RecordEventRequest`, `RecordDeliveryRequest` or `ReportDelayRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub shipment_id: Uuid,
    pub report: Report,
    pub location: Option<Location>,
    pub reason: String,
    pub proof: Option<ProofOfDelivery>,
}

/// A checked `RetractEventRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraction {
    pub shipment_id: Uuid,
    pub event_id: Uuid,
    pub reason: String,
}

pub fn record(request: &proto::RecordEventRequest, now: DateTime<Utc>) -> Result<Scan, ServiceError> {
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
    let classifier = classifier.map(classifier_from_proto);
    let occurred_at = match classifier {
        Some(Classifier::Actual) => past(&mut fields, request.occurred_at.as_ref(), now),
        _ => fields.time("occurred_at", request.occurred_at.as_ref()),
    };
    let location = place(&mut fields, request.location.as_ref());
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    let (Some(status), Some(classifier)) = (status, classifier) else {
        return Err(unreported());
    };
    Ok(Scan {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        report: Report {
            fact: Fact::Status(status),
            classifier,
            occurred_at: occurred_at.ok_or_else(unreported)?,
        },
        location,
        reason,
        proof: None,
    })
}

pub fn delivery(request: &proto::RecordDeliveryRequest, now: DateTime<Utc>) -> Result<Scan, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let occurred_at = past(&mut fields, request.occurred_at.as_ref(), now);
    let location = place(&mut fields, request.location.as_ref());
    let proof = proof(&mut fields, request.proof.as_ref());
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    Ok(Scan {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        report: happened(Fact::Status(Status::Delivered), occurred_at)?,
        location,
        reason,
        proof: Some(proof),
    })
}

pub fn delay(request: &proto::ReportDelayRequest, now: DateTime<Utc>) -> Result<Scan, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let notice = notice(&mut fields, request.delay, request.over);
    let occurred_at = past(&mut fields, request.occurred_at.as_ref(), now);
    let location = place(&mut fields, request.location.as_ref());
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    Ok(Scan {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        report: happened(Fact::Delay(notice), occurred_at)?,
        location,
        reason,
        proof: None,
    })
}

pub fn retract(request: &proto::RetractEventRequest) -> Result<Retraction, ServiceError> {
    let mut fields = Fields::new();
    fields.idempotency_key(&request.idempotency_key);
    let shipment_id = fields.uuid("shipment_id", &request.shipment_id);
    let event_id = fields.uuid("event_id", &request.event_id);
    if request.reason.is_empty() {
        fields.missing("reason", "say why, for example did_not_occur or incorrect_data");
    }
    let reason = reason(&mut fields, &request.reason);
    fields.finish()?;
    Ok(Retraction {
        shipment_id: shipment_id.ok_or_else(unreported)?,
        event_id: event_id.ok_or_else(unreported)?,
        reason,
    })
}

fn happened(fact: Fact, occurred_at: Option<DateTime<Utc>>) -> Result<Report, ServiceError> {
    Ok(Report {
        fact,
        classifier: Classifier::Actual,
        occurred_at: occurred_at.ok_or_else(unreported)?,
    })
}

/// When something happened.
fn past(fields: &mut Fields, value: Option<&Timestamp>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let occurred_at = fields.time("occurred_at", value)?;
    if occurred_at > now + CLOCK_SKEW {
        // It would make all that really happens until then late.
        fields.wrong(
            "occurred_at",
            &occurred_at.to_rfc3339(),
            "what happened lies in the past; what is to come is ESTIMATED or PLANNED",
        );
    }
    Some(occurred_at)
}

fn place(fields: &mut Fields, value: Option<&types::Location>) -> Option<Location> {
    value.map(|location| location_of(fields, "location", location))
}

fn notice(fields: &mut Fields, delay: i32, over: bool) -> Option<DelayReason> {
    let Ok(named) = types::DelayReason::try_from(delay) else {
        fields.wrong(
            "delay",
            &delay.to_string(),
            "give a value of logistics.type.v1.DelayReason",
        );
        return None;
    };
    let reason = delay_from_proto(named);
    match reason {
        None if !over => fields.missing(
            "delay",
            "say why the shipment is delayed, or that the delay is over",
        ),
        Some(reason) if over => {
            fields.wrong("delay", reason.as_str(), "leave it out of a delay that is over");
        }
        _ => {}
    }
    reason
}

fn proof(fields: &mut Fields, value: Option<&types::ProofOfDelivery>) -> ProofOfDelivery {
    const REFERENCE: &str = "give at most 500 printable characters";
    let value = value.cloned().unwrap_or_default();
    if value == types::ProofOfDelivery::default() {
        fields.missing("proof", "give a signer, an image_ref or a signature_ref");
    }
    let is_printable = |c: char| !c.is_control();
    ProofOfDelivery {
        signer: fields.text(
            "proof.signer",
            &value.signer,
            0..=100,
            is_printable,
            "give at most 100 printable characters",
        ),
        image_ref: fields.text(
            "proof.image_ref",
            &value.image_ref,
            0..=500,
            is_printable,
            REFERENCE,
        ),
        signature_ref: fields.text(
            "proof.signature_ref",
            &value.signature_ref,
            0..=500,
            is_printable,
            REFERENCE,
        ),
    }
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
