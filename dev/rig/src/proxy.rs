//! A TCP proxy that can be a bad network: it holds one direction back, or cuts every connection.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::scratch;

/// What a proxy does with the bytes that come to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    #[default]
    Open,
    /// What clients send waits; answers pass.
    HoldRequests,
    /// What the server sends waits; requests pass.
    HoldAnswers,
    /// Connections are closed, and new ones at once.
    Cut,
}

/// A proxy on a port of loopback before another one. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    flow: watch::Sender<Flow>,
    accepts: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before a port of 127.0.0.1, on which nothing has to listen yet.
    pub async fn start(behind: u16) -> Result<Self> {
        let port = scratch::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("listen on 127.0.0.1:{port}"))?;
        let flow = watch::Sender::new(Flow::Open);
        let accepts = tokio::spawn(accept(listener, behind, flow.subscribe()));
        Ok(Self { port, flow, accepts })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// From now on, for connections that are there and for new ones.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

async fn accept(listener: TcpListener, behind: u16, flow: watch::Receiver<Flow>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted
                    && *flow.borrow() != Flow::Cut
                {
                    connections.spawn(connection(client, behind, flow.clone()));
                }
            }
        }
    }
}

async fn connection(client: TcpStream, behind: u16, mut flow: watch::Receiver<Flow>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", behind)).await else {
        return;
    };
    // Small answers must not wait for one another.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, flow.clone(), Flow::HoldRequests) => {}
        () = pump(from_server, to_client, flow.clone(), Flow::HoldAnswers) => {}
        _ = flow.wait_for(|flow| *flow == Flow::Cut) => {}
    }
}

/// Passes bytes on until either end is closed; they wait while the proxy is `held`.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: watch::Receiver<Flow>, held: Flow) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if flow.wait_for(|flow| *flow != held).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server that answers each byte with the same byte.
    async fn echo() -> Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        Ok(port)
    }

    async fn answer(stream: &mut TcpStream) -> Option<std::io::Result<u8>> {
        tokio::time::timeout(Duration::from_millis(200), stream.read_u8())
            .await
            .ok()
    }

    #[tokio::test]
    async fn bytes_pass_wait_or_end() -> Result<()> {
        let proxy = Proxy::start(echo().await?).await?;
        let mut stream = TcpStream::connect(proxy.address()).await?;
        stream.write_u8(1).await?;
        assert_eq!(answer(&mut stream).await.context("passes")??, 1);

        for held in [Flow::HoldRequests, Flow::HoldAnswers] {
            proxy.set(held);
            stream.write_u8(2).await?;
            assert!(answer(&mut stream).await.is_none(), "{held:?}");
            proxy.set(Flow::Open);
            assert_eq!(answer(&mut stream).await.context("passes again")??, 2);
        }

        proxy.set(Flow::Cut);
        assert!(answer(&mut stream).await.context("closed")?.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await?;
        assert!(answer(&mut refused).await.context("closed at once")?.is_err());
        proxy.set(Flow::Open);
        let mut again = TcpStream::connect(proxy.address()).await?;
        again.write_u8(3).await?;
        assert_eq!(answer(&mut again).await.context("open again")??, 3);
        Ok(())
    }
}
