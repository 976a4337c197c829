//! Live streams: the events of a shipment as they happen, on whichever replica the client is.
//!
//! Two sources, merged ([`merge`]): the end of the log, which every replica reads for itself, makes it quick; the
//! projection, which all replicas share, makes it complete. What the log does not tell (it was written while the tail was
//! starting, the inbox was full, the record is unreadable) is found within [`CHECK`], because the projection is asked how
//! far the followed shipments are. A stream therefore outlives a broker or a database that is away for a while.

mod answer;
mod hub;
mod merge;
mod metrics;
mod session;

use std::sync::Arc;
use std::time::Duration;

use logistics_chassis::codec::Codec;
use logistics_chassis::consumer::Record;
use logistics_chassis::errors::refusal;
use logistics_chassis::identity::Principal;
use logistics_chassis::projection::{self, Observed};
use logistics_chassis::service::Chassis;
use logistics_chassis::tail::{self, Observer, Tail, TailMetrics};
use logistics_schemas::config;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

pub(crate) use answer::Answer;
use hub::Hub;
use metrics::StreamMetrics;
use session::Limits;

use crate::store::{self, Entry};
use crate::{projector, view};

/// How often the projection is asked how far the followed shipments are, all of them in one question.
const CHECK: Duration = Duration::from_secs(2);
/// How long the reading of a record may hold the others up: only its writer's schema may have to be looked up.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// Opens live streams.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    hub: Arc<Hub>,
    pool: PgPool,
    bounds: config::Streams,
    stop: CancellationToken,
}

impl Streams {
    /// Starts what feeds the streams; it rests while there are none.
    pub(crate) fn start(chassis: &mut Chassis, codec: Arc<Codec>) -> Self {
        let bounds = chassis.config.streams;
        let hub = Arc::new(Hub::new(bounds, StreamMetrics::register(&chassis.metrics)));
        let tail = Tail {
            kafka: chassis.config.kafka.clone(),
            client_id: format!("{}/{}", chassis.process.service_name(), chassis.process.instance),
            topics: projection::TOPICS.to_vec(),
            observer: Feed {
                hub: Arc::clone(&hub),
                codec,
            },
            metrics: TailMetrics::register(&chassis.metrics),
            refresh: tail::REFRESH,
        };
        let (wanted, stop) = (hub.wanted(), chassis.shutdown.requested());
        chassis.spawn(
            "tail",
            async move { tail.run(wanted, stop).await.map_err(Into::into) },
        );
        let streams = Self {
            hub,
            pool: chassis.pool.clone(),
            bounds,
            stop: chassis.shutdown.requested(),
        };
        let (check, stop) = (streams.clone(), streams.stop.clone());
        chassis.spawn("streams", async move {
            stop.run_until_cancelled(check.follow_projection()).await;
            Ok(())
        });
        streams
    }

    /// Opens a stream of the events of a shipment of the caller's account.
    pub(crate) async fn open(
        &self,
        principal: &Principal,
        shipment: Uuid,
        after: i64,
        deadline: Option<std::time::Instant>,
    ) -> Result<Answer, Status> {
        if self.stop.is_cancelled() {
            return Err(session::leaving());
        }
        // First the inbox, then the projection: what comes in between is in one of them, or in both.
        let subscription = self
            .hub
            .open(principal, shipment)
            .map_err(|full| refusal(Code::ResourceExhausted, "TOO_MANY_STREAMS", &full.to_string()))?;
        let head = store::head(&self.pool, shipment, &principal.account_id).await?;
        let limits = Limits {
            age: Instant::now() + Duration::from_secs(self.bounds.max_seconds.into()),
            deadline: deadline.map(Instant::from_std),
            slow: Duration::from_secs(self.bounds.slow_client_seconds.into()),
        };
        Ok(session::start(
            subscription,
            self.pool.clone(),
            (after, head),
            limits,
            self.stop.clone(),
        ))
    }

    /// Tells the streams how far the projection is.
    async fn follow_projection(&self) {
        let mut wanted = self.hub.wanted();
        while wanted.wait_for(|wanted| *wanted).await.is_ok() {
            tokio::time::sleep(CHECK).await;
            match projection::last_seqs(&self.pool, &self.hub.shipments()).await {
                Ok(last_seqs) => {
                    for (shipment, last_seq) in last_seqs {
                        self.hub.tell_of(shipment, last_seq);
                    }
                }
                Err(error) => tracing::warn!(%error, "live streams do not hear from the projection"),
            }
        }
    }
}

/// Whether the projection can have this entry: PostgreSQL's text takes no zero byte, and such an event is poison there.
/// A stream must not show what the timeline will never have.
fn is_storable(entry: &Entry) -> bool {
    let location = entry.location.iter();
    let proof = entry.proof.iter();
    let mut texts = location
        .flat_map(|location| [&location.code, &location.facility])
        .chain(proof.flat_map(|proof| [&proof.signer, &proof.image_ref, &proof.signature_ref]))
        .chain([&entry.actor, &entry.reason, &entry.assignee]);
    !texts.any(|text| text.contains('\0'))
}

/// Gives what comes at the end of the log to the streams.
struct Feed {
    hub: Arc<Hub>,
    codec: Arc<Codec>,
}

impl Observer for Feed {
    fn wants(&self, key: &[u8]) -> bool {
        Uuid::try_parse_ascii(key).is_ok_and(|shipment| self.hub.follows(shipment))
    }

    async fn observe(&self, record: &Record) {
        let read = tokio::time::timeout(READ_LIMIT, projection::observe(&self.codec, record)).await;
        match read {
            Ok(Observed::Event {
                event_id,
                shipment_id,
                seq,
                event,
            }) => {
                let entry = projector::entry(event_id, shipment_id, seq, &event);
                if is_storable(&entry) {
                    self.hub.give(shipment_id, seq, &Arc::new(view::event(&entry)));
                } else {
                    self.hub.tell_of(shipment_id, seq);
                }
            }
            Ok(Observed::Unread { shipment_id, seq }) => self.hub.tell_of(shipment_id, seq),
            // The projection has it sooner or later.
            Ok(Observed::Nothing) | Err(_) => {}
        }
    }
}
