//! Requests that come at the same time and are served together: by one transaction, by one statement.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

/// The servers' end; clones share it.
#[derive(Debug)]
pub struct Queue<T>(Arc<Mutex<mpsc::Receiver<T>>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Queue<T> {
    /// One with room for so many; more are held back where they come in.
    #[must_use]
    pub fn new(room: usize) -> (mpsc::Sender<T>, Self) {
        let (sender, receiver) = mpsc::channel(room);
        (sender, Self(Arc::new(Mutex::new(receiver))))
    }

    /// All that waits, up to `most`, as soon as there is something; `None` when nothing will come any more.
    pub async fn take(&self, most: usize) -> Option<Vec<T>> {
        let mut queue = self.0.lock().await;
        let mut waiting = vec![queue.recv().await?];
        // The first wakes this task before others that came with it have been looked at; let them come too.
        tokio::task::yield_now().await;
        while waiting.len() < most
            && let Ok(another) = queue.try_recv()
        {
            waiting.push(another);
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_taken_together_up_to_the_limit_and_in_order() {
        let (sender, queue) = Queue::new(8);
        for number in 1..=5 {
            sender.send(number).await.unwrap();
        }
        drop(sender);
        assert_eq!(queue.take(3).await, Some(vec![1, 2, 3]));
        assert_eq!(queue.clone().take(3).await, Some(vec![4, 5]));
        assert_eq!(queue.take(3).await, None);
    }
}
