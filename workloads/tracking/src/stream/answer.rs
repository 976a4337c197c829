//! What the client reads.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use logistics_schemas::grpc::logistics::tracking::v1::StreamTrackingResponse;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

/// Events, and then how it ended. An end that is to be told at once overtakes the events that wait.
#[derive(Debug)]
pub(crate) struct Answer {
    events: mpsc::Receiver<StreamTrackingResponse>,
    end: Option<oneshot::Receiver<(bool, Option<Status>)>>,
    outcome: Option<Status>,
}

impl Answer {
    pub(super) fn new(
        events: mpsc::Receiver<StreamTrackingResponse>,
        end: oneshot::Receiver<(bool, Option<Status>)>,
    ) -> Self {
        Self {
            events,
            end: Some(end),
            outcome: None,
        }
    }
}

impl Stream for Answer {
    type Item = Result<StreamTrackingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(end) = &mut self.end
            && let Poll::Ready(told) = Pin::new(end).poll(cx)
        {
            // Not told at all: the session went down with the process's runtime.
            let (at_once, outcome) = told.unwrap_or_else(|_| (true, Some(super::session::leaving())));
            self.end = None;
            self.outcome = outcome;
            if at_once {
                self.events.close();
                while self.events.try_recv().is_ok() {}
            }
        }
        match ready!(self.events.poll_recv(cx)) {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None if self.end.is_some() => {
                // The session says how it ended before it lets go of its end of the queue.
                Poll::Pending
            }
            None => Poll::Ready(self.outcome.take().map(Err)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    fn event() -> StreamTrackingResponse {
        StreamTrackingResponse::default()
    }

    async fn read(at_once: bool, outcome: Option<Status>) -> Vec<Result<(), tonic::Code>> {
        let (out, events) = mpsc::channel(4);
        let (told, end) = oneshot::channel();
        out.try_send(event()).unwrap();
        out.try_send(event()).unwrap();
        told.send((at_once, outcome)).unwrap();
        drop(out);
        Answer::new(events, end)
            .map(|item| item.map(drop).map_err(|status| status.code()))
            .collect()
            .await
    }

    #[tokio::test]
    async fn the_end_comes_after_the_events_or_instead_of_them() {
        assert_eq!(read(false, None).await, [Ok(()), Ok(())]);
        let drained = read(false, Some(Status::unavailable("leaves"))).await;
        assert_eq!(drained, [Ok(()), Ok(()), Err(tonic::Code::Unavailable)]);
        let slow = read(true, Some(Status::resource_exhausted("slow"))).await;
        assert_eq!(slow, [Err(tonic::Code::ResourceExhausted)]);
    }
}
