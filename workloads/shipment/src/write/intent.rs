//! What is to be done, checked but not yet decided.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use logistics_chassis::errors::ServiceError;
use logistics_domain::status::Classifier;
use uuid::Uuid;

use crate::change::{self, Act};
use crate::history::History;
use crate::model::{Change, Order, Shipment};
use crate::request::{Assignment, Instruction, Retraction, Scan};

#[derive(Clone, Debug)]
pub(super) enum Intent {
    Create(Order),
    Record(Scan),
    Cancel(Instruction),
    Return(Instruction),
    Retract(Retraction),
    Assign(Assignment),
}

impl Intent {
    /// The shipment that has to be locked; none where it is made first.
    pub(super) const fn shipment_id(&self) -> Option<Uuid> {
        match self {
            Self::Create(_) => None,
            Self::Record(scan) => Some(scan.shipment_id),
            Self::Cancel(instruction) | Self::Return(instruction) => Some(instruction.shipment_id),
            Self::Retract(retraction) => Some(retraction.shipment_id),
            Self::Assign(assignment) => Some(assignment.shipment_id),
        }
    }

    /// What it does to the shipment that it names.
    pub(super) fn change(
        &self,
        shipment: Shipment,
        history: Option<&History>,
        act: Act<'_>,
    ) -> Result<Change, ServiceError> {
        match self {
            Self::Create(_) => self.create(act),
            Self::Record(scan) => change::record(shipment, history, scan.clone(), act),
            Self::Cancel(instruction) => change::cancel(shipment, instruction.clone(), act),
            Self::Return(instruction) => change::send_back(shipment, instruction.clone(), act),
            Self::Retract(retraction) => change::retract(shipment, history, retraction.clone(), act),
            Self::Assign(assignment) => change::assign(shipment, assignment.clone(), act),
        }
    }

    /// The shipment that it makes.
    pub(super) fn create(&self, act: Act<'_>) -> Result<Change, ServiceError> {
        let Self::Create(order) = self else {
            return Err(ServiceError::internal("decide", "the request names no shipment"));
        };
        Ok(change::create(order.clone(), Uuid::now_v7(), act))
    }
}

/// The shipments whose events are needed to decide: where something is taken back, or was reported that may not be newer
/// than all before it.
pub(super) fn need_history<'a>(
    intents: impl Iterator<Item = &'a Intent>,
    shipments: &HashMap<Uuid, Shipment>,
) -> Vec<Uuid> {
    let mut needed = BTreeSet::new();
    // Up to when the requests so far have seen; an order is as new as the moment it is decided.
    let mut seen: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
    for intent in intents {
        let Some((id, shipment)) = intent.shipment_id().and_then(|id| shipments.get_key_value(&id)) else {
            continue;
        };
        match intent {
            Intent::Create(_) | Intent::Assign(_) => {}
            Intent::Cancel(_) | Intent::Return(_) => {
                seen.insert(*id, DateTime::<Utc>::MAX_UTC);
            }
            Intent::Retract(_) => {
                needed.insert(*id);
            }
            Intent::Record(scan) if scan.report.classifier != Classifier::Actual => {}
            Intent::Record(scan) => {
                let at = scan.report.occurred_at;
                let newest = seen.get(id).copied().max(shipment.state.newest_seen);
                if newest.is_some_and(|newest| at <= newest) {
                    needed.insert(*id);
                }
                seen.insert(*id, newest.map_or(at, |newest| newest.max(at)));
            }
        }
    }
    needed.into_iter().collect()
}
