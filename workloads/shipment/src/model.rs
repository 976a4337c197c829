//! Shipments and their events as the service keeps them.

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{
    Location, ProofOfDelivery, ShipmentCreated, ShipmentStatusChanged, classifier_to_proto, delay_to_proto,
    disposition_to_proto, kind_to_proto, location_to_proto, proof_to_proto, status_to_proto,
};
use logistics_chassis::fields::timestamp;
use logistics_domain::delay::DelayReason;
use logistics_domain::ledger::State;
use logistics_domain::number::Window;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use logistics_schemas::grpc::logistics::shipment::v1 as proto;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use uuid::Uuid;

/// What a caller orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub carrier: String,
    pub tracking_number: String,
    pub origin: Location,
    pub destination: Location,
    pub planned_departure: DateTime<Utc>,
    pub promised_arrival: DateTime<Utc>,
}

/// A shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shipment {
    pub(crate) id: Uuid,
    pub(crate) account_id: String,
    pub(crate) created_by: String,
    pub(crate) order: Order,
    pub(crate) state: State,
    /// Who is to carry it; empty for nobody.
    pub(crate) assignee: String,
    pub(crate) seq: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// Something reported of a shipment, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) seq: i64,
    pub(crate) kind: Kind,
    pub(crate) reported: Status,
    pub(crate) classifier: Classifier,
    pub(crate) disposition: Disposition,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) location: Option<Location>,
    pub(crate) reason: String,
    pub(crate) actor: String,
    /// Of a retraction.
    pub(crate) retracts: Option<Uuid>,
    /// Of a delay: why; `None` says that it is over.
    pub(crate) notice: Option<DelayReason>,
    /// Of a proven delivery.
    pub(crate) proof: Option<ProofOfDelivery>,
    /// Of an assignment; empty for nobody.
    pub(crate) assignee: String,
}

/// One step of a shipment: the shipment afterwards, and the event that led there. It is written as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) shipment: Shipment,
    pub(crate) event: Event,
}

impl Shipment {
    /// When it has its carrier's number.
    pub(crate) fn window(&self) -> Window {
        let ended = self
            .state
            .newest_applied
            .filter(|_| self.state.status.is_terminal());
        Window::new(self.created_at, self.order.planned_departure, ended)
    }

    pub(crate) fn to_proto(&self) -> proto::Shipment {
        proto::Shipment {
            shipment_id: self.id.to_string(),
            account_id: self.account_id.clone(),
            carrier: self.order.carrier.clone(),
            tracking_number: self.order.tracking_number.clone(),
            origin: Some(location_to_proto(&self.order.origin)),
            destination: Some(location_to_proto(&self.order.destination)),
            planned_departure: Some(timestamp(self.order.planned_departure)),
            promised_arrival: Some(timestamp(self.order.promised_arrival)),
            status: status_to_proto(self.state.status).into(),
            seq: self.seq,
            created_at: Some(timestamp(self.created_at)),
            updated_at: Some(timestamp(self.updated_at)),
            delay: delay_to_proto(self.state.delay).into(),
            assignee: self.assignee.clone(),
        }
    }
}

impl Change {
    pub(crate) fn event_to_proto(&self) -> types::ShipmentEvent {
        types::ShipmentEvent {
            event_id: self.event.id.to_string(),
            shipment_id: self.shipment.id.to_string(),
            seq: self.event.seq,
            status: status_to_proto(self.event.reported).into(),
            classifier: classifier_to_proto(self.event.classifier).into(),
            occurred_at: Some(timestamp(self.event.occurred_at)),
            recorded_at: Some(timestamp(self.event.recorded_at)),
            location: self.event.location.as_ref().map(location_to_proto),
            reason: self.event.reason.clone(),
            actor: self.event.actor.clone(),
            disposition: disposition_to_proto(self.event.disposition).into(),
            kind: kind_to_proto(self.event.kind).into(),
            retracts: self.event.retracts.map(|id| id.to_string()).unwrap_or_default(),
            retracted_by: String::new(),
            delay: delay_to_proto(self.event.notice).into(),
            proof: self.event.proof.as_ref().map(proof_to_proto),
            assignee: self.event.assignee.clone(),
        }
    }

    /// The change as the log tells the first one of a shipment.
    pub(crate) fn created(&self) -> ShipmentCreated {
        let Shipment { order, .. } = &self.shipment;
        ShipmentCreated {
            shipment_id: self.shipment.id,
            seq: self.event.seq,
            account_id: self.shipment.account_id.clone(),
            actor: self.event.actor.clone(),
            carrier: order.carrier.clone(),
            tracking_number: order.tracking_number.clone(),
            origin: order.origin.clone(),
            destination: order.destination.clone(),
            planned_departure: order.planned_departure,
            promised_arrival: order.promised_arrival,
            recorded_at: self.event.recorded_at,
        }
    }

    /// The change as the log tells all others.
    pub(crate) fn status_changed(&self) -> ShipmentStatusChanged {
        ShipmentStatusChanged {
            shipment_id: self.shipment.id,
            seq: self.event.seq,
            account_id: self.shipment.account_id.clone(),
            actor: self.event.actor.clone(),
            reported: self.event.reported,
            status: self.shipment.state.status,
            classifier: self.event.classifier,
            disposition: self.event.disposition,
            occurred_at: self.event.occurred_at,
            recorded_at: self.event.recorded_at,
            location: self.event.location.clone(),
            reason: self.event.reason.clone(),
            kind: self.event.kind,
            retracts: self.event.retracts,
            delay: self.shipment.state.delay,
            notice: self.event.notice,
            proof: self.event.proof.clone(),
            assignee: self.event.assignee.clone(),
        }
    }
}
