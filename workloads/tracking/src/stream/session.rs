//! One live stream: from its inbox and the projection to its client.

use std::sync::Arc;
use std::time::Duration;

use logistics_chassis::errors::{ServiceError, refusal};
use logistics_schemas::grpc::logistics::tracking::v1::StreamTrackingResponse;
use logistics_schemas::grpc::logistics::r#type::v1::ShipmentEvent;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::answer::Answer;
use super::hub::Subscription;
use super::merge::Merge;
use crate::store;

/// Most events that are read from the projection at one time.
const PAGE: i64 = 256;
/// Most events that are kept for one stream before their turn; more than a page.
const ROOM: usize = 512;
/// Most events that wait for the client.
const QUEUE: usize = 64;
/// Pauses between looks into a projection that does not have the next event yet.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// Pause before the next attempt at a database that is away.
const RETRY: Duration = Duration::from_secs(1);

/// An event and where it was read.
type Sourced = (Arc<ShipmentEvent>, &'static str);

/// When a stream ends by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The stream's own last moment.
    pub(super) age: Instant,
    /// The caller's deadline.
    pub(super) deadline: Option<Instant>,
    /// How long a client may read nothing.
    pub(super) slow: Duration,
}

/// Why a stream ended.
#[derive(Debug)]
enum End {
    Closed,
    Age,
    Deadline,
    Leaving,
    Slow,
    Failed(Status),
}

impl End {
    const fn name(&self) -> &'static str {
        match self {
            Self::Closed => "closed_by_client",
            Self::Age => "max_age",
            Self::Deadline => "deadline",
            Self::Leaving => "drain",
            Self::Slow => "slow_client",
            Self::Failed(_) => "error",
        }
    }

    /// What the client is told; `None` is OK.
    fn status(self, last: i64) -> Option<Status> {
        match self {
            Self::Closed | Self::Age => None,
            Self::Deadline => Some(refusal(
                Code::DeadlineExceeded,
                "DEADLINE",
                &format!("the caller's deadline is over; open the stream again with after_seq {last}"),
            )),
            Self::Leaving => Some(leaving()),
            Self::Slow => Some(refusal(
                Code::ResourceExhausted,
                "SLOW_CLIENT",
                "the client did not read for too long; read faster, and open the stream again with the last seq that came",
            )),
            Self::Failed(status) => Some(status),
        }
    }
}

/// What a client is told when this replica is about to stop.
pub(super) fn leaving() -> Status {
    refusal(
        Code::Unavailable,
        "REPLICA_LEAVES",
        "this replica is about to stop; open the stream again with the last seq that came",
    )
}

pub(super) struct Session {
    subscription: Subscription,
    merge: Merge<Sourced>,
    pool: PgPool,
    out: mpsc::Sender<StreamTrackingResponse>,
    slow: Duration,
}

/// Starts a stream of what comes after `after`; `head` is the last position that the projection had when the
/// subscription was already open.
pub(super) fn start(
    subscription: Subscription,
    pool: PgPool,
    (after, head): (i64, i64),
    limits: Limits,
    stop: CancellationToken,
) -> Answer {
    let (out, events) = mpsc::channel(QUEUE);
    let (told, end) = oneshot::channel();
    let mut merge = Merge::new(after, ROOM);
    merge.exists(head);
    let session = Session {
        subscription,
        merge,
        pool,
        out,
        slow: limits.slow,
    };
    tokio::spawn(session.run(limits, stop, told));
    Answer::new(events, end)
}

impl Session {
    async fn run(
        mut self,
        limits: Limits,
        stop: CancellationToken,
        told: oneshot::Sender<(bool, Option<Status>)>,
    ) {
        let client = self.out.clone();
        let (until, over) = match limits.deadline {
            Some(deadline) if deadline < limits.age => (deadline, End::Deadline),
            _ => (limits.age, End::Age),
        };
        let end = tokio::select! {
            biased;
            () = stop.cancelled() => End::Leaving,
            () = client.closed() => End::Closed,
            () = tokio::time::sleep_until(until) => over,
            end = self.follow() => end,
        };
        self.subscription.metrics().ended(end.name());
        let at_once = matches!(end, End::Slow);
        // Refused only when the client has gone.
        let _ = told.send((at_once, end.status(self.merge.last())));
    }

    /// Sends what comes, until that is not possible any more.
    async fn follow(&mut self) -> End {
        let mut pause = PAUSE.0;
        let mut next_read = Instant::now();
        loop {
            self.empty_inbox();
            while let Some(event) = self.merge.next() {
                if let Err(end) = self.send(event).await {
                    return end;
                }
            }
            if self.merge.is_behind() && next_read <= Instant::now() {
                match self.read().await {
                    Ok(0) => {
                        next_read = Instant::now() + pause;
                        pause = (pause * 2).min(PAUSE.1);
                    }
                    Ok(_) => pause = PAUSE.0,
                    // What the log tells still goes out, as long as nothing is missing in between.
                    Err(ServiceError::Unavailable(error)) => {
                        tracing::warn!(%error, "a live stream waits for the database");
                        pause = PAUSE.0;
                        next_read = Instant::now() + RETRY;
                    }
                    Err(error) => return End::Failed(error.into()),
                }
                continue;
            }
            tokio::select! {
                () = self.subscription.changed() => {}
                () = tokio::time::sleep_until(next_read), if self.merge.is_behind() => {}
            }
        }
    }

    fn empty_inbox(&mut self) {
        let mail = self.subscription.take();
        for (seq, event) in mail.events {
            self.merge.take(seq, (event, "log"));
        }
        self.merge.exists(mail.known);
    }

    /// Reads what follows from the projection; gives how much there was.
    async fn read(&mut self) -> Result<usize, ServiceError> {
        let entries =
            store::entries_after(&self.pool, self.subscription.shipment(), self.merge.last(), PAGE).await?;
        for entry in &entries {
            let event = Arc::new(crate::view::event(entry));
            self.merge.take(entry.seq, (event, "projection"));
        }
        Ok(entries.len())
    }

    async fn send(&self, (event, source): Sourced) -> Result<(), End> {
        let event = Some(Arc::unwrap_or_clone(event));
        let sent = self.out.send_timeout(StreamTrackingResponse { event }, self.slow);
        match sent.await {
            Ok(()) => {
                self.subscription.metrics().sent(source);
                Ok(())
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::Slow),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Closed),
        }
    }
}
