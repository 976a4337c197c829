//! The order in which a service stops.
//!
//! 1. SIGTERM or SIGINT: [`Shutdown::requested`]. Readiness turns false and consumers stop; gRPC is still served for
//!    [`LAME_DUCK`], because clients learn only later that this replica leaves.
//! 2. gRPC takes no new connection and finishes what it has begun, for at most [`DRAIN`].
//! 3. [`Shutdown::drained`]: the relay sends what the last requests have committed, then stops.
//! 4. The database pool is closed; the binary flushes telemetry.
//!
//! All of it fits into the 30 s that Kubernetes gives by default.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests are still taken after the signal. Endpoints are removed asynchronously: nothing tells a replica
/// that the last client has heard of it, so this is a time and not a condition.
pub const LAME_DUCK: Duration = Duration::from_secs(3);
/// Longest wait for open requests.
pub const DRAIN: Duration = Duration::from_secs(15);
/// Longest wait for background work after gRPC has stopped.
pub const BACKGROUND: Duration = Duration::from_secs(5);

/// Says when to stop; clones share one state.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: CancellationToken,
    drained: CancellationToken,
    lame_duck: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::with_lame_duck(LAME_DUCK)
    }
}

impl Shutdown {
    /// One that nothing has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that takes requests for `lame_duck` after the signal; zero where no balancer has to hear of it.
    #[must_use]
    pub fn with_lame_duck(lame_duck: Duration) -> Self {
        Self {
            requested: CancellationToken::new(),
            drained: CancellationToken::new(),
            lame_duck,
        }
    }

    /// Asks for the stop when the process gets SIGTERM or SIGINT.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let requested = self.requested.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "stopping");
            requested.cancel();
        });
        Ok(())
    }

    /// Asks for the stop.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Cancelled as soon as the stop is asked for.
    #[must_use]
    pub fn requested(&self) -> CancellationToken {
        self.requested.clone()
    }

    /// Ends when no new request is to be taken.
    pub async fn lame_duck_over(&self) {
        self.requested.cancelled().await;
        tokio::time::sleep(self.lame_duck).await;
    }

    /// Cancelled when no request is served any more.
    #[must_use]
    pub fn drained(&self) -> CancellationToken {
        self.drained.clone()
    }
}
