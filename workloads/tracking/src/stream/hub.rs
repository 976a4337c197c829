//! The live streams of this replica: who follows which shipment, and how many there may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use logistics_chassis::identity::Principal;
use logistics_schemas::config;
use logistics_schemas::grpc::logistics::r#type::v1::ShipmentEvent;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::metrics::StreamMetrics;

/// Most events that wait in an inbox; more are read from the projection later.
const INBOX: usize = 256;

/// Account and subject.
type Caller = (String, String);

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// The caller's.
    #[error("this caller has {0} live streams open here; end one of them first")]
    Caller(u32),
    /// This replica's.
    #[error("this replica has {0} live streams open; try again, another replica may have room")]
    Replica(u32),
}

/// Everything open.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    wanted: watch::Sender<bool>,
    bounds: config::Streams,
    metrics: StreamMetrics,
}

#[derive(Debug, Default)]
struct State {
    by_shipment: HashMap<Uuid, Vec<Arc<Inbox>>>,
    by_caller: HashMap<Caller, u32>,
    open: u32,
}

/// What has come for one stream since it looked last.
#[derive(Debug, Default)]
struct Inbox {
    mail: Mutex<Mail>,
    bell: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Events with their positions, from the end of the log.
    pub(super) events: Vec<(i64, Arc<ShipmentEvent>)>,
    /// There are events up to here.
    pub(super) known: i64,
}

impl Hub {
    pub(super) fn new(bounds: config::Streams, metrics: StreamMetrics) -> Self {
        Self {
            state: Mutex::default(),
            wanted: watch::Sender::new(false),
            bounds,
            metrics,
        }
    }

    /// Whether there is any stream.
    pub(super) fn wanted(&self) -> watch::Receiver<bool> {
        self.wanted.subscribe()
    }

    /// Opens a stream, if there is room for it. What comes from now on is in its inbox.
    pub(super) fn open(
        self: &Arc<Self>,
        principal: &Principal,
        shipment: Uuid,
    ) -> Result<Subscription, Full> {
        let caller = (principal.account_id.clone(), principal.subject.clone());
        let inbox = Arc::new(Inbox::default());
        let mut state = self.lock();
        let of_caller = state.by_caller.get(&caller).copied().unwrap_or_default();
        let full = if of_caller >= self.bounds.max_open_per_caller {
            self.metrics.refused("caller");
            Some(Full::Caller(of_caller))
        } else if state.open >= self.bounds.max_open {
            self.metrics.refused("replica");
            Some(Full::Replica(state.open))
        } else {
            None
        };
        if let Some(full) = full {
            return Err(full);
        }
        state.open += 1;
        state.by_caller.insert(caller.clone(), of_caller + 1);
        state
            .by_shipment
            .entry(shipment)
            .or_default()
            .push(Arc::clone(&inbox));
        self.tell(&state);
        Ok(Subscription {
            hub: Arc::clone(self),
            inbox,
            shipment,
            caller,
        })
    }

    /// Whether any stream follows the shipment.
    pub(super) fn follows(&self, shipment: Uuid) -> bool {
        self.lock().by_shipment.contains_key(&shipment)
    }

    /// The shipments that are followed.
    pub(super) fn shipments(&self) -> Vec<Uuid> {
        self.lock().by_shipment.keys().copied().collect()
    }

    /// Gives an event to the streams of its shipment.
    pub(super) fn give(&self, shipment: Uuid, seq: i64, event: &Arc<ShipmentEvent>) {
        self.each(shipment, |mail| {
            if mail.events.len() < INBOX {
                mail.events.push((seq, Arc::clone(event)));
            }
            mail.known = mail.known.max(seq);
        });
    }

    /// Tells the streams of a shipment that there are events up to this position.
    pub(super) fn tell_of(&self, shipment: Uuid, seq: i64) {
        self.each(shipment, |mail| mail.known = mail.known.max(seq));
    }

    fn each(&self, shipment: Uuid, change: impl Fn(&mut Mail)) {
        for inbox in self.lock().by_shipment.get(&shipment).into_iter().flatten() {
            change(&mut inbox.mail.lock().unwrap_or_else(PoisonError::into_inner));
            inbox.bell.notify_one();
        }
    }

    fn close(&self, subscription: &Subscription) {
        let mut state = self.lock();
        state.open -= 1;
        if let Some(count) = state.by_caller.get_mut(&subscription.caller) {
            *count -= 1;
            if *count == 0 {
                state.by_caller.remove(&subscription.caller);
            }
        }
        if let Some(inboxes) = state.by_shipment.get_mut(&subscription.shipment) {
            inboxes.retain(|inbox| !Arc::ptr_eq(inbox, &subscription.inbox));
            if inboxes.is_empty() {
                state.by_shipment.remove(&subscription.shipment);
            }
        }
        self.tell(&state);
    }

    fn tell(&self, state: &State) {
        self.metrics.open.set(state.open.into());
        let wanted = state.open > 0;
        self.wanted
            .send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place in the hub, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    shipment: Uuid,
    caller: Caller,
}

impl Subscription {
    pub(super) const fn shipment(&self) -> Uuid {
        self.shipment
    }

    pub(super) fn metrics(&self) -> &StreamMetrics {
        &self.hub.metrics
    }

    /// What has come since the last time.
    pub(super) fn take(&self) -> Mail {
        let mut mail = self.inbox.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let known = mail.known;
        std::mem::replace(
            &mut *mail,
            Mail {
                events: Vec::new(),
                known,
            },
        )
    }

    /// Ends when something has come since the last time.
    pub(super) async fn changed(&self) {
        self.inbox.bell.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.close(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        let bounds = config::Streams {
            max_open: 3,
            max_open_per_caller: 2,
            ..config::Streams::default()
        };
        Arc::new(Hub::new(bounds, StreamMetrics::default()))
    }

    fn caller(name: &str) -> Principal {
        Principal {
            subject: name.to_owned(),
            account_id: "acct-1".to_owned(),
            roles: Vec::new(),
        }
    }

    fn event() -> Arc<ShipmentEvent> {
        Arc::default()
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_ends() {
        let (hub, shipment) = (hub(), Uuid::from_u128(1));
        let first = hub.open(&caller("ann"), shipment).unwrap();
        let _second = hub.open(&caller("ann"), shipment).unwrap();
        assert_eq!(hub.open(&caller("ann"), shipment).unwrap_err(), Full::Caller(2));
        let third = hub.open(&caller("bob"), shipment).unwrap();
        assert_eq!(hub.open(&caller("bob"), shipment).unwrap_err(), Full::Replica(3));
        drop(third);
        assert_eq!(hub.open(&caller("ann"), shipment).unwrap_err(), Full::Caller(2));
        drop(first);
        hub.open(&caller("ann"), shipment).unwrap();
    }

    #[test]
    fn the_tail_is_wanted_while_a_stream_is_open() {
        let hub = hub();
        let wanted = hub.wanted();
        assert!(!*wanted.borrow());
        let stream = hub.open(&caller("ann"), Uuid::from_u128(1)).unwrap();
        assert!(*wanted.borrow() && hub.follows(Uuid::from_u128(1)));
        drop(stream);
        assert!(!*wanted.borrow() && !hub.follows(Uuid::from_u128(1)));
        assert!(hub.lock().by_caller.is_empty());
    }

    #[tokio::test]
    async fn a_full_inbox_forgets_events_but_not_that_they_are_there() {
        let (hub, shipment) = (hub(), Uuid::from_u128(1));
        let (one, other) = (
            hub.open(&caller("ann"), shipment).unwrap(),
            hub.open(&caller("bob"), Uuid::from_u128(2)).unwrap(),
        );
        for seq in 1..=300 {
            hub.give(shipment, seq, &event());
        }
        hub.tell_of(shipment, 7);
        one.changed().await;
        let mail = one.take();
        assert_eq!((mail.events.len(), mail.known), (INBOX, 300));
        assert!(one.take().events.is_empty());
        assert!(other.take().events.is_empty());
    }
}
