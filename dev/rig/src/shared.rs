//! Servers shared by all tests of one test binary. Each starts at its first use and ends with the process.

use anyhow::Result;
use tokio::sync::OnceCell;

/// The shared broker.
pub async fn kafka() -> Result<&'static crate::Kafka> {
    static KAFKA: OnceCell<crate::Kafka> = OnceCell::const_new();
    KAFKA.get_or_try_init(crate::kafka).await
}

/// The shared database server.
pub async fn postgres() -> Result<&'static crate::Postgres> {
    static POSTGRES: OnceCell<crate::Postgres> = OnceCell::const_new();
    POSTGRES.get_or_try_init(crate::postgres).await
}

/// The shared Redis.
pub async fn redis() -> Result<&'static crate::Redis> {
    static REDIS: OnceCell<crate::Redis> = OnceCell::const_new();
    REDIS.get_or_try_init(crate::redis).await
}

/// The shared registry.
pub async fn schema_registry() -> Result<&'static crate::SchemaRegistry> {
    static REGISTRY: OnceCell<crate::SchemaRegistry> = OnceCell::const_new();
    REGISTRY.get_or_try_init(crate::schema_registry).await
}

/// The shared API server.
#[cfg(feature = "kubernetes")]
pub async fn api_server() -> Result<&'static crate::ApiServer> {
    static API_SERVER: OnceCell<crate::ApiServer> = OnceCell::const_new();
    API_SERVER.get_or_try_init(crate::api_server).await
}
