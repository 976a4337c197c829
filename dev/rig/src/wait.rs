//! Waiting on a condition of a server that was just started.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::process::{Process, log_tail};

/// The longest that a server may take to start, on a busy machine with two cores.
const START_LIMIT: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(50);
/// The longest that one probe may take.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Probes until the server answers; its end, or the limit, is an error with the tail of its log.
pub(crate) async fn until_ready<T, F>(process: &Process, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let name = process.spec().name;
    let start = Instant::now();
    loop {
        let error = match probe().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let log = || log_tail(&process.spec().log);
        if let Some(end) = process.ended() {
            return Err(anyhow!("{name} ended while it started: {end}{}", log()));
        }
        if start.elapsed() > START_LIMIT {
            let limit = START_LIMIT.as_secs();
            return Err(error.context(format!("{name} did not answer within {limit} s{}", log())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends a request and reads the answer, up to the end of the connection or to `limit` bytes.
pub(crate) async fn exchange(port: u16, request: Vec<u8>, limit: u64) -> Result<Vec<u8>> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PROBE_LIMIT))?;
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        stream.take(limit).read_to_end(&mut answer)?;
        Ok(answer)
    })
    .await?
}

/// Succeeds when a GET of `path` answers 200.
pub(crate) async fn http_ok(port: u16, path: &str) -> Result<()> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let answer = exchange(port, request.into_bytes(), 64).await?;
    let line = String::from_utf8_lossy(&answer);
    ensure!(line.split(' ').nth(1) == Some("200"), "GET {path}: {line}");
    Ok(())
}
