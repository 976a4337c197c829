//! Sends the legs as shipments and events, in the order of time, through several connections at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use dev_flights::Leg;
use dev_flights::story::{self, Step, What};
use logistics_schemas::grpc::logistics::shipment::v1::{
    CancelShipmentRequest, CreateShipmentRequest, RecordEventRequest,
};
use logistics_schemas::grpc::logistics::r#type::v1::{Classifier, Disposition, Location, Status};
use opentelemetry::Context as TraceContext;
use opentelemetry::trace::TraceContextExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::call::{Caller, Services, patiently};
use crate::trace::Tracing;

/// Steps that wait for one worker. It bounds how far apart from the order of time two legs can be sent.
const QUEUE: usize = 2;

/// Who sends what, and how much at once.
pub struct Sender {
    /// Each carries the calls of its share of the workers.
    pub connections: Vec<Services>,
    /// May create shipments.
    pub user: Caller,
    /// May record events.
    pub shipman: Caller,
    /// Names the run: legs that were sent by another run are other shipments.
    pub run: String,
    /// How many calls are under way at most.
    pub concurrency: usize,
    /// Where the traces start.
    pub tracing: Tracing,
}

/// What was sent and acknowledged.
#[derive(Debug, Default)]
pub struct Sent {
    /// Shipment id of each leg, by its index.
    pub shipment_ids: HashMap<usize, String>,
    /// Acknowledged events, creations included.
    pub events: u64,
    /// What became of the recorded events.
    pub dispositions: BTreeMap<&'static str, u64>,
    /// Calls that had to be tried again.
    pub retries: u64,
    /// From the first call to the last answer.
    pub elapsed: Duration,
}

/// Sends all; `progress` is told now and then how many of how many steps are acknowledged.
pub async fn send(sender: &Arc<Sender>, legs: &Arc<Vec<Leg>>, progress: impl Fn(u64, u64)) -> Result<Sent> {
    let steps = story::steps(legs);
    let total = steps.len() as u64;
    let start = Instant::now();
    let done = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    let mut queues = Vec::new();
    for index in 0..sender.concurrency.max(1) {
        let (queue, steps) = mpsc::channel(QUEUE);
        queues.push(queue);
        let worker = Worker::new(sender, legs, &done, index)?;
        workers.spawn(worker.work(steps));
    }
    for step in steps {
        // A leg belongs to one worker, so that its steps keep their order.
        if queues[step.leg % queues.len()].send(step).await.is_err() {
            break; // The worker failed; its error is taken below.
        }
        progress(done.load(Ordering::Relaxed), total);
    }
    drop(queues);
    let mut sent = Sent::default();
    while let Some(worker) = workers.join_next().await {
        sent.add(worker.context("a sending task ended early")??);
    }
    sent.elapsed = start.elapsed();
    progress(total, total);
    Ok(sent)
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.shipment_ids.extend(other.shipment_ids);
        self.events += other.events;
        self.retries += other.retries;
        for (disposition, count) in other.dispositions {
            *self.dispositions.entry(disposition).or_default() += count;
        }
    }
}

struct Worker {
    sender: Arc<Sender>,
    legs: Arc<Vec<Leg>>,
    done: Arc<AtomicU64>,
    services: Services,
    traces: HashMap<usize, TraceContext>,
    retries: AtomicU64,
    sent: Sent,
}

impl Worker {
    fn new(sender: &Arc<Sender>, legs: &Arc<Vec<Leg>>, done: &Arc<AtomicU64>, index: usize) -> Result<Self> {
        let Some(services) = sender.connections.get(index % sender.connections.len().max(1)) else {
            bail!("no connection to send through");
        };
        Ok(Self {
            sender: sender.clone(),
            legs: legs.clone(),
            done: done.clone(),
            services: services.clone(),
            traces: HashMap::new(),
            retries: AtomicU64::new(0),
            sent: Sent::default(),
        })
    }

    async fn work(mut self, mut steps: mpsc::Receiver<Step>) -> Result<Sent> {
        while let Some(step) = steps.recv().await {
            let leg = self.legs[step.leg].clone();
            self.take(step, &leg)
                .await
                .with_context(|| format!("leg {}, {:?}", leg.identity(), step.what))?;
            self.sent.events += 1;
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        self.sent.retries = self.retries.into_inner();
        for trace in self.traces.values() {
            trace.span().end();
        }
        Ok(self.sent)
    }

    async fn take(&mut self, step: Step, leg: &Leg) -> Result<()> {
        match step.what {
            What::Created => self.create(step, leg).await,
            What::Departed => self.record(step, leg, Status::InTransit, &leg.origin).await,
            What::Cancelled => self.cancel(step, leg).await,
            What::Arrived => {
                self.record(step, leg, Status::AvailableForPickup, &leg.destination)
                    .await
            }
        }
    }

    async fn create(&mut self, step: Step, leg: &Leg) -> Result<()> {
        let root = self.sender.tracing.root("shipment");
        let context = self.sender.tracing.call("CreateShipment", &root);
        self.traces.insert(step.leg, root);
        let message = CreateShipmentRequest {
            idempotency_key: self.idempotency_key(step, leg),
            carrier: leg.carrier.clone(),
            tracking_number: format!(
                "{}{}-{}",
                leg.carrier,
                leg.flight,
                leg.planned_departure.format("%Y%m%d")
            ),
            origin: Some(place(&leg.origin)),
            destination: Some(place(&leg.destination)),
            planned_departure: Some(timestamp(leg.planned_departure)),
            promised_arrival: Some(timestamp(leg.promised_arrival)),
        };
        let answer = patiently(&self.retries, || {
            let mut client = self.services.shipment.clone();
            let request = self.sender.user.request(message.clone(), &context);
            async move { client.create_shipment(request).await }
        })
        .await?;
        context.span().end();
        let shipment = answer
            .shipment
            .context("the answer to CreateShipment holds no shipment")?;
        self.sent.shipment_ids.insert(step.leg, shipment.shipment_id);
        Ok(())
    }

    async fn record(&mut self, step: Step, leg: &Leg, status: Status, code: &str) -> Result<()> {
        let (shipment_id, root) = self.created(step)?;
        let context = self.sender.tracing.call("RecordEvent", root);
        let message = RecordEventRequest {
            idempotency_key: self.idempotency_key(step, leg),
            shipment_id,
            status: status.into(),
            classifier: Classifier::Actual.into(),
            occurred_at: Some(timestamp(step.at)),
            location: Some(place(code)),
            reason: String::new(),
        };
        let answer = patiently(&self.retries, || {
            let mut client = self.services.shipment.clone();
            let request = self.sender.shipman.request(message.clone(), &context);
            async move { client.record_event(request).await }
        })
        .await?;
        context.span().end();
        let event = answer.event.context("the answer to RecordEvent holds no event")?;
        *self
            .sent
            .dispositions
            .entry(disposition(event.disposition()))
            .or_default() += 1;
        Ok(())
    }

    async fn cancel(&mut self, step: Step, leg: &Leg) -> Result<()> {
        let (shipment_id, root) = self.created(step)?;
        let context = self.sender.tracing.call("CancelShipment", root);
        let message = CancelShipmentRequest {
            idempotency_key: self.idempotency_key(step, leg),
            shipment_id,
            reason: "flight_cancelled".to_owned(),
        };
        patiently(&self.retries, || {
            let mut client = self.services.shipment.clone();
            let request = self.sender.user.request(message.clone(), &context);
            async move { client.cancel_shipment(request).await }
        })
        .await?;
        context.span().end();
        Ok(())
    }

    /// The shipment of a leg that was created before, and its trace.
    fn created(&self, step: Step) -> Result<(String, &TraceContext)> {
        match (self.sent.shipment_ids.get(&step.leg), self.traces.get(&step.leg)) {
            (Some(id), Some(root)) => Ok((id.clone(), root)),
            _ => bail!("it has not been created"),
        }
    }

    fn idempotency_key(&self, step: Step, leg: &Leg) -> String {
        format!("{}/{}/{:?}", self.sender.run, leg.identity(), step.what)
    }
}

fn disposition(disposition: Disposition) -> &'static str {
    disposition.as_str_name().trim_start_matches("DISPOSITION_")
}

fn place(code: &str) -> Location {
    Location {
        code: code.to_owned(),
        facility: String::new(),
    }
}

/// A moment as the protocol writes it.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().cast_signed(),
    }
}
