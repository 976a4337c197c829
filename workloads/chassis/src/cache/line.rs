//! The connection that is in use, and when it is given up: a circuit breaker that rests as long as there is no connection.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Calls in a row without an answer after which a connection is given up.
const SILENT: u32 = 3;

/// Tells connections apart.
pub(super) type Number = u64;

/// The connection that is in use, if there is one.
#[derive(Debug)]
pub(super) struct Line<L> {
    state: Mutex<State<L>>,
    up: watch::Sender<bool>,
}

#[derive(Debug)]
struct State<L> {
    number: Number,
    link: Option<L>,
    silent: u32,
}

impl<L> Default for Line<L> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                number: 0,
                link: None,
                silent: 0,
            }),
            up: watch::Sender::new(false),
        }
    }
}

impl<L: Clone> Line<L> {
    /// From now on this connection is used.
    pub(super) fn put(&self, link: L) {
        let mut state = self.lock();
        state.number += 1;
        state.silent = 0;
        state.link = Some(link);
        self.up.send_replace(true);
    }

    /// The connection to use.
    pub(super) fn link(&self) -> Option<(Number, L)> {
        let state = self.lock();
        Some((state.number, state.link.clone()?))
    }

    /// A call was answered.
    pub(super) fn answered(&self, number: Number) {
        let mut state = self.lock();
        if state.number == number {
            state.silent = 0;
        }
    }

    /// A call was not answered in time. Gives whether the connection is given up by that.
    pub(super) fn timed_out(&self, number: Number) -> bool {
        let mut state = self.lock();
        if state.number == number {
            state.silent += 1;
        }
        let enough = state.silent >= SILENT;
        drop(state);
        enough && self.broke(number)
    }

    /// A connection does not work. Gives whether it is given up by that.
    pub(super) fn broke(&self, number: Number) -> bool {
        let mut state = self.lock();
        if state.number != number || state.link.take().is_none() {
            return false;
        }
        self.up.send_replace(false);
        true
    }

    /// Waits until there is no connection.
    pub(super) async fn is_down(&self) {
        // The sender lives as long as `self`.
        let _ = self.up.subscribe().wait_for(|up| !up).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> (Line<char>, Number) {
        let line = Line::default();
        line.put('a');
        let (number, found) = line.link().unwrap();
        assert_eq!(found, 'a');
        (line, number)
    }

    #[test]
    fn three_calls_in_a_row_without_an_answer_are_enough() {
        let (line, number) = up();
        assert!(!line.timed_out(number) && !line.timed_out(number));
        line.answered(number);
        assert!(!line.timed_out(number) && !line.timed_out(number));
        assert!(line.timed_out(number));
        assert!(line.link().is_none());
        // Told once, however many calls were under way.
        assert!(!line.timed_out(number) && !line.broke(number));
    }

    #[test]
    fn an_error_is_enough() {
        let (line, number) = up();
        assert!(line.broke(number));
        assert!(line.link().is_none());
    }

    #[test]
    fn what_happens_to_a_former_connection_does_not_concern_its_successor() {
        let (line, former) = up();
        line.put('b');
        assert!(!line.broke(former));
        for _ in 0..10 {
            assert!(!line.timed_out(former));
        }
        assert_eq!(line.link().map(|(_, link)| link), Some('b'));
    }

    #[tokio::test]
    async fn that_it_is_down_is_told() {
        let (line, number) = up();
        let told = line.is_down();
        tokio::pin!(told);
        assert!(futures::poll!(told.as_mut()).is_pending());
        line.broke(number);
        told.await;
    }
}
