//! Takes events one after the other: what each means for its shipment, and what is learned. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{ShipmentCreated, ShipmentStatusChanged};
use logistics_chassis::projection::{Sequenced, ShipmentEvent};
use logistics_domain::anomaly::{self, Anomaly};
use logistics_domain::journey::{Assessment, Journey, Milestone};
use logistics_domain::status::{Classifier, Disposition};
use uuid::Uuid;

use crate::accuracy::Sums;
use crate::anomalies::Found;
use crate::histories::{Histories, Key, Keys};
use crate::shipments::Shipment;

/// The state of a transaction.
#[derive(Debug, Default)]
pub struct Desk {
    /// All shipments that the events are of.
    pub(crate) shipments: HashMap<Uuid, Shipment>,
    /// All histories that they belong to.
    pub(crate) histories: Histories,
    /// What the arrivals say of the estimates, by account.
    pub(crate) accuracy: BTreeMap<String, Sums>,
    /// What was out of the ordinary.
    pub(crate) anomalies: Vec<Found>,
    /// The newest time that an event tells of, by account.
    pub(crate) reached: BTreeMap<String, DateTime<Utc>>,
}

impl Desk {
    /// The newest assessment of a shipment.
    #[must_use]
    pub fn assessment(&self, shipment: Uuid) -> Option<&Assessment> {
        self.shipments.get(&shipment).map(|shipment| &shipment.assessment)
    }

    /// Takes an event; true when its shipment was assessed anew.
    pub fn take(&mut self, sequenced: &Sequenced) -> bool {
        match &sequenced.event {
            ShipmentEvent::Created(event) => {
                self.create(event);
                true
            }
            ShipmentEvent::StatusChanged(event) => self.change(event),
        }
    }

    fn create(&mut self, event: &ShipmentCreated) {
        let mut journey = Journey::new(event.planned_departure, event.promised_arrival);
        let assessment = journey.assess(&self.histories.around(&keys_of(event)));
        let shipment = Shipment {
            id: event.shipment_id,
            account_id: event.account_id.clone(),
            carrier: event.carrier.clone(),
            origin: event.origin.code.clone(),
            destination: event.destination.code.clone(),
            journey,
            seq: event.seq,
            assessment,
        };
        self.shipments.insert(shipment.id, shipment);
    }

    fn change(&mut self, event: &ShipmentStatusChanged) -> bool {
        // The projection applies a creation before all that follows.
        let Some(shipment) = self.shipments.get_mut(&event.shipment_id) else {
            return false;
        };
        let keys = shipment.keys();
        let mut found = Vec::new();
        if event.disposition == Disposition::Conflict {
            found.push(anomaly::illegal_transition(event.status, event.reported));
        }
        if let Some(stay) = shipment.journey.reach(event.status, event.occurred_at) {
            found.extend(anomaly::of_stay(self.histories.lane(&keys), stay));
            self.histories.stayed(&keys, stay);
        }
        let milestone = observe(&mut shipment.journey, event);
        match milestone {
            Some(Milestone::Departed) => {
                shipment.assessment = shipment.journey.assess(&self.histories.around(&keys));
                shipment.seq = event.seq;
            }
            Some(Milestone::Arrived) => {
                if let Some(outcome) = shipment.journey.outcome() {
                    found.extend(anomaly::of_arrival(self.histories.lane(&keys), &outcome));
                    self.histories.learn(&keys, &outcome);
                }
                let sums = self.accuracy.entry(shipment.account_id.clone()).or_default();
                sums.add(&shipment.journey);
            }
            None => {}
        }
        self.note(event, found);
        milestone == Some(Milestone::Departed)
    }

    /// Notes what was found in an event, and how far it is.
    fn note(&mut self, event: &ShipmentStatusChanged, found: Vec<Anomaly>) {
        self.anomalies.extend(found.into_iter().map(|anomaly| Found {
            account_id: event.account_id.clone(),
            shipment_id: event.shipment_id,
            seq: event.seq,
            occurred_at: event.occurred_at,
            anomaly,
        }));
        if event.classifier == Classifier::Actual {
            // Nothing happens after it was recorded: a clock that is fast makes nobody else silent.
            let happened = event.occurred_at.min(event.recorded_at);
            let reached = self.reached.entry(event.account_id.clone()).or_insert(happened);
            *reached = happened.max(*reached);
        }
    }
}

fn observe(journey: &mut Journey, event: &ShipmentStatusChanged) -> Option<Milestone> {
    journey.observe(
        event.reported,
        event.classifier,
        event.disposition,
        event.occurred_at,
    )
}

fn keys_of(event: &ShipmentCreated) -> Keys {
    Keys::new(
        &event.account_id,
        &event.carrier,
        &event.origin.code,
        &event.destination.code,
    )
}

/// The histories that events read, and those that arrivals among them change. `shipments` are those known before.
pub(crate) fn needs(
    events: &[Sequenced],
    shipments: &HashMap<Uuid, Shipment>,
) -> (BTreeSet<Key>, BTreeSet<Key>) {
    let mut journeys: HashMap<Uuid, (Keys, Journey)> = shipments
        .values()
        .map(|shipment| (shipment.id, (shipment.keys(), shipment.journey.clone())))
        .collect();
    let (mut reading, mut learning) = (BTreeSet::new(), BTreeSet::new());
    for sequenced in events {
        match &sequenced.event {
            ShipmentEvent::Created(event) => {
                let keys = keys_of(event);
                reading.extend(keys.iter().cloned());
                let journey = Journey::new(event.planned_departure, event.promised_arrival);
                journeys.insert(event.shipment_id, (keys, journey));
            }
            ShipmentEvent::StatusChanged(event) => {
                let Some((keys, journey)) = journeys.get_mut(&event.shipment_id) else {
                    continue;
                };
                if journey.reach(event.status, event.occurred_at).is_some() {
                    learning.insert(keys.lane().clone());
                }
                match observe(journey, event) {
                    Some(Milestone::Departed) => reading.extend(keys.iter().cloned()),
                    Some(Milestone::Arrived) => learning.extend(keys.iter().cloned()),
                    None => {}
                }
            }
        }
    }
    (reading, learning)
}
