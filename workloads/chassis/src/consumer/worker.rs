//! Handles the records of one partition number, batch by batch.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer as _, StreamConsumer};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::assignment::Assignment;
use super::metrics::ConsumerMetrics;
use super::{Handler, Record};
use crate::broken;

/// Most records in one batch, which is one transaction.
const MAX_BATCH: usize = 256;
/// Reading is paused when as much waits, in records and in bytes.
const PAUSE_AT: (usize, usize) = (2_000, 8 * 1024 * 1024);
/// And goes on when no more than this waits.
const RESUME_AT: (usize, usize) = (500, 2 * 1024 * 1024);
/// Pauses between attempts after a transient error.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A record and the assignment under which it was read.
struct Waiting {
    record: Record,
    epoch: u64,
}

/// How much waits in a queue; shared by both its ends.
#[derive(Debug)]
struct Level {
    partition: i32,
    records: AtomicUsize,
    bytes: AtomicUsize,
    paused: AtomicBool,
    drained: mpsc::UnboundedSender<i32>,
}

impl Level {
    fn is_above(&self, (records, bytes): (usize, usize)) -> bool {
        self.records.load(Ordering::Acquire) > records || self.bytes.load(Ordering::Acquire) > bytes
    }

    /// Says so when reading was paused and may go on.
    fn take(&self, batch: &[Waiting]) {
        let bytes: usize = batch.iter().map(|waiting| waiting.record.size()).sum();
        self.records.fetch_sub(batch.len(), Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if !self.is_above(RESUME_AT) && self.paused.swap(false, Ordering::AcqRel) {
            // Refused only when the consumer has ended.
            let _ = self.drained.send(self.partition);
        }
    }
}

/// The reader's end of a queue.
pub(super) struct Queue {
    sender: mpsc::UnboundedSender<Waiting>,
    level: Arc<Level>,
}

/// The worker's end of a queue.
pub(super) struct Work {
    receiver: mpsc::UnboundedReceiver<Waiting>,
    level: Arc<Level>,
}

impl Queue {
    pub(super) fn new(partition: i32, drained: mpsc::UnboundedSender<i32>) -> (Self, Work) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let level = Arc::new(Level {
            partition,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            drained,
        });
        let work = Work {
            receiver,
            level: Arc::clone(&level),
        };
        (Self { sender, level }, work)
    }

    /// Adds a record; true when reading of the partition has to be paused now. The queue has no bound of its own, since
    /// only the few records that were on their way can still come after the pause.
    pub(super) fn push(&self, record: Record, epoch: u64) -> bool {
        self.level.records.fetch_add(1, Ordering::AcqRel);
        self.level.bytes.fetch_add(record.size(), Ordering::AcqRel);
        // Refused only when the worker has ended, which ends the consumer.
        let _ = self.sender.send(Waiting { record, epoch });
        self.level.is_above(PAUSE_AT) && !self.level.paused.swap(true, Ordering::AcqRel)
    }
}

/// Handles the records of a queue.
pub(super) struct Worker<H> {
    pub(super) consumer: Arc<StreamConsumer<Assignment>>,
    pub(super) assignment: Assignment,
    pub(super) handler: Arc<H>,
    pub(super) metrics: ConsumerMetrics,
    pub(super) permits: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

impl<H: Handler> Worker<H> {
    /// Works until the queue is closed or the stop is asked for; a batch under way is finished.
    pub(super) async fn run(self, mut work: Work) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        loop {
            waiting.clear();
            let received = self
                .stop
                .run_until_cancelled(work.receiver.recv_many(&mut waiting, MAX_BATCH))
                .await;
            if matches!(received, None | Some(0)) {
                return;
            }
            work.level.take(&waiting);
            self.handle(&waiting).await;
        }
    }

    /// Handles a batch, again and again until it is done, or no longer ours, or the stop is asked for.
    async fn handle(&self, waiting: &[Waiting]) {
        let mut pause = RETRY.0;
        loop {
            let batch = self.still_ours(waiting);
            if batch.is_empty() {
                return;
            }
            let Ok(permit) = self.permits.acquire().await else {
                return;
            };
            if broken::OFFSET_EARLY {
                self.store_offsets(waiting);
            }
            let started = Instant::now();
            let outcome = self.handler.handle(&batch).await;
            drop(permit);
            match outcome {
                Ok(()) => {
                    self.metrics
                        .batch_seconds
                        .observe(started.elapsed().as_secs_f64());
                    self.metrics.records.inc_by(batch.len() as u64);
                    self.store_offsets(waiting);
                    return;
                }
                Err(error) => {
                    self.metrics.retries.inc();
                    let partition = batch[0].partition;
                    tracing::warn!(%error, partition, records = batch.len(), retry_in = ?pause, "handling events");
                }
            }
            if self
                .stop
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    fn still_ours(&self, waiting: &[Waiting]) -> Vec<Record> {
        waiting
            .iter()
            .filter(|one| self.is_ours(one))
            .map(|one| one.record.clone())
            .collect()
    }

    fn is_ours(&self, waiting: &Waiting) -> bool {
        let Record {
            full_topic,
            partition,
            ..
        } = &waiting.record;
        self.assignment.epoch(full_topic, *partition) == Some(waiting.epoch)
    }

    /// Notes the last offset of each partition; the client sends them to the group from time to time.
    fn store_offsets(&self, waiting: &[Waiting]) {
        let mut last: HashMap<(&str, i32), &Waiting> = HashMap::new();
        for one in waiting {
            last.insert((&one.record.full_topic, one.record.partition), one);
        }
        for ((topic, partition), one) in last {
            if self.is_ours(one)
                && let Err(error) = self.consumer.store_offset(topic, partition, one.record.offset)
            {
                // It was revoked just now: whoever has it gets the records again and recognises them.
                tracing::debug!(%error, topic, partition, "offset not stored");
            }
        }
    }
}
