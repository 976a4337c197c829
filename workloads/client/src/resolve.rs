//! From a name to addresses.

use std::io;
use std::net::SocketAddr;

/// Finds the addresses behind a name.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses there are now, in any order.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dns;

impl Resolve for Dns {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
