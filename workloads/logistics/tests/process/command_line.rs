//! Help, exit codes, and errors that say what to do.

use anyhow::Result;
use logistics_schemas::Workload;
use logistics_testbed::Testbed;

use crate::support::{logistics, write_config};

/// Runs the binary; gives its exit code, standard output and standard error.
async fn run(args: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = logistics().args(args).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

#[tokio::test]
async fn help_shows_an_example_and_the_exit_codes() -> Result<()> {
    let (code, help, _) = run(&["--help"]).await?;
    assert_eq!(code, Some(0));
    for part in [
        "Example:",
        "Exit codes:",
        "LOGISTICS_CONFIG",
        "shipment",
        "tracking",
        "analytics",
        "migrate",
    ] {
        assert!(help.contains(part), "{part}");
    }
    let (code, version, _) = run(&["--version"]).await?;
    assert_eq!(
        (code, version.trim()),
        (Some(0), concat!("logistics ", env!("CARGO_PKG_VERSION")))
    );
    Ok(())
}

#[tokio::test]
async fn wrong_usage_is_code_64() -> Result<()> {
    for args in [
        &[][..],
        &["nonsense"],
        &["shipment"],
        &["shipment", "--config", "/nowhere"],
    ] {
        let (code, _, error) = run(args).await?;
        assert_eq!(code, Some(64), "{args:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_checked_without_starting() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let config = write_config(&testbed, "shipment.yaml", &testbed.config(Workload::Shipment))?;
    let path = config.to_string_lossy();
    let (code, _, error) = run(&["shipment", "--config", &path, "--check-config"]).await?;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let (code, _, error) = run(&["tracking", "--config", &path, "--check-config"]).await?;
    assert_eq!(code, Some(64));
    assert!(error.contains("workload: \"shipment\""), "{error}");

    let migrate = write_config(&testbed, "migrate.yaml", &testbed.migrate_config())?;
    let (code, _, error) = run(&[
        "migrate",
        "--config",
        &migrate.to_string_lossy(),
        "--check-config",
    ])
    .await?;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    Ok(())
}
