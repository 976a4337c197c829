//! Learns from what was observed. The log gives each account one owner at a time: the consumer of its partition.
//!
//! What was learned, and how far, is written in one transaction. A batch that comes again finds that it was learned. While a
//! partition moves, its former owner may still be at work: both lock the account's histories first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use logistics_chassis::codec::{Codec, DecodeError, ShipmentObserved};
use logistics_chassis::consumer::{Handler, Record};
use logistics_chassis::outbox::Waker;
use logistics_chassis::projection::{Poison, send_unread};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::histories::{Histories, Key};
use crate::metrics::LearnerMetrics;
use crate::observation;

/// Learns.
pub(crate) struct Learner {
    pub(crate) pool: PgPool,
    pub(crate) codec: Arc<Codec>,
    /// Name of its consumer group.
    pub(crate) group: String,
    pub(crate) waker: Waker,
    pub(crate) metrics: LearnerMetrics,
}

/// Why a batch could not be learned now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LearnError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Registry(DecodeError),
}

impl Handler for Learner {
    type Error = LearnError;

    async fn handle(&self, records: &[Record]) -> Result<(), LearnError> {
        let (observed, unread) = self.read(records).await?;
        let told = unread.len();
        let mut transaction = self.pool.begin().await?;
        let learned = learn(&mut transaction, &observed).await?;
        send_unread(&mut transaction, &self.group, unread).await?;
        transaction.commit().await?;
        if told > 0 {
            self.waker.wake();
        }
        self.metrics.count(learned, observed.len() - learned, told);
        Ok(())
    }
}

impl Learner {
    /// What can be learned from, and what nothing can be learned from. Fails only when the registry is needed and away.
    async fn read<'r>(
        &self,
        records: &'r [Record],
    ) -> Result<(Vec<ShipmentObserved>, Vec<(&'r Record, Poison)>), LearnError> {
        let (mut observed, mut unread) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match self.read_one(record).await? {
                Ok(one) => observed.push(one),
                Err(poison) => {
                    tracing::error!(
                        topic = record.full_topic,
                        partition = record.partition,
                        offset = record.offset,
                        reason = poison.message(),
                        "nothing can be learned from this record"
                    );
                    unread.push((record, poison));
                }
            }
        }
        Ok((observed, unread))
    }

    async fn read_one(&self, record: &Record) -> Result<Result<ShipmentObserved, Poison>, LearnError> {
        let value = record.value.as_deref().unwrap_or_default();
        Ok(match self.codec.decode::<ShipmentObserved>(value).await {
            Ok(one) => match observation::defect_of(&one) {
                Some(defect) => Err(Poison::new("misfit", &defect)),
                None => Ok(one),
            },
            Err(error) if error.is_transient() => return Err(LearnError::Registry(error)),
            Err(error) => Err(Poison::new(error.class(), &error)),
        })
    }
}

/// Learns what was not learned before; gives how many that were.
async fn learn(connection: &mut PgConnection, observed: &[ShipmentObserved]) -> Result<usize, sqlx::Error> {
    if observed.is_empty() {
        return Ok(0);
    }
    let keys: BTreeSet<Key> = observed
        .iter()
        .flat_map(|one| observation::keys_of(one).into_all())
        .collect();
    let mut histories = Histories::lock(connection, &keys).await?;
    let mut positions = positions(connection, observed).await?;
    let mut learned = 0;
    for one in observed {
        let position = positions.entry(one.shipment_id).or_default();
        if one.seq > *position {
            *position = one.seq;
            histories.take(one);
            learned += 1;
        }
    }
    histories.save(connection).await?;
    if learned > 0 {
        save_positions(connection, &positions).await?;
    }
    Ok(learned)
}

async fn positions(
    connection: &mut PgConnection,
    observed: &[ShipmentObserved],
) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let shipments: BTreeSet<Uuid> = observed.iter().map(|one| one.shipment_id).collect();
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT shipment_id, seq FROM learned WHERE shipment_id = ANY($1)")
            .bind(shipments.into_iter().collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().collect())
}

async fn save_positions(
    connection: &mut PgConnection,
    positions: &HashMap<Uuid, i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO learned (shipment_id, seq) SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS row (shipment_id, seq)
         ON CONFLICT (shipment_id) DO UPDATE SET seq = excluded.seq WHERE learned.seq < excluded.seq",
    )
    .bind(positions.keys().copied().collect::<Vec<_>>())
    .bind(positions.values().copied().collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}
