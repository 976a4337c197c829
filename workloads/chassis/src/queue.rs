//! Requests that come at the same time and are served together: by one transaction, by one statement.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{Mutex, mpsc, oneshot};

/// What serves requests together.
pub trait Serve: Send + Sync {
    /// What is asked.
    type Request: Send + Sync;
    /// What is answered.
    type Answer: Send;

    /// The answers to these requests, in their order.
    fn answers(&self, requests: &[Self::Request]) -> impl Future<Output = Vec<Self::Answer>> + Send;
}

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
    async fn take(&self, most: usize) -> Option<Vec<T>> {
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

impl<Q, A> Queue<(Q, oneshot::Sender<A>)> {
    /// Answers requests, up to `most` at a time, until none will come any more. Those whose callers have gone away before
    /// their turn are left out; when all have gone away meanwhile, the work is dropped where it is.
    pub async fn serve(self, most: usize, server: impl Serve<Request = Q, Answer = A>) {
        while let Some(mut waiting) = self.take(most).await {
            waiting.retain(|(_, reply)| !reply.is_closed());
            if waiting.is_empty() {
                continue;
            }
            let (requests, mut replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let answers = tokio::select! {
                answers = server.answers(&requests) => answers,
                _ = join_all(replies.iter_mut().map(oneshot::Sender::closed)) => continue,
            };
            for (reply, answer) in replies.into_iter().zip(answers) {
                // Refused only when its caller has gone away now.
                let _ = reply.send(answer);
            }
        }
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

    /// Answers tenfold, and notes what it was asked.
    struct Tenfold<'a>(&'a std::sync::Mutex<Vec<i32>>);

    impl Serve for Tenfold<'_> {
        type Request = i32;
        type Answer = i32;

        async fn answers(&self, requests: &[i32]) -> Vec<i32> {
            self.0.lock().unwrap().extend_from_slice(requests);
            requests.iter().map(|request| request * 10).collect()
        }
    }

    #[tokio::test]
    async fn each_caller_gets_its_answer_and_who_has_gone_away_is_left_out() {
        let (sender, queue) = Queue::new(8);
        let mut callers = Vec::new();
        for number in 1..=3 {
            let (reply, answer) = oneshot::channel();
            sender.send((number, reply)).await.unwrap();
            callers.push(answer);
        }
        drop(callers.remove(1));
        drop(sender);
        let served = std::sync::Mutex::new(Vec::new());
        queue.serve(8, Tenfold(&served)).await;
        assert_eq!(*served.lock().unwrap(), [1, 3]);
        let told = join_all(callers).await;
        assert_eq!(told, [Ok(10), Ok(30)]);
    }
}
