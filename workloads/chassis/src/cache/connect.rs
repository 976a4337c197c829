//! Makes a connection to Redis that is ready for calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use logistics_schemas::config::{Redis, TlsMode};
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates};

use super::script;
use crate::credential::{CredentialError, credential};

/// Longest wait for a connection, the handshakes included.
const LIMIT: Duration = Duration::from_secs(1);

/// A connection, and by which name its server knows the script.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    pub(super) script: Arc<str>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("cache.redis.tls.caFile: {path}: {source}; mount the authority's certificates there")]
    Authority { path: PathBuf, source: std::io::Error },
    #[error("Redis at {host}:{port}: {source}")]
    Redis {
        host: String,
        port: u16,
        source: RedisError,
    },
    #[error("Redis at {host}:{port} does not answer within {} s", LIMIT.as_secs())]
    Silent { host: String, port: u16 },
}

/// Who connects; nobody where the server asks for nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// As they are in the files now.
    pub(super) fn read(redis: &Redis) -> Result<Self, CredentialError> {
        let Some(files) = &redis.credentials else {
            return Ok(Self::default());
        };
        let username = files
            .username_file
            .exists()
            .then(|| credential("cache.redis.credentials.usernameFile", &files.username_file));
        let password = credential("cache.redis.credentials.passwordFile", &files.password_file)?;
        Ok(Self {
            username: username.transpose()?,
            password: Some(password),
        })
    }
}

/// Connects; the server has answered then.
pub(super) async fn connect(redis: &Redis, credentials: &Credentials) -> Result<Link, ConnectError> {
    let (host, port) = (&redis.host, redis.port);
    let failed = |source| ConnectError::Redis {
        host: host.clone(),
        port,
        source,
    };
    let client = client(redis, credentials)?;
    let connected = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script::PUT);
        let script: String = load.query_async(&mut connection).await?;
        Ok(Link {
            connection,
            script: script.into(),
        })
    };
    match tokio::time::timeout(LIMIT, connected).await {
        Ok(link) => link.map_err(failed),
        Err(_) => Err(ConnectError::Silent {
            host: host.clone(),
            port,
        }),
    }
}

fn client(redis: &Redis, credentials: &Credentials) -> Result<Client, ConnectError> {
    let (host, port) = (redis.host.clone(), redis.port);
    let addr = match redis.tls.mode {
        TlsMode::Disabled => ConnectionAddr::Tcp(host, port),
        TlsMode::Verify => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
    };
    let info = ConnectionInfo {
        addr,
        redis: RedisConnectionInfo {
            username: credentials.username.clone(),
            password: credentials.password.clone(),
            ..RedisConnectionInfo::default()
        },
    };
    let root_cert = match &redis.tls.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|source| ConnectError::Authority {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let client = match redis.tls.mode {
        TlsMode::Disabled => Client::open(info),
        TlsMode::Verify => Client::build_with_tls(
            info,
            TlsCertificates {
                client_tls: None,
                root_cert,
            },
        ),
    };
    client.map_err(|source| ConnectError::Redis {
        host: redis.host.clone(),
        port,
        source,
    })
}
