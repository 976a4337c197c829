//! Connections to the service's own schema in PostgreSQL.

use std::time::Duration;

use logistics_schemas::config::{Database, TlsMode};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::credential::{CredentialError, REFRESH_INTERVAL, credential};
use crate::migrate::ServiceMigrations;

/// The reason in [`crate::admin::Readiness`] until the database can be used.
pub const WAITING: &str = "database";

/// Longest wait for a free connection; shorter than a request's deadline, so that overload is told as such.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections are renewed after this time, so that a rotated password reaches all of them.
const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// A connection that has rested for this long is tried before it is used: its server may have gone. One that was just used
/// is not, for that costs a round trip, and a failure is told or tried again as at any other moment.
const RESTED: Duration = Duration::from_secs(1);
/// Longest statement, wait for a lock, and idle transaction. The server ends them even when this process is gone.
const SESSION: [(&str, &str); 3] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
];
/// Pauses between attempts to reach the database at start.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How to connect with the credentials as they are in the files now; `schema` is the search path.
pub fn connect_options(database: &Database, schema: &str) -> Result<PgConnectOptions, CredentialError> {
    let username = credential("database.usernameFile", &database.username_file)?;
    let password = credential("database.passwordFile", &database.password_file)?;
    let options = PgConnectOptions::new_without_pgpass()
        .host(&database.host)
        .port(database.port)
        .database(&database.name)
        .username(&username)
        .password(&password)
        .application_name(&format!("logistics-{schema}"))
        .options([("search_path", schema)])
        .options(SESSION);
    Ok(match database.tls.mode {
        TlsMode::Disabled => options.ssl_mode(PgSslMode::Disable),
        TlsMode::Verify => {
            let options = options.ssl_mode(PgSslMode::VerifyFull);
            match &database.tls.ca_file {
                Some(file) => options.ssl_root_cert(file),
                None => options,
            }
        }
    })
}

/// Makes the pool, without connecting, and what keeps its credentials fresh.
pub fn open(database: &Database, schema: &'static str) -> Result<(PgPool, Refresh), CredentialError> {
    let options = connect_options(database, schema)?;
    let pool = PgPoolOptions::new()
        .max_connections(database.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, past| Box::pin(usable(connection, past)))
        .connect_lazy_with(options);
    let refresh = Refresh {
        pool: pool.clone(),
        database: database.clone(),
        schema,
    };
    Ok((pool, refresh))
}

/// An error means that the pool takes another connection.
async fn usable(connection: &mut PgConnection, past: PoolConnectionMetadata) -> Result<bool, sqlx::Error> {
    if past.idle_for >= RESTED {
        connection.ping().await?;
    }
    Ok(true)
}

/// Gives new connections the credentials that the files hold now.
#[derive(Debug)]
pub struct Refresh {
    pool: PgPool,
    database: Database,
    schema: &'static str,
}

impl Refresh {
    /// Follows the files until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut complained = String::new();
        while stop
            .run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL))
            .await
            .is_some()
        {
            match connect_options(&self.database, self.schema) {
                Ok(options) => self.pool.set_connect_options(options),
                Err(error) if error.to_string() == complained => {}
                Err(error) => {
                    tracing::warn!(%error, "the former credentials stay");
                    complained = error.to_string();
                }
            }
        }
    }
}

/// Waits until the database answers and the schema is at least as new as `migrations`. There is no giving up: the
/// process stays unready and says why, instead of being restarted over and over.
pub async fn wait_until_usable(pool: &PgPool, migrations: &ServiceMigrations) {
    let mut pause = RETRY.0;
    let mut complained = String::new();
    loop {
        let problem = match migrations.missing(pool).await {
            Ok(None) => return,
            Ok(Some(missing)) => missing,
            Err(error) => error.to_string(),
        };
        if problem != complained {
            tracing::warn!(reason = %problem, "waiting for the database");
            complained = problem;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}
