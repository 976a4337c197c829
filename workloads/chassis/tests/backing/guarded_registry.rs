//! A registry that asks who is there: credentials are read anew for each question, and one that lets nobody in is as
//! good as away.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use logistics_chassis::codec::{Encoding, Registry, RegistryError, ShipmentCreated};
use logistics_schemas::config::{self, Credentials, SchemaRegistry, Tls, TlsMode};
use logistics_schemas::topics::SHIPMENT_CREATED;
use logistics_testbed::{Testbed, eventually};
use tokio_util::sync::CancellationToken;

use crate::codec::{PREFIX, event, open, pool, register};

const WRONG: &str = "open-sesame";

/// The registry behind the door, with credentials in files of this folder.
fn guarded(door: &dev_rig::GuardedRegistry, folder: &Path, password: &str) -> Result<SchemaRegistry> {
    let files = Credentials {
        username_file: folder.join("username"),
        password_file: folder.join("password"),
    };
    std::fs::write(&files.username_file, &door.username)?;
    std::fs::write(&files.password_file, password)?;
    Ok(SchemaRegistry {
        url: door.url.clone(),
        tls: Tls {
            mode: TlsMode::Verify,
            ca_file: Some(door.ca_file.clone()),
        },
        credentials: Some(files),
        encoding: config::Encoding::Avro,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_asked_with_what_the_files_hold() -> Result<()> {
    let server = dev_rig::schema_registry().await?;
    let door = dev_rig::guarded_registry(&server).await?;
    let schema = SHIPMENT_CREATED.schema.context("no schema")?;
    let subject = SHIPMENT_CREATED.subject(PREFIX).context("no subject")?;
    let id = register(&server.url, schema).await?;
    let folder = tempfile::tempdir()?;
    let registry = Registry::new(&guarded(&door, folder.path(), &door.password())?)?;
    assert_eq!(registry.id_of(&subject, schema).await?, id);

    let rotated = door.change_password();
    let refused = registry.schema_of(id).await;
    let Err(error @ RegistryError::Unauthorized { .. }) = refused else {
        bail!("{refused:?}")
    };
    let told = error.to_string();
    assert!(told.contains("correct the Secret"), "{told}");
    assert!(!told.contains(&rotated), "{told}");
    std::fs::write(folder.path().join("password"), format!("{rotated}\n"))?;
    registry.schema_of(id).await?;

    std::fs::remove_file(folder.path().join("password"))?;
    let missed = registry.schema_of(id).await;
    let Err(error @ RegistryError::Credential(_)) = missed else {
        bail!("{missed:?}")
    };
    assert!(
        error
            .to_string()
            .starts_with("schemaRegistry.credentials.passwordFile: "),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_registry_lets_nobody_in_events_are_json() -> Result<()> {
    let testbed = Testbed::database_only().await?;
    let pool = pool(&testbed).await?;
    let server = dev_rig::schema_registry().await?;
    let door = dev_rig::guarded_registry(&server).await?;
    register(&server.url, SHIPMENT_CREATED.schema.context("no schema")?).await?;
    let folder = tempfile::tempdir()?;
    let config = guarded(&door, folder.path(), WRONG)?;
    let (codec, lookup) = open(&config, &pool).await?;
    let fallback = codec.encode(&event())?;
    assert_eq!(fallback.encoding, Encoding::Json);

    let looking = tokio::spawn(lookup.run(CancellationToken::new()));
    std::fs::write(folder.path().join("password"), door.password())?;
    let value = eventually("the password is mended", || async {
        let encoded = codec.encode(&event())?;
        Ok((encoded.encoding == Encoding::Avro).then_some(encoded.bytes))
    })
    .await?;
    looking.await?;
    for value in [&value, &fallback.bytes] {
        assert_eq!(codec.decode::<ShipmentCreated>(value).await?, event());
    }
    Ok(())
}
