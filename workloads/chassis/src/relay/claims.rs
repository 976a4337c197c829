//! Claims on shards: session-level advisory locks, which end with the session however it ends.

use std::collections::BTreeSet;

use rand::seq::SliceRandom as _;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::shards;
use crate::outbox::SHARDS;

/// Held, shared, by every relay: counting its holders counts the relays.
const MEMBER: i32 = SHARDS as i32;

/// The shards of one relay.
pub(super) struct Claims {
    connection: PgConnection,
    /// First half of the locks' names: one per schema.
    class: i32,
    owned: BTreeSet<i16>,
    relays: usize,
}

impl Claims {
    /// Joins the relays of this schema, without a shard yet.
    pub(super) async fn join(pool: &PgPool) -> Result<Self, sqlx::Error> {
        // Outside of the pool: the session lives as long as the claims.
        let mut connection = pool.acquire().await?.detach();
        let class: i32 = sqlx::query_scalar("SELECT hashtext('outbox of ' || current_schema())")
            .fetch_one(&mut connection)
            .await?;
        // Of this session: see `forget`.
        sqlx::query("SET synchronous_commit = off")
            .execute(&mut connection)
            .await?;
        sqlx::query("SELECT pg_advisory_lock_shared($1, $2)")
            .bind(class)
            .bind(MEMBER)
            .execute(&mut connection)
            .await?;
        Ok(Self {
            connection,
            class,
            owned: BTreeSet::new(),
            relays: 1,
        })
    }

    pub(super) fn owned(&self) -> Vec<i16> {
        self.owned.iter().copied().collect()
    }

    pub(super) fn alone(&self) -> bool {
        self.relays <= 1
    }

    /// Gives up what is over the fair share, and takes what is free up to it.
    pub(super) async fn rebalance(&mut self) -> Result<(), sqlx::Error> {
        let relays: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks
             WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = $1::bigint::oid AND objid = $2::oid
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .bind(i64::from(self.class.cast_unsigned()))
        .bind(MEMBER)
        .fetch_one(&mut self.connection)
        .await?;
        self.relays = usize::try_from(relays).unwrap_or(1);
        let change = shards::change(&self.owned(), self.relays);
        for shard in change.release {
            sqlx::query("SELECT pg_advisory_unlock($1, $2)")
                .bind(self.class)
                .bind(i32::from(shard))
                .execute(&mut self.connection)
                .await?;
            self.owned.remove(&shard);
        }
        if change.take > 0 {
            self.take(change.take).await?;
        }
        Ok(())
    }

    async fn take(&mut self, most: usize) -> Result<(), sqlx::Error> {
        let mut free: Vec<i16> = (0..SHARDS).filter(|shard| !self.owned.contains(shard)).collect();
        // Relays that start together should not all ask for the same ones.
        free.shuffle(&mut rand::rng());
        let mut wanted = most;
        while wanted > 0 && !free.is_empty() {
            let candidates = free.split_off(free.len().saturating_sub(wanted));
            let taken: Vec<i16> = sqlx::query_scalar(
                "SELECT shard FROM unnest($2::smallint[]) AS shard WHERE pg_try_advisory_lock($1, shard)",
            )
            .bind(self.class)
            .bind(candidates)
            .fetch_all(&mut self.connection)
            .await?;
            wanted -= taken.len().min(wanted);
            self.owned.extend(taken);
        }
        Ok(())
    }

    /// Deletes rows that the log has. It does not wait for the disk: should the server crash, the rows are back and are sent
    /// again, and requests that commit meanwhile do not queue behind it.
    pub(super) async fn forget(&mut self, positions: Vec<i64>) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM outbox WHERE position = ANY ($1)")
            .bind(positions)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Ends the session: others can have the shards at once.
    pub(super) async fn leave(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the relay's session ended by itself");
        }
    }
}
