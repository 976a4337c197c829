//! The table `histories`: what has been learned, per account and scope.

use std::collections::BTreeSet;

use logistics_chassis::codec::ShipmentObserved;
use logistics_domain::book::Book;
use logistics_domain::history::{History, SHRINK_ARRIVALS, Surroundings};
use logistics_domain::risk;
use logistics_domain::scope::{self, Level, PerLevel, Scope};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::observation;

/// Names one history. The order is that of locking.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    account_id: String,
    scope: Scope,
}

/// The histories that a shipment belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(PerLevel<Key>);

impl Keys {
    pub(crate) fn new(account_id: &str, carrier: &str, origin: &str, destination: &str) -> Self {
        let key = |scope| Key {
            account_id: account_id.to_owned(),
            scope,
        };
        Self(scope::of(carrier, origin, destination).map(key))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    pub(crate) fn into_all(self) -> PerLevel<Key> {
        self.0
    }

    /// That of its lane.
    pub(crate) fn lane(&self) -> &Key {
        let [lane, ..] = &self.0;
        lane
    }
}

/// Histories in memory, for the time of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    book: Book<Key>,
    changed: BTreeSet<Key>,
}

impl Histories {
    /// Reads what a batch is assessed by, as it now stands.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        keys: &BTreeSet<Key>,
    ) -> Result<Self, sqlx::Error> {
        let mut histories = Self::default();
        if !keys.is_empty() {
            histories
                .book
                .extend(select(connection, keys, Purpose::Assess).await?);
        }
        Ok(histories)
    }

    /// Reads what a batch changes, and locks it, in the order of the keys.
    pub(crate) async fn lock(
        connection: &mut PgConnection,
        keys: &BTreeSet<Key>,
    ) -> Result<Self, sqlx::Error> {
        let mut found = select(connection, keys, Purpose::Learn).await?;
        if found.len() < keys.len() {
            insert_missing(connection, keys).await?;
            found = select(connection, keys, Purpose::Learn).await?;
        }
        let mut histories = Self::default();
        histories.book.extend(found);
        Ok(histories)
    }

    pub(crate) fn around(&self, keys: &Keys) -> Surroundings<'_> {
        self.book.around(&keys.0)
    }

    pub(crate) fn lane(&self, keys: &Keys) -> &History {
        self.around(keys).at(Level::Lane)
    }

    /// Learns.
    pub(crate) fn take(&mut self, observed: &ShipmentObserved) {
        let keys = observation::keys_of(observed);
        if let Some(stay) = observed.stay {
            self.book.stayed(keys.lane(), stay);
            self.changed.insert(keys.lane().clone());
        }
        if let Some(outcome) = observation::outcome_of(observed) {
            self.book.learn(&keys.0, &outcome);
            self.changed.extend(keys.iter().cloned());
        }
    }

    /// Writes what has changed.
    pub(crate) async fn save(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let rows: Vec<(&Key, &History)> = self
            .changed
            .iter()
            .filter_map(|key| Some((key, self.book.get(key)?)))
            .collect();
        let (accounts, levels, carriers, origins, destinations) = columns(self.changed.iter());
        sqlx::query(
            "UPDATE histories SET arrivals = row.arrivals, late = row.late, median_delay = row.median, state = row.state
             FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                         $8::double precision[], $9::jsonb[])
                  AS row (account_id, level, carrier, origin, destination, arrivals, late, median, state)
             WHERE (histories.account_id, histories.level, histories.carrier, histories.origin, histories.destination)
                 = (row.account_id, row.level, row.carrier, row.origin, row.destination)",
        )
        .bind(accounts)
        .bind(levels)
        .bind(carriers)
        .bind(origins)
        .bind(destinations)
        .bind(rows.iter().map(|(_, history)| i64::from(history.counts.arrivals)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, history)| i64::from(history.counts.late)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, history)| history.delay.quantile(0.5).unwrap_or_default()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, history)| Json(*history)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
    }
}

type Columns<'a> = (
    Vec<&'a str>,
    Vec<&'a str>,
    Vec<&'a str>,
    Vec<&'a str>,
    Vec<&'a str>,
);

fn columns<'a>(keys: impl Iterator<Item = &'a Key>) -> Columns<'a> {
    let mut columns = Columns::default();
    for key in keys {
        columns.0.push(&key.account_id);
        columns.1.push(key.scope.level.as_str());
        columns.2.push(&key.scope.carrier);
        columns.3.push(&key.scope.origin);
        columns.4.push(&key.scope.destination);
    }
    columns
}

async fn insert_missing(connection: &mut PgConnection, keys: &BTreeSet<Key>) -> Result<(), sqlx::Error> {
    let (accounts, levels, carriers, origins, destinations) = columns(keys.iter());
    sqlx::query(
        "INSERT INTO histories (account_id, level, carrier, origin, destination)
         SELECT account_id, level, carrier, origin, destination
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
              WITH ORDINALITY AS row (account_id, level, carrier, origin, destination, at)
         ORDER BY at
         ON CONFLICT DO NOTHING",
    )
    .bind(accounts)
    .bind(levels)
    .bind(carriers)
    .bind(origins)
    .bind(destinations)
    .execute(connection)
    .await
    .map(drop)
}

#[derive(sqlx::FromRow)]
struct Row {
    at: i64,
    state: Option<Json<History>>,
}

/// What histories are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Assess,
    /// Nobody else learns meanwhile.
    Learn,
}

async fn select(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
    purpose: Purpose,
) -> Result<Vec<(Key, History)>, sqlx::Error> {
    const SELECT: &str = "SELECT row.at, histories.state
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
              WITH ORDINALITY AS row (account_id, level, carrier, origin, destination, at)
         JOIN histories USING (account_id, level, carrier, origin, destination)
         ORDER BY row.at";
    let (accounts, levels, carriers, origins, destinations) = columns(keys.iter());
    let sql = if purpose == Purpose::Learn {
        format!("{SELECT} FOR UPDATE OF histories")
    } else {
        SELECT.to_owned()
    };
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(accounts)
        .bind(levels)
        .bind(carriers)
        .bind(origins)
        .bind(destinations)
        .fetch_all(connection)
        .await?;
    let keys: Vec<&Key> = keys.iter().collect();
    let entry = |row: Row| {
        let key = keys.get(usize::try_from(row.at).ok()?.checked_sub(1)?)?;
        Some(((*key).clone(), row.state.map(|state| state.0).unwrap_or_default()))
    };
    Ok(rows.into_iter().filter_map(entry).collect())
}

/// A lane and how it has done.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Lane {
    pub(crate) carrier: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) arrivals: i64,
    pub(crate) late_share: f64,
    pub(crate) median_delay: f64,
}

/// The account's lanes, riskiest first.
pub(crate) async fn riskiest_lanes(
    pool: &PgPool,
    account_id: &str,
    limit: u16,
) -> Result<Vec<Lane>, sqlx::Error> {
    let overall: Option<Json<History>> = sqlx::query_scalar(
        "SELECT state FROM histories WHERE account_id = $1 AND level = 'overall' AND state IS NOT NULL",
    )
    .bind(account_id)
    .fetch_optional(pool)
    .await?;
    let base = risk::base_rate(&overall.map(|state| state.0).unwrap_or_default());
    sqlx::query_as(
        "SELECT carrier, origin, destination, arrivals, median_delay,
                (late + $2::double precision * $3::double precision) / (arrivals + $3) AS late_share
         FROM histories WHERE account_id = $1 AND level = 'lane' AND arrivals > 0
         ORDER BY late_share DESC, arrivals DESC, carrier, origin, destination LIMIT $4",
    )
    .bind(account_id)
    .bind(base)
    .bind(SHRINK_ARRIVALS)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}
