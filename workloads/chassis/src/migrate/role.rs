//! The roles of the services: each may log in, and use the rows of its own schema. None owns anything.

use logistics_schemas::config::ServiceRole;
use sqlx::PgConnection;

use super::{COMMON_TABLE, MigrateError, OWN_TABLE, database_error, execute, scram};
use crate::audit;
use crate::credential::credential;

/// PostgreSQL cuts longer names off.
const MAX_NAME: usize = 63;

/// Why a role was refused.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The name cannot be a role's.
    #[error("roles[{workload}].usernameFile: {name:?} {remedy}")]
    Name {
        /// The service.
        workload: &'static str,
        /// The name.
        name: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// The password cannot be turned into a verifier.
    #[error("roles[{workload}].passwordFile: the password must be printable ASCII")]
    Password {
        /// The service.
        workload: &'static str,
    },
}

/// Lets nobody into the database but its owner and who is granted it.
pub(super) async fn close_database(
    connection: &mut PgConnection,
    database: &str,
) -> Result<(), MigrateError> {
    let sql = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quote(database));
    execute(connection, "close the database to other roles", sql).await
}

/// Makes the role of a service, or renews its password, and grants it its own schema.
pub(super) async fn grant(
    connection: &mut PgConnection,
    database: &str,
    role: &ServiceRole,
) -> Result<(), MigrateError> {
    let schema = role.workload.name();
    let name = credential("roles[].usernameFile", &role.username_file)?;
    check_name(schema, &name)?;
    let password = credential("roles[].passwordFile", &role.password_file)?;
    // The server and its log only ever see the verifier.
    let verifier = scram::verifier(&password).ok_or(RoleError::Password { workload: schema })?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| database_error("look the role up", source))?;
    let verb = if exists { "ALTER" } else { "CREATE" };
    let (role, database) = (quote(&name), quote(database));
    let statements = [
        format!("{verb} ROLE {role} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD '{verifier}'"),
        format!("GRANT CONNECT ON DATABASE {database} TO {role}"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
        format!("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
        format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} \
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
        ),
        format!("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {role}"),
        format!("REVOKE INSERT, UPDATE, DELETE ON {schema}.{COMMON_TABLE}, {schema}.{OWN_TABLE} FROM {role}"),
        format!("REVOKE UPDATE, DELETE ON {schema}.{} FROM {role}", audit::TABLE),
    ];
    for sql in statements {
        execute(connection, &format!("make the role of {schema}"), sql).await?;
    }
    Ok(())
}

fn check_name(workload: &'static str, name: &str) -> Result<(), RoleError> {
    let remedy = if name.len() > MAX_NAME {
        "is too long; at most 63 bytes are allowed"
    } else if name.starts_with("pg_") || name == "public" || name == "none" {
        "is reserved by PostgreSQL; choose another name"
    } else if name.chars().any(char::is_control) {
        "has control characters; leave them out"
    } else {
        return Ok(());
    };
    Err(RoleError::Name {
        workload,
        name: name.to_owned(),
        remedy,
    })
}

/// `name` as an SQL identifier.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(quote("acme-shipment-1a2b3c"), "\"acme-shipment-1a2b3c\"");
        assert_eq!(quote("x\"; DROP ROLE y; --"), "\"x\"\"; DROP ROLE y; --\"");
    }

    #[test]
    fn names_that_postgresql_would_change_or_refuse_are_refused_first() {
        assert!(check_name("shipment", "acme-shipment-1a2b3c").is_ok());
        for wrong in ["pg_monitor", "public", "a\nb", &"x".repeat(64)] {
            assert!(check_name("shipment", wrong).is_err(), "{wrong:?}");
        }
    }
}
