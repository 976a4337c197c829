//! The cluster's own DNS, asked from outside of the cluster.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use logistics_client::{Dns, Resolve};

/// Asks one DNS server, or the system's resolver where none is named.
#[derive(Clone)]
pub struct ClusterDns(Option<TokioResolver>);

impl ClusterDns {
    /// The server with this address, port 53; `None` is the system's resolver.
    pub fn at(server: Option<IpAddr>) -> Result<Self> {
        let Some(server) = server else {
            return Ok(Self(None));
        };
        let config = ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(server)]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        // Each question is to be answered by the server: pods come and go.
        builder.options_mut().cache_size = 0;
        let resolver = builder.build().context("make a DNS client")?;
        Ok(Self(Some(resolver)))
    }
}

impl Resolve for ClusterDns {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let Some(resolver) = &self.0 else {
            return Dns.resolve(host, port).await;
        };
        // The final dot keeps the name from being completed with the host's own domains.
        let name = format!("{}.", host.trim_end_matches('.'));
        let found = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
        Ok(found.iter().map(|address| (address, port).into()).collect())
    }
}
