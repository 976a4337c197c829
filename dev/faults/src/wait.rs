//! Waiting on a condition.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(100);

/// Asks until `probe` gives a value; `None` when it did not within `limit`.
pub(crate) async fn until<T, F>(limit: Duration, mut probe: impl FnMut() -> F) -> Result<Option<T>>
where
    F: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe().await? {
            return Ok(Some(value));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
