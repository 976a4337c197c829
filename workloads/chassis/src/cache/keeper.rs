//! Connects a cache, again and again: nobody who asks waits for it.

use std::time::Duration;

use logistics_schemas::config::Redis;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Cache;
use super::connect::{ConnectError, Credentials, connect};
use crate::credential::REFRESH_INTERVAL;

/// Pauses between attempts: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// A connection that has lasted for so long was a good one: the next attempt comes soon.
const STEADY: Duration = Duration::from_secs(30);

/// Connects a cache.
#[derive(Debug)]
pub struct Keeper {
    cache: Cache,
    redis: Redis,
    complained: String,
}

impl Keeper {
    pub(super) const fn new(cache: Cache, redis: Redis) -> Self {
        Self {
            cache,
            redis,
            complained: String::new(),
        }
    }

    /// Keeps the cache connected until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(self.keep()).await;
    }

    async fn keep(&mut self) {
        let mut pause = PAUSE.0;
        loop {
            if let Some(credentials) = self.connect(None).await {
                let connected = Instant::now();
                self.stay(credentials).await;
                if connected.elapsed() >= STEADY {
                    pause = PAUSE.0;
                }
            }
            // A server that is away or overwhelmed is not to be asked all the time.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Returns when the connection is given up. Where the credentials change, another one takes its place.
    async fn stay(&mut self, mut credentials: Credentials) {
        let cache = self.cache.clone();
        let looked = async {
            loop {
                tokio::time::sleep(REFRESH_INTERVAL).await;
                if let Some(other) = self.connect(Some(&credentials)).await {
                    credentials = other;
                }
            }
        };
        tokio::select! {
            () = cache.0.line.is_down() => {}
            () = looked => {}
        }
    }

    /// Connects with the credentials as they are now, unless they are still the `former` ones.
    async fn connect(&mut self, former: Option<&Credentials>) -> Option<Credentials> {
        match self.try_to_connect(former).await {
            Ok(connected) => connected,
            Err(error) => {
                self.cache.0.metrics.connected(false);
                let error = error.to_string();
                if error != self.complained {
                    tracing::warn!(%error, "the cache is not connected; answers come from the database");
                    self.complained = error;
                }
                None
            }
        }
    }

    async fn try_to_connect(
        &mut self,
        former: Option<&Credentials>,
    ) -> Result<Option<Credentials>, ConnectError> {
        let credentials = Credentials::read(&self.redis)?;
        if former == Some(&credentials) {
            return Ok(None);
        }
        let link = connect(&self.redis, &credentials).await?;
        self.cache.0.line.put(link);
        self.cache.0.metrics.connected(true);
        self.cache.0.metrics.down(false);
        self.complained.clear();
        tracing::info!(host = %self.redis.host, port = self.redis.port, "the cache is connected");
        Ok(Some(credentials))
    }
}
