//! What callers see of a timeline.

use std::collections::HashMap;

use logistics_chassis::codec::{
    classifier_to_proto, delay_to_proto, disposition_to_proto, kind_to_proto, location_to_proto,
    proof_to_proto, status_to_proto,
};
use logistics_chassis::fields::timestamp;
use logistics_domain::ledger::{Fact, Ledger, Recorded};
use logistics_domain::status::Status;
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use uuid::Uuid;

use crate::store::{Entry, Timeline};

pub(crate) fn timeline(timeline: &Timeline) -> proto::GetTimelineResponse {
    let Timeline {
        shipment, entries, ..
    } = timeline;
    let retracted: HashMap<Uuid, Uuid> = entries
        .iter()
        .filter_map(|entry| Some((entry.retracts?, entry.event_id)))
        .collect();
    let events = entries.iter().map(|entry| {
        let by = retracted.get(&entry.event_id);
        types::ShipmentEvent {
            retracted_by: by.map(Uuid::to_string).unwrap_or_default(),
            ..event(entry)
        }
    });
    proto::GetTimelineResponse {
        shipment_id: shipment.id.to_string(),
        carrier: shipment.carrier.clone(),
        tracking_number: shipment.tracking_number.clone(),
        origin: Some(location_to_proto(&shipment.origin)),
        destination: Some(location_to_proto(&shipment.destination)),
        planned_departure: Some(timestamp(shipment.planned_departure)),
        promised_arrival: Some(timestamp(shipment.promised_arrival)),
        status: status_to_proto(shipment.status).into(),
        events: events.collect(),
        delay: delay_to_proto(shipment.delay).into(),
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
        kind: kind_to_proto(entry.kind).into(),
        retracts: entry.retracts.map(|id| id.to_string()).unwrap_or_default(),
        retracted_by: String::new(),
        delay: delay_to_proto(entry.notice).into(),
        proof: entry.proof.as_ref().map(proof_to_proto),
        assignee: entry.assignee.clone(),
    }
}

/// The timeline as anybody may see it: only what is named here leaves.
pub(crate) fn public(timeline: &Timeline) -> proto::GetPublicTimelineResponse {
    let Timeline {
        shipment, entries, ..
    } = timeline;
    let code_at = |seq: i64| {
        let entry = entries.iter().find(|entry| entry.seq == seq);
        let location = entry.and_then(|entry| entry.location.as_ref());
        location.map(|location| location.code.clone()).unwrap_or_default()
    };
    let created = entries
        .iter()
        .filter(|entry| entry.seq == 1)
        .map(|entry| proto::PublicStep {
            status: status_to_proto(Status::Created).into(),
            occurred_at: Some(timestamp(entry.occurred_at)),
            location_code: code_at(entry.seq),
        });
    let ledger = Ledger::of(entries.iter().map(recorded));
    let steps = ledger.steps().into_iter().filter_map(|step| match step.fact {
        Fact::Status(status) => Some(proto::PublicStep {
            status: status_to_proto(status).into(),
            occurred_at: Some(timestamp(step.occurred_at)),
            location_code: code_at(step.seq),
        }),
        Fact::Delay(_) => None,
    });
    proto::GetPublicTimelineResponse {
        carrier: shipment.carrier.clone(),
        tracking_number: shipment.tracking_number.clone(),
        origin_code: shipment.origin.code.clone(),
        destination_code: shipment.destination.code.clone(),
        promised_arrival: Some(timestamp(shipment.promised_arrival)),
        status: status_to_proto(shipment.status).into(),
        delay: delay_to_proto(shipment.delay).into(),
        steps: created.chain(steps).collect(),
    }
}

const fn recorded(entry: &Entry) -> Recorded<Uuid> {
    Recorded {
        id: entry.event_id,
        seq: entry.seq,
        kind: entry.kind,
        reported: entry.reported,
        classifier: entry.classifier,
        disposition: entry.disposition,
        occurred_at: entry.occurred_at,
        notice: entry.notice,
        retracts: entry.retracts,
    }
}
