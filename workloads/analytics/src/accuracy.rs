//! The table `accuracy`: how good the estimates were, against what really happened.

use std::collections::BTreeMap;

use logistics_domain::journey::Journey;
use sqlx::{PgConnection, PgPool};

/// Sums over arrivals; errors are absolute, in minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, sqlx::FromRow)]
pub(crate) struct Sums {
    pub(crate) arrivals: i64,
    pub(crate) error_at_creation: f64,
    pub(crate) error_in_transit: f64,
    pub(crate) error_of_promise: f64,
    /// Arrivals within the interval.
    pub(crate) covered: i64,
}

impl Sums {
    /// Adds an arrival, if it had both estimates.
    pub(crate) fn add(&mut self, journey: &Journey) {
        let (Some(outcome), Some(in_transit)) = (journey.outcome(), journey.in_transit) else {
            return;
        };
        let (Some(at_creation), Some(error)) = (outcome.error_at_creation, outcome.error_in_transit) else {
            return;
        };
        self.arrivals += 1;
        self.error_at_creation += at_creation.minutes.abs();
        self.error_in_transit += error.minutes.abs();
        self.error_of_promise += outcome.delay.abs();
        self.covered += i64::from(in_transit.covers(outcome.delay));
    }

    /// A sum as a mean; 0 while nothing has arrived.
    pub(crate) fn mean(&self, sum: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 arrivals")]
        let arrivals = self.arrivals.max(1) as f64;
        sum / arrivals
    }

    /// The share of arrivals within the interval.
    pub(crate) fn coverage(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 arrivals")]
        self.mean(self.covered as f64)
    }
}

/// Adds to the sums of accounts, in the order of their names for all who do so.
pub(crate) async fn add(
    connection: &mut PgConnection,
    sums: &BTreeMap<String, Sums>,
) -> Result<(), sqlx::Error> {
    for (account_id, sums) in sums {
        sqlx::query(
            "INSERT INTO accuracy VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (account_id) DO UPDATE
             SET arrivals = accuracy.arrivals + excluded.arrivals,
                 error_at_creation = accuracy.error_at_creation + excluded.error_at_creation,
                 error_in_transit = accuracy.error_in_transit + excluded.error_in_transit,
                 error_of_promise = accuracy.error_of_promise + excluded.error_of_promise,
                 covered = accuracy.covered + excluded.covered",
        )
        .bind(account_id)
        .bind(sums.arrivals)
        .bind(sums.error_at_creation)
        .bind(sums.error_in_transit)
        .bind(sums.error_of_promise)
        .bind(sums.covered)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The sums of an account.
pub(crate) async fn get(pool: &PgPool, account_id: &str) -> Result<Sums, sqlx::Error> {
    let sums = sqlx::query_as("SELECT * FROM accuracy WHERE account_id = $1")
        .bind(account_id)
        .fetch_optional(pool)
        .await?;
    Ok(sums.unwrap_or_default())
}
