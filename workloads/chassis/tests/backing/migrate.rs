//! The migration: repeatable, one platform per database, and each role kept to its own schema.

use std::borrow::Cow;

use anyhow::{Context as _, Result};
use logistics_chassis::migrate::{self, MigrateError, ServiceMigrations};
use logistics_chassis::storage;
use logistics_schemas::Workload;
use logistics_testbed::Testbed;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

use crate::support::MIGRATIONS;

static TRACKING: ServiceMigrations = ServiceMigrations::new(Workload::Tracking, Migrator::DEFAULT);

/// A session with the role of a service.
async fn login(testbed: &Testbed, workload: Workload) -> Result<PgConnection> {
    let options = storage::connect_options(&testbed.config(workload).database, workload.name())?;
    Ok(PgConnection::connect_with(&options).await?)
}

/// The SQLSTATE with which a statement is refused.
async fn refusal(connection: &mut PgConnection, sql: &'static str) -> Result<String> {
    let error = sqlx::query(sql)
        .execute(connection)
        .await
        .err()
        .with_context(|| format!("allowed: {sql}"))?;
    let code = error
        .as_database_error()
        .and_then(|error| error.code().map(Cow::into_owned));
    code.with_context(|| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_uses_the_rows_of_its_own_schema_and_nothing_else() -> Result<()> {
    const DENIED: &str = "42501";

    let testbed = Testbed::database_only().await?;
    testbed.migrate(&[&MIGRATIONS, &TRACKING]).await?;
    let mut shipment = login(&testbed, Workload::Shipment).await?;
    // Its own schema is the search path.
    for allowed in [
        "INSERT INTO idempotency VALUES ('a', 's', 'm', 'k', '', '')",
        "UPDATE idempotency SET response = 'x'",
        "SELECT * FROM outbox",
        "SELECT nextval('outbox_position_seq')",
        "DELETE FROM idempotency",
    ] {
        sqlx::query(allowed)
            .execute(&mut shipment)
            .await
            .with_context(|| allowed)?;
    }
    for denied in [
        "SELECT * FROM tracking.outbox",
        "INSERT INTO tracking.idempotency VALUES ('a', 's', 'm', 'k', '', '')",
        "SELECT * FROM logistics.platform",
        "CREATE TABLE shipment.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE outbox",
        "ALTER TABLE outbox ADD COLUMN mine int",
        "DELETE FROM _migrations_common",
        "CREATE ROLE mine",
        "CREATE TEMPORARY TABLE mine (id int)",
    ] {
        let code = refusal(&mut shipment, denied).await?;
        // Whoever does not own a table is told so with the same code.
        assert_eq!(code, DENIED, "{denied}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_be_repeated_and_run_twice_at_once() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let services = [&MIGRATIONS, &TRACKING];
    tokio::try_join!(
        testbed.migrate(&services),
        testbed.migrate(&services),
        testbed.migrate(&services)
    )?;
    testbed.migrate(&services).await?;
    let applied = "SELECT count(*) > 0, count(*) = count(DISTINCT version) FROM shipment._migrations_common
                   WHERE success";
    assert_eq!(testbed.sql(applied).await?, "t|t");
    login(&testbed, Workload::Tracking).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_taken_over_and_never_sent_in_clear() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    testbed.migrate(&[&MIGRATIONS]).await?;
    std::fs::write(testbed.file("shipment/password"), "quite another; it's \"odd\"\n")?;
    assert!(login(&testbed, Workload::Shipment).await.is_err());
    testbed.migrate(&[&MIGRATIONS]).await?;
    login(&testbed, Workload::Shipment).await?;
    let stored = testbed
        .sql("SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$4096:%'")
        .await?;
    assert_ne!(stored, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_platforms_database_is_refused() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    testbed.migrate(&[&MIGRATIONS]).await?;
    let mut config = testbed.migrate_config();
    let owner = format!("test/{}", config.platform.name);
    config.platform.name = "intruder".to_owned();
    let error = migrate::run(&config, &[&MIGRATIONS])
        .await
        .err()
        .context("not refused")?;
    assert!(matches!(error, MigrateError::Platform(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&owner) && text.contains("test/intruder"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_knows_what_its_schema_lacks() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    testbed.migrate(&[&TRACKING]).await?;
    let (pool, _) = storage::open(&testbed.config(Workload::Tracking).database, "tracking")?;
    assert_eq!(TRACKING.missing(&pool).await?, None);
    let lacks = MIGRATIONS.missing(&pool).await?.context("nothing is missing")?;
    assert!(lacks.contains("shipment"), "{lacks}");
    Ok(())
}
