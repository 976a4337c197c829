//! Whose database it is. Two platforms in one database would overwrite each other's data.

use logistics_schemas::config::PlatformIdentity;
use sqlx::PgConnection;

use super::{MigrateError, database_error, execute};

/// The database belongs to another platform.
#[derive(Debug, thiserror::Error)]
#[error(
    "database.name: {database:?} belongs to the platform {owner}, and this is {claimant}; give each platform a \
     database of its own"
)]
pub struct PlatformError {
    database: String,
    owner: String,
    claimant: String,
}

/// Notes the platform in the database, or refuses another's.
pub(super) async fn claim(
    connection: &mut PgConnection,
    platform: &PlatformIdentity,
) -> Result<(), MigrateError> {
    let fail = |source| database_error("note whose database this is", source);
    execute(
        connection,
        "create the schema logistics",
        "CREATE SCHEMA IF NOT EXISTS logistics".to_owned(),
    )
    .await?;
    execute(
        connection,
        "create the table logistics.platform",
        "CREATE TABLE IF NOT EXISTS logistics.platform (
             only_one    boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
             namespace   text        NOT NULL,
             name        text        NOT NULL,
             recorded_at timestamptz NOT NULL DEFAULT now()
         )"
        .to_owned(),
    )
    .await?;
    sqlx::query("INSERT INTO logistics.platform (namespace, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&platform.namespace)
        .bind(&platform.name)
        .execute(&mut *connection)
        .await
        .map_err(fail)?;
    let (database, namespace, name): (String, String, String) =
        sqlx::query_as("SELECT current_database()::text, namespace, name FROM logistics.platform")
            .fetch_one(&mut *connection)
            .await
            .map_err(fail)?;
    if (&namespace, &name) == (&platform.namespace, &platform.name) {
        return Ok(());
    }
    Err(PlatformError {
        database,
        owner: format!("{namespace}/{name}"),
        claimant: format!("{}/{}", platform.namespace, platform.name),
    }
    .into())
}
