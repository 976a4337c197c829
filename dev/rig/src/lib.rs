//! Real backing processes on loopback for tests: each has free ports, a scratch folder and a log in it, and ends with
//! the value that stands for it, or with the test process however that ends.
//!
//! A broker or a registry costs seconds of CPU. Where tests can live side by side, take the one that is shared within
//! the test binary ([`shared`]) and use names of your own (topics, databases, namespaces, subjects).
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! let database = dev_rig::shared::postgres().await?.make_database("orders").await?;
//! let kafka = dev_rig::kafka().await?;
//! println!("{} {}", database.url, kafka.bootstrap_servers);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "kubernetes")]
mod api_server;
pub mod cost;
mod disk;
mod guarded_registry;
#[cfg(feature = "kubernetes")]
pub mod helm;
pub mod issuer;
mod kafka;
#[cfg(feature = "otlp")]
pub mod otlp;
mod pki;
mod postgres;
mod process;
mod program;
mod prometheus;
mod proxy;
mod redis;
mod schema_registry;
mod scratch;
pub mod shared;
mod tool;
mod wait;

#[cfg(feature = "kubernetes")]
pub use api_server::{ApiServer, api_server, audited_api_server};
pub use guarded_registry::{GuardedRegistry, guarded_registry};
pub use kafka::{Kafka, kafka, kafka_with_doors};
pub use postgres::{Database, Postgres, durable_postgres, postgres, postgres_on_small_disk};
pub use program::Program;
pub use prometheus::{Prometheus, prometheus};
pub use proxy::{Flow, Proxy};
pub use redis::{Redis, redis};
pub use schema_registry::{SchemaRegistry, schema_registry};
pub use scratch::free_port;
