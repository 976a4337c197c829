//! Asks the registry for the ids of a service's own schemas.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::avro::{Codec, Own};
use super::registry::{Registry, RegistryError};

/// Pauses between questions to a registry that is not there, or not yet filled.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long a service that starts waits for a registry that is away before it writes JSON.
const GRACE: Duration = Duration::from_secs(5);

/// Until when a service that starts waits for a registry that is away.
pub(super) fn grace() -> Instant {
    Instant::now() + GRACE
}

/// The id of a schema, whenever the registry has it.
pub(super) async fn wait_for_id(registry: &Registry, own: &Own) -> u32 {
    let mut pauses = Pauses::default();
    loop {
        match registry.id_of(&own.subject, own.text).await {
            Ok(id) => return id,
            Err(error) => pauses.wait(own, &error).await,
        }
    }
}

/// The same, but a registry that is away, or does not let this service in, is waited for until `deadline` only.
pub(super) async fn first_id(registry: &Registry, own: &Own, deadline: Instant) -> Option<u32> {
    let mut pauses = Pauses::default();
    loop {
        match registry.id_of(&own.subject, own.text).await {
            Ok(id) => return Some(id),
            Err(error) if error.is_away() && Instant::now() >= deadline => {
                tracing::warn!(subject = own.subject, %error, "its events are written as JSON until the registry answers");
                return None;
            }
            Err(error) => pauses.wait(own, &error).await,
        }
    }
}

struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(RETRY.0)
    }
}

impl Pauses {
    async fn wait(&mut self, own: &Own, error: &RegistryError) {
        tracing::warn!(subject = own.subject, %error, retry_in = ?self.0, "waiting for the event schema");
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(RETRY.1);
    }
}

/// Asks for ids that are not known, and makes sure of those that were only remembered.
#[derive(Debug)]
pub struct Lookup(Codec);

impl Lookup {
    pub(super) const fn new(codec: Codec) -> Self {
        Self(codec)
    }

    /// Asks until all ids are known, or until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let codec = &self.0;
        let all = async {
            for own in codec.own().map(Arc::clone).collect::<Vec<_>>() {
                let id = wait_for_id(codec.registry(), &own).await;
                codec.learn(&own, id).await;
            }
        };
        stop.run_until_cancelled(all).await;
    }
}
