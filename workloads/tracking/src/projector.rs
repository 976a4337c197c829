//! Turns events into rows.

use std::collections::BTreeMap;

use logistics_chassis::projection::{ApplyError, Head, Projector, Sequenced, ShipmentEvent};
use logistics_chassis::writes::Writes;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::kept::KeptTimelines;
use crate::store::{self, Entry, Shipment, Standing};

/// Writes each event to its shipment's timeline.
pub(crate) struct Timelines {
    kept: KeptTimelines,
}

impl Timelines {
    pub(crate) const fn new(kept: KeptTimelines) -> Self {
        Self { kept }
    }
}

impl Projector for Timelines {
    async fn apply(&self, connection: &mut PgConnection, events: &[Sequenced]) -> Result<(), ApplyError> {
        let mut shipments: Vec<Shipment> = events.iter().filter_map(shipment).collect();
        let entries: Vec<Entry> = events.iter().map(of_sequenced).collect();
        let mut standings = last_standings(events);
        // A statement does not see the rows that it inserts.
        for shipment in &mut shipments {
            if let Some(standing) = standings.remove(&shipment.id) {
                (shipment.status, shipment.delay) = standing;
            }
        }
        let mut writes = Writes::default();
        store::insert_shipments(&mut writes, &shipments);
        store::insert_entries(&mut writes, &entries);
        store::set_standings(&mut writes, &standings);
        writes.execute(connection).await?;
        Ok(())
    }

    async fn committed(&self, heads: Vec<Head>) {
        self.kept.supersede(heads).await;
    }
}

fn shipment(sequenced: &Sequenced) -> Option<Shipment> {
    let ShipmentEvent::Created(event) = &sequenced.event else {
        return None;
    };
    Some(Shipment {
        id: event.shipment_id,
        account_id: event.account_id.clone(),
        carrier: event.carrier.clone(),
        tracking_number: event.tracking_number.clone(),
        origin: event.origin.clone(),
        destination: event.destination.clone(),
        planned_departure: event.planned_departure,
        promised_arrival: event.promised_arrival,
        status: Status::Created,
        delay: None,
    })
}

fn of_sequenced(sequenced: &Sequenced) -> Entry {
    entry(
        sequenced.event_id,
        sequenced.shipment_id,
        sequenced.seq,
        &sequenced.event,
    )
}

/// The event as a timeline has it.
pub(crate) fn entry(event_id: Uuid, shipment_id: Uuid, seq: i64, event: &ShipmentEvent) -> Entry {
    match event {
        ShipmentEvent::Created(event) => Entry {
            event_id,
            shipment_id,
            seq,
            kind: Kind::Order,
            reported: Status::Created,
            classifier: Classifier::Actual,
            disposition: Disposition::Applied,
            occurred_at: event.recorded_at,
            recorded_at: event.recorded_at,
            location: Some(event.origin.clone()),
            reason: String::new(),
            actor: event.actor.clone(),
            retracts: None,
            notice: None,
            proof: None,
            assignee: String::new(),
        },
        ShipmentEvent::StatusChanged(event) => Entry {
            event_id,
            shipment_id,
            seq,
            kind: event.kind,
            reported: event.reported,
            classifier: event.classifier,
            disposition: event.disposition,
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
            location: event.location.clone(),
            reason: event.reason.clone(),
            actor: event.actor.clone(),
            retracts: event.retracts,
            notice: event.notice,
            proof: event.proof.clone(),
            assignee: event.assignee.clone(),
        },
    }
}

/// Where each shipment is after its last event.
fn last_standings(events: &[Sequenced]) -> BTreeMap<Uuid, Standing> {
    let standing = |sequenced: &Sequenced| match &sequenced.event {
        ShipmentEvent::Created(_) => None,
        ShipmentEvent::StatusChanged(event) => Some((event.shipment_id, (event.status, event.delay))),
    };
    events.iter().filter_map(standing).collect()
}
