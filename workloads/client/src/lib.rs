//! A gRPC channel over all pods of a workload, without a mesh.
//!
//! A gRPC client keeps its connection, so that a Service's one address means one pod. [`Balanced`] instead asks DNS for
//! the addresses behind a headless Service (`<platform>-<workload>-pods`), opens a connection to each, and gives each call
//! to the next one. The name is resolved again from time to time, and at once when a connection fails.
//!
//! A call whose connection fails before there is an answer is repeated on another pod. Every RPC of the platform may be
//! repeated: reads change nothing, and writes carry an idempotency key.
//!
//! ```no_run
//! # use logistics_client::{Balanced, Dns, Settings};
//! # use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
//! # async fn example() {
//! let settings = Settings::new("acme-tracking-pods.logistics.svc", 8080);
//! let client = TrackingServiceClient::new(Balanced::start(settings, Dns));
//! # }
//! ```

mod balanced;
mod resolve;
mod rotation;

use std::time::Duration;

use tonic::transport::ClientTlsConfig;

pub use balanced::Balanced;
pub use resolve::{Dns, Resolve};
pub use rotation::PodCalls;

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DNS name of a headless Service.
    pub host: String,
    /// The port of the pods.
    pub port: u16,
    /// Encrypts and verifies; `None` is plain text, for where something else encrypts.
    pub tls: Option<ClientTlsConfig>,
    /// The name that the certificates have to be for; `None` is `host`.
    pub server_name: Option<String>,
    /// How often the name is resolved again. Default 5 s, which is what the cluster's DNS keeps an answer.
    pub resolve_every: Duration,
    /// How long a pod may take to accept a connection. Default 2 s.
    pub connect_timeout: Duration,
    /// How long the first calls wait for the first answer of DNS. Default 10 s.
    pub resolve_timeout: Duration,
}

impl Settings {
    /// The defaults, in plain text.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            server_name: None,
            resolve_every: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            resolve_timeout: Duration::from_secs(10),
        }
    }
}
