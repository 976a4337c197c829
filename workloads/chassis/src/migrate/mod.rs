//! Brings a platform's database into the form that its services need: schemas, tables, roles.
//!
//! Safe to repeat and to run twice at once. Migrations only expand: the services of the former release go on working
//! on the new form, and this release's migration leaves alone what a newer one has added.

mod platform;
mod role;
mod scram;

use std::time::Duration;

use logistics_schemas::Workload;
use logistics_schemas::config::MigrateConfig;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use crate::credential::CredentialError;
use crate::errors::is_away;
use crate::storage;

pub use platform::PlatformError;
pub use role::RoleError;

/// The tables that every service has.
static COMMON: Migrator = sqlx::migrate!();

/// Where the applied migrations of a schema are noted.
const COMMON_TABLE: &str = "_migrations_common";
const OWN_TABLE: &str = "_migrations";

/// Of all that takes advisory locks in the database, only the migration uses this number.
const LOCK: i64 = 0x6c6f_6769_7374_6963;

/// Longest wait for a database that does not answer.
const REACH: Duration = Duration::from_mins(2);
const RETRY: Duration = Duration::from_secs(2);

/// Why the migration failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The owner's credentials cannot be read.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The database does not answer, or refused.
    #[error("{what}: {source}")]
    Database {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: sqlx::Error,
    },
    /// A migration cannot be applied.
    #[error("schema {schema}: {source}")]
    Migration {
        /// The schema.
        schema: &'static str,
        /// Why.
        source: SqlxMigrateError,
    },
    /// The database is another platform's.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A role cannot be made.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A service of this release has no role in the configuration.
    #[error("roles: there is none for {0}; give each service one")]
    NoRole(Workload),
}

/// The migrations of one service: its own, after the common ones.
#[derive(Debug)]
pub struct ServiceMigrations {
    workload: Workload,
    own: Migrator,
}

impl ServiceMigrations {
    /// `own` is what `sqlx::migrate!()` makes of the service's folder.
    #[must_use]
    pub const fn new(workload: Workload, own: Migrator) -> Self {
        Self { workload, own }
    }

    /// The service.
    #[must_use]
    pub const fn workload(&self) -> Workload {
        self.workload
    }

    /// What the schema still lacks, in words; `None` when this release can work on it.
    pub async fn missing(&self, pool: &PgPool) -> Result<Option<String>, sqlx::Error> {
        for (table, migrator) in [(COMMON_TABLE, &COMMON), (OWN_TABLE, &self.own)] {
            let Some(needed) = migrator.iter().map(|one| one.version).max() else {
                continue;
            };
            let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(format!("{}.{table}", self.workload))
                .fetch_one(pool)
                .await?;
            let applied: Option<i64> = if exists {
                let query = format!("SELECT max(version) FROM {}.{table} WHERE success", self.workload);
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await?
            } else {
                None
            };
            if applied.is_none_or(|applied| applied < needed) {
                return Ok(Some(format!(
                    "schema {} is not migrated to version {needed} yet; `logistics migrate` does it",
                    self.workload
                )));
            }
        }
        Ok(None)
    }
}

/// Migrates the database of a platform for `services`.
pub async fn run(config: &MigrateConfig, services: &[&ServiceMigrations]) -> Result<(), MigrateError> {
    let of = |service: &ServiceMigrations| {
        let role = config.roles.iter().find(|role| role.workload == service.workload);
        role.ok_or(MigrateError::NoRole(service.workload))
    };
    let roles = services
        .iter()
        .map(|service| of(service))
        .collect::<Result<Vec<_>, _>>()?;
    let mut connection = connect(config).await?;
    execute(
        &mut connection,
        "wait for another migration",
        format!("SELECT pg_advisory_lock({LOCK})"),
    )
    .await?;
    platform::claim(&mut connection, &config.platform).await?;
    role::close_database(&mut connection, &config.database.name).await?;
    for (service, role) in services.iter().zip(roles) {
        migrate_schema(&mut connection, service).await?;
        role::grant(&mut connection, &config.database.name, role).await?;
        tracing::info!(schema = %service.workload, "migrated");
    }
    // Ends the session, and with it the lock.
    connection
        .close()
        .await
        .map_err(|source| database_error("close the connection", source))
}

async fn connect(config: &MigrateConfig) -> Result<PgConnection, MigrateError> {
    let give_up = tokio::time::Instant::now() + REACH;
    loop {
        let options = storage::connect_options(&config.database, "public")?
            // Waiting for another migration, and building an index, take as long as they take.
            .options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        match PgConnection::connect_with(&options).await {
            Ok(connection) => return Ok(connection),
            Err(source) if is_away(&source) && tokio::time::Instant::now() < give_up => {
                tracing::warn!(error = %source, "waiting for the database");
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => {
                let database = &config.database;
                let what = format!("connect to {}:{}/{}", database.host, database.port, database.name);
                return Err(database_error(&what, source));
            }
        }
    }
}

async fn migrate_schema(
    connection: &mut PgConnection,
    service: &ServiceMigrations,
) -> Result<(), MigrateError> {
    let schema = service.workload.name();
    execute(
        connection,
        "create the schema",
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
    )
    .await?;
    execute(
        connection,
        "choose the schema",
        format!("SET search_path TO {schema}"),
    )
    .await?;
    for (table, migrator) in [(COMMON_TABLE, &COMMON), (OWN_TABLE, &service.own)] {
        let mut migrator = Migrator::with_migrations(migrator.migrations.to_vec());
        migrator.dangerous_set_table_name(table);
        // A newer release has been here: its additions do not hurt this one.
        migrator.set_ignore_missing(true);
        migrator.set_locking(false);
        migrator
            .run_direct(None, connection, false)
            .await
            .map_err(|source| MigrateError::Migration { schema, source })?;
    }
    Ok(())
}

/// Runs one statement. Identifiers in it are quoted, or are names of this program.
async fn execute(connection: &mut PgConnection, what: &str, sql: String) -> Result<(), MigrateError> {
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .map(drop)
        .map_err(|source| database_error(what, source))
}

fn database_error(what: &str, source: sqlx::Error) -> MigrateError {
    MigrateError::Database {
        what: what.to_owned(),
        source,
    }
}
