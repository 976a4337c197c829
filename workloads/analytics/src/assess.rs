//! Takes events one after the other: what each means for its shipment, and what it teaches. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use logistics_chassis::codec::{ShipmentCreated, ShipmentObserved, ShipmentStatusChanged};
use logistics_chassis::projection::{Sequenced, ShipmentEvent};
use logistics_domain::anomaly::{self, Anomaly};
use logistics_domain::journey::{Assessment, Journey, Milestone};
use logistics_domain::status::{Classifier, Disposition};
use uuid::Uuid;

use crate::accuracy::Sums;
use crate::anomalies::Found;
use crate::histories::{Histories, Key, Keys};
use crate::observation;
use crate::shipments::Shipment;

/// The state of a transaction.
#[derive(Debug, Default)]
pub struct Desk {
    /// All shipments that the events are of.
    pub(crate) shipments: HashMap<Uuid, Shipment>,
    /// What is known around them.
    pub(crate) histories: Histories,
    /// What the arrivals say of the estimates, by account.
    pub(crate) accuracy: BTreeMap<String, Sums>,
    /// What was out of the ordinary.
    pub(crate) anomalies: Vec<Found>,
    /// The newest time that an event tells of, by account.
    pub(crate) reached: BTreeMap<String, DateTime<Utc>>,
}

/// What came of an event.
#[derive(Debug, Default)]
pub struct Taken {
    /// Whether its shipment was assessed anew.
    pub(crate) assessed: bool,
    /// What it teaches.
    pub(crate) observed: Option<ShipmentObserved>,
}

impl Desk {
    /// The newest assessment of a shipment.
    #[must_use]
    pub fn assessment(&self, shipment: Uuid) -> Option<&Assessment> {
        self.shipments.get(&shipment).map(|shipment| &shipment.assessment)
    }

    /// Takes an event.
    pub fn take(&mut self, sequenced: &Sequenced) -> Taken {
        match &sequenced.event {
            ShipmentEvent::Created(event) => {
                self.create(event);
                Taken {
                    assessed: true,
                    observed: None,
                }
            }
            ShipmentEvent::StatusChanged(event) => self.change(event),
        }
    }

    /// Learns at once, for those who have no log in between.
    pub fn learn(&mut self, taken: Taken) {
        if let Some(observed) = taken.observed
            && observation::defect_of(&observed).is_none()
        {
            self.histories.take(&observed);
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

    fn change(&mut self, event: &ShipmentStatusChanged) -> Taken {
        // The projection applies a creation before all that follows.
        let Some(shipment) = self.shipments.get_mut(&event.shipment_id) else {
            return Taken::default();
        };
        let keys = shipment.keys();
        let lane = self.histories.lane(&keys);
        let mut found = Vec::new();
        if event.disposition == Disposition::Conflict {
            found.push(anomaly::illegal_transition(event.status, event.reported));
        }
        let stay = shipment.journey.reach(event.status, event.occurred_at);
        found.extend(stay.and_then(|stay| anomaly::of_stay(lane, stay)));
        let milestone = observe(&mut shipment.journey, event);
        match milestone {
            Some(Milestone::Departed) => {
                shipment.assessment = shipment.journey.assess(&self.histories.around(&keys));
                shipment.seq = event.seq;
            }
            Some(Milestone::Arrived) => {
                let outcome = shipment.journey.outcome();
                found.extend(
                    outcome
                        .iter()
                        .flat_map(|outcome| anomaly::of_arrival(lane, outcome)),
                );
                let sums = self.accuracy.entry(shipment.account_id.clone()).or_default();
                sums.add(&shipment.journey);
            }
            None => {}
        }
        let has_arrived = milestone == Some(Milestone::Arrived);
        let observed = observation::of_event(shipment, (event.seq, event.recorded_at), stay, has_arrived);
        self.note(event, found);
        Taken {
            assessed: milestone == Some(Milestone::Departed),
            observed,
        }
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

/// The histories that events are compared with. `shipments` are those known before.
pub(crate) fn needs(events: &[Sequenced], shipments: &HashMap<Uuid, Shipment>) -> BTreeSet<Key> {
    let created = events.iter().filter_map(|sequenced| match &sequenced.event {
        ShipmentEvent::Created(event) => Some(keys_of(event)),
        ShipmentEvent::StatusChanged(_) => None,
    });
    let known = shipments.values().map(Shipment::keys);
    created.chain(known).flat_map(Keys::into_all).collect()
}
