//! Answers that are kept for some seconds, in Redis.
//!
//! Never wrong for longer than [`TTL`], whatever fails and whenever it comes back:
//!
//! - A value carries the position of the last event that it tells of, and only a newer one takes its place ([`script`]).
//! - Whoever commits an event then leaves its position there without a value: what is older is gone, and cannot come back.
//! - A value is believed from the moment at which Redis was asked for it before it was read from the database, not from the
//!   one at which it got there: one that was held up for longer than [`TTL`] is not taken. The clock is Redis' own.
//!
//! And never in the way: a call has [`DEADLINE`], few are made at one time, and a Redis that does not answer is not asked
//! until it does again, which is found out in the background ([`keeper`]). Whoever asks learns of no error.

mod connect;
mod keeper;
mod line;
mod metrics;
mod script;

use std::sync::Arc;
use std::time::Duration;

use logistics_schemas::config;
use redis::{FromRedisValue, RedisResult};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::connect::Link;
pub use self::keeper::Keeper;
use self::line::{Line, Number};
use self::metrics::{CacheMetrics, Lookup, Write};
use self::script::Rank;
use crate::metrics::Metrics;

/// How long a value is believed.
pub const TTL: Duration = Duration::from_secs(5);
/// Longest call: much longer than Redis takes, and short next to what it saves.
const DEADLINE: Duration = Duration::from_millis(30);
/// Most calls at one time; who finds them taken goes without.
const CALLS: usize = 64;
/// Largest value, in bytes; larger ones are rare, and read where they are.
const LARGEST: usize = 128 * 1024;
/// Most keys of one call that writes: Redis does nothing else meanwhile.
const KEYS: usize = 200;

/// What keeps answers; clones share it.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    line: Line<Link>,
    calls: Semaphore,
    metrics: CacheMetrics,
}

/// A value with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// Position of the last event that it tells of.
    pub seq: i64,
    /// The value.
    pub value: Vec<u8>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// One for each key that was asked for, in that order.
    pub values: Vec<Option<Vec<u8>>>,
    /// With it, what is now read from the database can be kept; there is none while Redis does not answer.
    pub lease: Option<Lease>,
}

/// The moment at which Redis was asked, by its own clock and on one connection: after a failover the clock is another one.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    line: Number,
    asked_at: u64,
}

/// Redis' time in seconds and microseconds, and what it holds at some keys.
type Held = ((u64, u64), Vec<Option<Vec<u8>>>);

/// There is no answer of Redis.
enum Silence {
    /// It was not asked.
    Skipped,
    /// It did not answer in time, or with an error.
    Failed,
}

impl Cache {
    /// The cache, without connecting, and what connects it.
    #[must_use]
    pub fn open(config: &config::Cache, metrics: &Metrics) -> (Self, Keeper) {
        let cache = Self(Arc::new(Shared {
            line: Line::default(),
            calls: Semaphore::new(CALLS),
            metrics: CacheMetrics::register(metrics),
        }));
        let keeper = Keeper::new(cache.clone(), config.redis.clone());
        (cache, keeper)
    }

    /// Looks for values.
    pub async fn look(&self, keys: &[String]) -> Found {
        let asked = self
            .call(None, async |mut link: Link| {
                // The time first: nothing that is read afterwards is older than it.
                let mut both = redis::pipe();
                both.cmd("TIME").cmd("MGET").arg(keys);
                both.query_async(&mut link.connection).await
            })
            .await;
        let metrics = &self.0.metrics;
        let count = |lookup, count: usize| metrics.looked(lookup, count as u64);
        let (line, ((seconds, micros), held)): (Number, Held) = match asked {
            Ok(answer) => answer,
            Err(silence) => {
                let lookup = match silence {
                    Silence::Skipped => Lookup::Skipped,
                    Silence::Failed => Lookup::Error,
                };
                count(lookup, keys.len());
                return Found {
                    values: vec![None; keys.len()],
                    lease: None,
                };
            }
        };
        let values: Vec<_> = held.into_iter().map(|held| script::value(held?)).collect();
        let hits = values.iter().flatten().count();
        count(Lookup::Hit, hits);
        count(Lookup::Miss, keys.len().saturating_sub(hits));
        Found {
            values,
            lease: Some(Lease {
                line,
                asked_at: seconds * 1000 + micros / 1000,
            }),
        }
    }

    /// Keeps what was read from the database under a lease, where nothing newer is.
    pub async fn keep(&self, lease: Lease, items: Vec<Item>) {
        let small = items.into_iter().filter(|item| item.value.len() <= LARGEST);
        let entries = small.map(|item| (item.key, script::entry(Rank::value(item.seq), &item.value)));
        self.put(Some(lease), entries.collect()).await;
    }

    /// Says how far these keys' events are committed: what is there and older is not to be had any more.
    pub async fn supersede(&self, heads: Vec<(String, i64)>) {
        let entries = heads
            .into_iter()
            .map(|(key, seq)| (key, script::entry(Rank::head(seq), &[])));
        self.put(None, entries.collect()).await;
    }

    async fn put(&self, lease: Option<Lease>, entries: Vec<(String, Vec<u8>)>) {
        let metrics = &self.0.metrics;
        for some in entries.chunks(KEYS) {
            let all = some.len() as u64;
            let asked = self
                .call(lease.map(|lease| lease.line), async |mut link: Link| {
                    let call = script::put(&link.script, lease.map(|lease| lease.asked_at), some);
                    call.query_async::<u64>(&mut link.connection).await
                })
                .await;
            match asked {
                Ok((_, put)) => {
                    metrics.wrote(Write::Stored, put);
                    metrics.wrote(Write::Outdated, all.saturating_sub(put));
                }
                Err(Silence::Skipped) => metrics.wrote(Write::Skipped, all),
                Err(Silence::Failed) => metrics.wrote(Write::Error, all),
            }
        }
    }

    /// Asks Redis, unless it does not answer anyway, or another connection is `wanted`.
    async fn call<T: FromRedisValue>(
        &self,
        wanted: Option<Number>,
        ask: impl AsyncFnOnce(Link) -> RedisResult<T>,
    ) -> Result<(Number, T), Silence> {
        let Shared { line, calls, metrics } = &*self.0;
        let _call = calls.try_acquire().map_err(|_| Silence::Skipped)?;
        let (number, link) = line.link().ok_or(Silence::Skipped)?;
        if wanted.is_some_and(|wanted| wanted != number) {
            return Err(Silence::Skipped);
        }
        let began = Instant::now();
        let answer = tokio::time::timeout(DEADLINE, ask(link)).await;
        metrics.called(began.elapsed());
        match answer {
            Ok(Ok(answer)) => {
                line.answered(number);
                Ok((number, answer))
            }
            Ok(Err(error)) => {
                if line.broke(number) {
                    metrics.down(true);
                    tracing::warn!(%error, "the cache fails; answers come from the database");
                }
                Err(Silence::Failed)
            }
            Err(_) => {
                if line.timed_out(number) {
                    metrics.down(true);
                    tracing::warn!("the cache does not answer; answers come from the database");
                }
                Err(Silence::Failed)
            }
        }
    }
}
