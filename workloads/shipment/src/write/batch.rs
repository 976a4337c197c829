//! Requests that share a transaction.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use logistics_chassis::audit::{self, Leaf};
use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::errors::ServiceError;
use logistics_chassis::idempotency::{self, Claim, First};
use logistics_chassis::outbox::{self, Record};
use logistics_chassis::writes::Writes;
use sqlx::{Connection as _, PgPool};
use uuid::Uuid;

use super::Job;
use super::intent;
use crate::change::Act;
use crate::history::History;
use crate::model::{Change, Shipment};
use crate::store;

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Failure {
    /// A request with the same key, in another transaction, was faster; next time its answer is found.
    Overtaken,
    /// The database refused or is away.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if idempotency::overtaken(&error) {
            Self::Overtaken
        } else {
            Self::Database(error)
        }
    }
}

/// What a request is answered with.
pub(super) type Outcome = Result<Vec<u8>, ServiceError>;

/// Does all of it, or nothing. What a request asks wrongly is its own answer and does not touch the others.
pub(super) async fn commit(
    pool: &PgPool,
    events: &EventWriter,
    jobs: &[Job],
) -> Result<Vec<Outcome>, Failure> {
    let mut connection = pool.acquire().await?;
    let claims: Vec<_> = jobs.iter().map(|job| &job.claim).collect();
    let first = idempotency::replay(&mut connection, &claims).await?;
    let fresh = || jobs.iter().zip(&first).filter(|(_, first)| first.is_none());
    let wanted: Vec<_> = fresh()
        .filter_map(|(job, _)| Some((job.intent.shipment_id()?, job.principal.account_id.as_str())))
        .collect();
    if wanted.is_empty() {
        // Nothing has to be held until it is written: a statement is a transaction.
        let (outcomes, writes) = Batch::new(events).take_all(jobs, first);
        writes.execute(&mut *connection).await?;
        return Ok(outcomes);
    }
    let mut transaction = connection.begin().await?;
    let shipments = store::lock(&mut transaction, &wanted).await?;
    let old = intent::need_history(fresh().map(|(job, _)| &job.intent), &shipments);
    let batch = Batch {
        histories: store::histories(&mut transaction, &old).await?,
        shipments,
        ..Batch::new(events)
    };
    let (outcomes, writes) = batch.take_all(jobs, first);
    writes.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(outcomes)
}

/// What was decided so far. Nothing of it is written yet.
struct Batch<'a> {
    events: &'a EventWriter,
    /// The shipments as they are after what was decided. They are locked.
    shipments: HashMap<Uuid, Shipment>,
    /// Their events, where a request needs them.
    histories: HashMap<Uuid, History>,
    done: Vec<Done<'a>>,
    /// Where in `done` the request with a key is.
    by_key: HashMap<(&'a str, &'a str, &'a str, &'a str), usize>,
}

/// A decided request.
struct Done<'a> {
    claim: &'a Claim,
    change: Change,
    leaf: Leaf,
    record: Record,
    answer: First,
}

impl<'a> Batch<'a> {
    fn new(events: &'a EventWriter) -> Self {
        Self {
            events,
            shipments: HashMap::new(),
            histories: HashMap::new(),
            done: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// The answers to all of them, which hold once the writes are durable.
    fn take_all(mut self, jobs: &'a [Job], first: Vec<Option<First>>) -> (Vec<Outcome>, Writes) {
        let each = jobs.iter().zip(first);
        let outcomes = each.map(|(job, first)| self.take(job, first.as_ref())).collect();
        (outcomes, self.writes())
    }

    fn take(&mut self, job: &'a Job, first: Option<&First>) -> Outcome {
        let earlier = self
            .by_key
            .get(&job.claim.scope())
            .map(|at| &self.done[*at].answer);
        if let Some(first) = first.or(earlier) {
            return job.claim.answer(first);
        }
        let _entered = job.span.enter();
        let change = self.decide(job)?;
        let (event, shipment) = (&change.event, &change.shipment);
        let done = Done {
            claim: &job.claim,
            leaf: Leaf::new(
                &job.principal,
                &job.claim,
                event.id,
                event.recorded_at,
                shipment.id,
            ),
            record: self.record(&change)?,
            answer: First {
                request_hash: job.claim.request_hash().to_vec(),
                response: (job.answer)(&change),
            },
            change,
        };
        let answer = done.answer.response.clone();
        if let Some(history) = self.histories.get_mut(&done.change.shipment.id) {
            history.push(done.change.event.clone());
        }
        self.shipments
            .insert(done.change.shipment.id, done.change.shipment.clone());
        self.by_key.insert(job.claim.scope(), self.done.len());
        self.done.push(done);
        Ok(answer)
    }

    fn decide(&self, job: &Job) -> Result<Change, ServiceError> {
        // After the locks: times of one shipment's events do not run backwards.
        let act = Act {
            principal: &job.principal,
            now: now(),
            event_id: Uuid::now_v7(),
        };
        let Some(id) = job.intent.shipment_id() else {
            return job.intent.create(act);
        };
        let shipment = self.shipments.get(&id);
        let own = shipment.filter(|shipment| shipment.account_id == job.principal.account_id);
        let shipment = own.cloned().ok_or_else(|| store::not_found(id))?;
        job.intent.change(shipment, self.histories.get(&id), act)
    }

    fn record(&self, change: &Change) -> Result<Record, ServiceError> {
        let event = &change.event;
        let record = if event.seq == 1 {
            self.events.record(event.id, event.recorded_at, &change.created())
        } else {
            self.events
                .record(event.id, event.recorded_at, &change.status_changed())
        };
        record.map_err(|error| ServiceError::internal("encode the event", error))
    }

    fn writes(self) -> Writes {
        let mut changes = Vec::with_capacity(self.done.len());
        let (mut leaves, mut records, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for done in self.done {
            changes.push(done.change);
            leaves.push(done.leaf);
            records.push(done.record);
            answers.push((done.claim, done.answer.response));
        }
        let answers: Vec<_> = answers
            .iter()
            .map(|(claim, answer)| (*claim, answer.as_slice()))
            .collect();
        let mut writes = Writes::default();
        // First of all what may be refused: a key that another transaction has is waited for here.
        idempotency::record(&mut writes, &answers);
        store::write(&mut writes, &changes);
        audit::append(&mut writes, &leaves);
        outbox::append(&mut writes, &records);
        writes
    }
}

/// The clock, as fine as PostgreSQL and Avro keep it.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
