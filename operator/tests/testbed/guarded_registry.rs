//! A registry that asks who is there: the right user gets on, a wrong one is told what to do.

use anyhow::Result;
use logistics_kafka_admin::{Credentials, Trust};
use logistics_operator::backend::Backend as _;
use logistics_operator::backend::registry::{Change, Connection, Registry, Target};
use logistics_operator::reason::Reason;

use crate::unreachable::within_the_limit;
use crate::{provide_tls, subjects};

fn connect(door: &dev_rig::GuardedRegistry, password: Option<&str>) -> Result<Connection> {
    provide_tls();
    Ok(Registry::default().connect(&Target {
        url: door.url.clone(),
        trust: Trust::Pem(std::fs::read_to_string(&door.ca_file)?),
        credentials: password.map(|password| Credentials {
            username: door.username.clone(),
            password: password.to_owned(),
        }),
    })?)
}

#[tokio::test]
async fn the_right_user_registers_schemas() -> Result<()> {
    let door = dev_rig::guarded_registry(dev_rig::shared::schema_registry().await?).await?;
    let connection = connect(&door, Some(&door.password()))?;
    let wanted = subjects("guarded.", "BACKWARD")?;
    crate::apply(&connection, &wanted).await?;
    let left = crate::plan(&connection, &wanted).await?;
    assert!(left.changes.is_empty() && left.refused.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_and_a_wrong_password_are_told_what_to_do() -> Result<()> {
    let door = dev_rig::guarded_registry(dev_rig::shared::schema_registry().await?).await?;
    let wanted = subjects("nobody.", "BACKWARD")?;
    let former = door.password();
    let rotated = connect(&door, Some(&former))?;
    Registry::default().observe(&rotated, &wanted).await?;
    let password = door.change_password();
    for connection in [
        rotated,
        connect(&door, None)?,
        connect(&door, Some("open-sesame"))?,
    ] {
        let read = within_the_limit(Registry::default().observe(&connection, &wanted)).await?;
        let change = Change::Register(wanted[0].clone());
        let change = within_the_limit(Registry::default().apply(&connection, &change)).await?;
        for error in [read, change] {
            println!("{error}");
            assert_eq!(error.reason, Reason::AuthenticationFailed);
            assert!(
                error.message.contains("correct spec.schemaRegistry.credentials"),
                "{error}"
            );
            for secret in ["open-sesame", &former, &password] {
                assert!(!error.message.contains(secret), "{error}");
            }
        }
    }
    let mended = connect(&door, Some(&password))?;
    Registry::default().observe(&mended, &wanted).await?;
    Ok(())
}
