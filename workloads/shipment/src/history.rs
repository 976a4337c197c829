//! What was said of a shipment so far, for where its state alone does not decide: of a late scan, or a retraction.

use logistics_domain::ledger::{Ledger, Recorded};
use uuid::Uuid;

use crate::model::Event;

/// All events of a shipment, in the order of their positions.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Event>);

impl FromIterator<Event> for History {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        Self(events.into_iter().collect())
    }
}

impl History {
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push(event);
    }

    pub(crate) fn find(&self, id: Uuid) -> Option<&Event> {
        self.0.iter().find(|event| event.id == id)
    }

    pub(crate) fn is_retracted(&self, id: Uuid) -> bool {
        self.0.iter().any(|event| event.retracts == Some(id))
    }

    /// What was said and not taken back.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of(self.0.iter().map(|event| Recorded {
            id: event.id,
            seq: event.seq,
            kind: event.kind,
            reported: event.reported,
            classifier: event.classifier,
            disposition: event.disposition,
            occurred_at: event.occurred_at,
            notice: event.notice,
            retracts: event.retracts,
        }))
    }
}

#[cfg(test)]
impl History {
    /// The id of the creation.
    pub(crate) fn first(&self) -> Uuid {
        self.0[0].id
    }
}
