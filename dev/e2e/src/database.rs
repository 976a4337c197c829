//! The database of the tests' platform, made with the cluster's PostgreSQL superuser.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

/// The Secret with the superuser's credentials, in the namespace of the backing services.
const SUPERUSER: &str = "postgres-superuser";

/// Where PostgreSQL is, from outside the cluster.
pub(crate) struct Server<'s> {
    /// `host:port`.
    pub(crate) address: &'s str,
    /// PEM file of the authority it is verified with.
    pub(crate) ca_file: &'s Path,
}

/// Makes the database and its owner, or gives the owner this password.
pub(crate) async fn make(client: &Client, server: &Server<'_>, name: &str, password: &str) -> Result<()> {
    let superuser = superuser(client).await?;
    let run = |sql: String| {
        let superuser = &superuser;
        async move { superuser.run(server, "postgres", &sql).await }
    };
    let exists = |table: &str, column: &str| format!("SELECT 1 FROM {table} WHERE {column} = '{name}'");
    if run(exists("pg_roles", "rolname")).await?.is_empty() {
        run(format!("CREATE ROLE {name} LOGIN CREATEROLE")).await?;
    }
    run(format!("ALTER ROLE {name} PASSWORD '{password}'")).await?;
    if run(exists("pg_database", "datname")).await?.is_empty() {
        run(format!("CREATE DATABASE {name} OWNER {name}")).await?;
    }
    Ok(())
}

/// Runs statements in a database as the superuser and gives their answer.
pub(crate) async fn statement(
    client: &Client,
    server: &Server<'_>,
    database: &str,
    sql: &str,
) -> Result<String> {
    superuser(client).await?.run(server, database, sql).await
}

/// Somebody who may log in.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

async fn superuser(client: &Client) -> Result<Login> {
    let secret: Secret = Api::namespaced(client.clone(), "backing").get(SUPERUSER).await?;
    let data = secret.data.unwrap_or_default();
    let value = |key: &str| -> Result<String> {
        let bytes = data
            .get(key)
            .with_context(|| format!("Secret backing/{SUPERUSER} has no {key}"))?;
        Ok(String::from_utf8(bytes.0.clone())?)
    };
    Ok(Login {
        user: value("username")?,
        password: value("password")?,
    })
}

impl Login {
    /// Runs one statement, read from standard input so that a password in it is on no command line.
    pub(crate) async fn run(&self, server: &Server<'_>, database: &str, sql: &str) -> Result<String> {
        use tokio::io::AsyncWriteExt as _;

        let pass_file = tempfile::NamedTempFile::new()?;
        std::fs::set_permissions(pass_file.path(), std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(
            pass_file.path(),
            format!("*:*:*:{}:{}\n", self.user, self.password),
        )?;
        let (host, port) = server
            .address
            .split_once(':')
            .context("address of PostgreSQL: no port")?;
        let mut child = tokio::process::Command::new(dev_tools::install(&[])?.postgres_bin()?.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", host, "-p", port, "-U", &self.user, "-d", database])
            .env("PGPASSFILE", pass_file.path())
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", server.ca_file)
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("run psql")?;
        // One that is refused ends before it reads.
        let _ = child
            .stdin
            .take()
            .context("psql without standard input")?
            .write_all(sql.as_bytes())
            .await;
        let output = child.wait_with_output().await?;
        ensure!(
            output.status.success(),
            "psql: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
