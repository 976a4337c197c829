//! The table `histories`: what has been learned, per lane, route, carrier and account.

use std::collections::{BTreeSet, HashMap};

use logistics_domain::history::{History, Outcome, SHRINK_ARRIVALS, Surroundings};
use logistics_domain::risk;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

/// How wide a history is. The order is that of locking, after the account: what all share comes last, so that it is
/// held for the shortest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Level {
    Lane,
    Route,
    Carrier,
    Overall,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lane => "lane",
            Self::Route => "route",
            Self::Carrier => "carrier",
            Self::Overall => "overall",
        }
    }
}

/// Names one history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    account_id: String,
    level: Level,
    carrier: String,
    origin: String,
    destination: String,
}

/// The histories that a shipment belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys([Key; 4]);

impl Keys {
    pub(crate) fn new(account_id: &str, carrier: &str, origin: &str, destination: &str) -> Self {
        let key = |level, carrier: &str, origin: &str, destination: &str| Key {
            account_id: account_id.to_owned(),
            level,
            carrier: carrier.to_owned(),
            origin: origin.to_owned(),
            destination: destination.to_owned(),
        };
        Self([
            key(Level::Lane, carrier, origin, destination),
            key(Level::Route, "", origin, destination),
            key(Level::Carrier, carrier, "", ""),
            key(Level::Overall, "", "", ""),
        ])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

/// Histories in memory, for the time of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    known: HashMap<Key, History>,
    empty: History,
    changed: BTreeSet<Key>,
}

impl Histories {
    /// Reads what a batch needs. Those in `learning` are locked first, in the order of their keys.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        learning: &BTreeSet<Key>,
        reading: &BTreeSet<Key>,
    ) -> Result<Self, sqlx::Error> {
        let mut known = HashMap::new();
        if !learning.is_empty() {
            insert_missing(connection, learning).await?;
            known.extend(select(connection, learning, true).await?);
        }
        let rest: BTreeSet<Key> = reading.difference(learning).cloned().collect();
        if !rest.is_empty() {
            known.extend(select(connection, &rest, false).await?);
        }
        Ok(Self {
            known,
            ..Self::default()
        })
    }

    pub(crate) fn around(&self, keys: &Keys) -> Surroundings<'_> {
        let [lane, route, carrier, overall] = keys
            .0
            .each_ref()
            .map(|key| self.known.get(key).unwrap_or(&self.empty));
        Surroundings {
            lane,
            route,
            carrier,
            overall,
        }
    }

    pub(crate) fn learn(&mut self, keys: &Keys, outcome: &Outcome) {
        for key in keys.iter() {
            self.known.entry(key.clone()).or_default().learn(outcome);
            self.changed.insert(key.clone());
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
            .filter_map(|key| self.known.get_key_value(key))
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
        columns.1.push(key.level.as_str());
        columns.2.push(&key.carrier);
        columns.3.push(&key.origin);
        columns.4.push(&key.destination);
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

async fn select(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
    lock: bool,
) -> Result<Vec<(Key, History)>, sqlx::Error> {
    const SELECT: &str = "SELECT row.at, histories.state
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
              WITH ORDINALITY AS row (account_id, level, carrier, origin, destination, at)
         JOIN histories USING (account_id, level, carrier, origin, destination)
         ORDER BY row.at";
    let (accounts, levels, carriers, origins, destinations) = columns(keys.iter());
    let sql = if lock {
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
