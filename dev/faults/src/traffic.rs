//! Callers that create shipments and record events. Each insists on an answer, always with the same idempotency key,
//! whichever process gives it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::join;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_testbed::{order, scan};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::check::Acknowledged;
use crate::site::Site;

/// Shipments under way at one time.
const CALLERS: usize = 48;
/// Events of each shipment after its creation.
const SCANS: i64 = 11;
/// How long a caller waits for an answer before it asks another process.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a caller insists.
const INSIST: Duration = Duration::from_mins(3);
const RETRY: Duration = Duration::from_millis(50);
/// When the first scan happened, in seconds since 1970.
const FIRST_SCAN: i64 = 1_357_034_100;

type Client = ShipmentServiceClient<Channel>;

/// How the callers call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Requests a second, at most.
    pub(crate) rate: u32,
    /// Each request is sent to two processes at the same time.
    pub(crate) twice: bool,
}

/// Callers at work.
pub(crate) struct Traffic {
    office: Arc<Office>,
    callers: JoinSet<Result<()>>,
}

/// What the callers share.
struct Office {
    clients: Vec<Client>,
    bearer: MetadataValue<Ascii>,
    manner: Manner,
    pace: tokio::sync::Mutex<Interval>,
    stop: CancellationToken,
    acknowledged: Mutex<Vec<Acknowledged>>,
    count: watch::Sender<usize>,
    refusals: Mutex<BTreeMap<String, usize>>,
}

/// What the callers have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Answers that made them ask again, by code.
    pub(crate) refusals: BTreeMap<String, usize>,
}

impl Traffic {
    /// Starts callers for an account.
    pub(crate) fn start(site: &Site<'_>, account: &str, manner: Manner) -> Result<Self> {
        let clients = site
            .services
            .iter()
            .filter(|service| service.workload == logistics_schemas::Workload::Shipment)
            .map(|service| {
                let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc))?;
                let endpoint = endpoint.timeout(ANSWER).connect_timeout(ANSWER);
                Ok(Client::new(endpoint.connect_lazy()))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut pace = tokio::time::interval(Duration::from_secs(1) / manner.rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let office = Arc::new(Office {
            clients,
            bearer: site.testbed.bearer("ann", &["admin"], account)?,
            manner,
            pace: tokio::sync::Mutex::new(pace),
            stop: CancellationToken::new(),
            acknowledged: Mutex::default(),
            count: watch::Sender::new(0),
            refusals: Mutex::default(),
        });
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(Arc::clone(&office).call(caller));
        }
        Ok(Self { office, callers })
    }

    /// Waits until as many changes more are acknowledged.
    pub(crate) async fn more(&self, changes: usize) -> Result<()> {
        let wanted = *self.office.count.borrow() + changes;
        self.reach(wanted).await
    }

    /// Waits until as many changes are acknowledged in all.
    pub(crate) async fn reach(&self, changes: usize) -> Result<()> {
        let mut count = self.office.count.subscribe();
        let reached = count.wait_for(|count| *count >= changes);
        let reached = tokio::time::timeout(INSIST, reached).await;
        reached
            .with_context(|| {
                format!(
                    "{changes} changes were not acknowledged in {} s",
                    INSIST.as_secs()
                )
            })?
            .context("the callers have ended")?;
        Ok(())
    }

    /// A shipment that changes, and its newest position that is known.
    pub(crate) fn some_shipment(&self, turn: usize) -> Option<(Uuid, i64)> {
        let acknowledged = self
            .office
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let recent = acknowledged.len().checked_sub(1 + turn % CALLERS)?;
        let (shipment, seq) = acknowledged.get(recent)?.place;
        // It goes on for a while.
        (seq < SCANS / 2).then_some((shipment, seq))
    }

    /// Lets the callers get the answers that they wait for, and ends them.
    pub(crate) async fn finish(mut self) -> Result<Seen> {
        self.office.stop.cancel();
        while let Some(ended) = self.callers.join_next().await {
            ended??;
        }
        Ok(Seen {
            acknowledged: std::mem::take(
                &mut self
                    .office
                    .acknowledged
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            refusals: std::mem::take(
                &mut self
                    .office
                    .refusals
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            ),
        })
    }
}

impl Office {
    /// One caller: a shipment after the other.
    async fn call(self: Arc<Self>, caller: usize) -> Result<()> {
        let mut number = 0;
        while !self.stop.is_cancelled() {
            self.ship(&format!("{caller}/{number}"), caller + number).await?;
            number += 1;
        }
        Ok(())
    }

    /// Creates a shipment and records its events.
    async fn ship(&self, name: &str, turn: usize) -> Result<()> {
        let key = format!("order {name}");
        let create = |mut client: Client| {
            let request = self.request(order(&key));
            async move { client.create_shipment(request).await }
        };
        let shipment = self
            .insist(turn, create)
            .await?
            .shipment
            .context("no shipment")?
            .shipment_id;
        let id: Uuid = shipment.parse()?;
        self.note((id, 1), None);
        for at in 0..SCANS {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            let last = at == SCANS - 1;
            let status = if last {
                ShipmentStatus::AvailableForPickup
            } else {
                ShipmentStatus::InTransit
            };
            let key = format!("scan {at} of {name}");
            let record = |mut client: Client| {
                let request = self.request(scan(&key, &shipment, status, FIRST_SCAN + at));
                async move { client.record_event(request).await }
            };
            let event = self
                .insist(turn + usize::try_from(at)?, record)
                .await?
                .event
                .context("no event")?;
            self.note((id, event.seq), Some(event.event_id.parse()?));
        }
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request
    }

    fn note(&self, place: (Uuid, i64), event: Option<Uuid>) {
        let one = Acknowledged { place, event };
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(one);
        self.count.send_modify(|count| *count += 1);
    }

    /// Calls until there is an answer.
    async fn insist<T, F>(&self, turn: usize, call: impl Fn(Client) -> F) -> Result<T>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.pace.lock().await.tick().await;
        let end = Instant::now() + INSIST;
        for attempt in turn.. {
            let client = |at: usize| self.clients[at % self.clients.len()].clone();
            let answer = if self.manner.twice {
                let (one, other) = join(call(client(attempt)), call(client(attempt + 1))).await;
                one.or(other)
            } else {
                call(client(attempt)).await
            };
            match answer {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if is_passing(&status) && Instant::now() < end => {
                    self.refused(&status);
                    tokio::time::sleep(RETRY).await;
                }
                Err(status) => return Err(anyhow::Error::from(status).context("a caller got no answer")),
            }
        }
        bail!("a caller asked too often")
    }

    fn refused(&self, status: &Status) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(format!("{:?}", status.code())).or_default() += 1;
    }
}

/// What a client sees of a process that is gone or cannot do it now.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
    )
}
