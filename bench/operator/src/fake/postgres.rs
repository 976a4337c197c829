//! PostgreSQL as far as a session begins: it asks everybody for a password and waits until they leave.

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Counter;

/// What it says: that it wants a password in plain text.
const WHO_IS_THERE: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// A running server; it ends with the runtime.
pub(crate) struct Postgres {
    /// Its TCP port on loopback.
    pub(crate) port: u16,
    requests: Arc<Counter>,
}

/// Starts a server.
pub(crate) async fn start() -> Result<Postgres> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let requests = Arc::new(Counter::default());
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.count("begin a session");
            tokio::spawn(ask(stream));
        }
    });
    Ok(Postgres { port, requests })
}

impl Postgres {
    /// Sessions that were begun so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.total()
    }
}

async fn ask(mut stream: TcpStream) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut start = vec![0; usize::try_from(length.saturating_sub(4).min(1024)).unwrap_or_default()];
    stream.read_exact(&mut start).await?;
    stream.write_all(&WHO_IS_THERE).await?;
    stream.read_u8().await.map(drop)
}
