//! Addresses from which no answer comes.

use std::fmt::Debug;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use logistics_operator::backend::{BackendError, CALL_TIMEOUT};

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(5);

/// A server that takes connections and never answers.
pub(crate) struct Silent {
    /// Its `host:port`.
    pub(crate) address: String,
    /// The kernel accepts on its behalf as long as it is open.
    _listener: TcpListener,
}

/// Starts a silent server.
pub(crate) fn silent() -> Result<Silent> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(Silent {
        address: listener.local_addr()?.to_string(),
        _listener: listener,
    })
}

/// An address on which nobody listens.
pub(crate) fn closed() -> Result<String> {
    Ok(silent()?.address)
}

/// The error of a call, which must come within the limit of one.
pub(crate) async fn within_the_limit<T: Debug>(
    call: impl Future<Output = Result<T, BackendError>>,
) -> Result<BackendError> {
    let start = Instant::now();
    let answer = tokio::time::timeout(CALL_TIMEOUT * 3, call)
        .await
        .context("the call hangs")?;
    let took = start.elapsed();
    ensure!(took < CALL_TIMEOUT + SLACK, "it took {took:?}: {answer:?}");
    answer.err().context("there was an answer")
}
