//! Subjects in a real registry: registered, kept compatible, and refusals told.

#[path = "testbed/guarded_registry.rs"]
mod guarded;
#[path = "testbed/platforms.rs"]
mod platforms;
#[path = "testbed/unreachable.rs"]
mod unreachable;

use anyhow::{Context as _, Result, anyhow, ensure};
use logistics_kafka_admin::Trust;
use logistics_operator::backend::registry::{self, Change, Connection, Registry, Subject, Target};
use logistics_operator::backend::{Backend as _, BackendError, BackendPlan};
use logistics_operator::reason::Reason;
use serde_json::{Value, json};
use unreachable::within_the_limit;

/// Where the backend expects to find TLS, as the operator's `main` provides it.
fn provide_tls() {
    // Another test of this binary may have been first; either choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn connect(url: &str) -> Result<Connection> {
    provide_tls();
    let trust = Trust::Disabled;
    Ok(Registry::default().connect(&Target {
        url: url.to_owned(),
        trust,
        credentials: None,
    })?)
}

async fn shared() -> Result<Connection> {
    connect(&dev_rig::shared::schema_registry().await?.url)
}

/// The subjects of a platform with this prefix.
fn subjects(prefix: &str, compatibility: &str) -> Result<Vec<Subject>> {
    let change = json!({"spec": {
        "kafka": {"topicPrefix": prefix},
        "schemaRegistry": {"compatibility": compatibility},
    }});
    Ok(registry::wanted(&platforms::valid(&[&change])?))
}

async fn plan(connection: &Connection, wanted: &[Subject]) -> Result<BackendPlan<Change>> {
    Ok(Registry::plan(
        wanted,
        &Registry::default().observe(connection, wanted).await?,
    ))
}

async fn apply(connection: &Connection, wanted: &[Subject]) -> Result<()> {
    for change in plan(connection, wanted).await?.changes {
        Registry::default().apply(connection, &change).await?;
    }
    Ok(())
}

/// The registry's own answer.
async fn ask(method: reqwest::Method, path: &str, body: Option<Value>) -> Result<Value> {
    provide_tls();
    let url = format!("{}{path}", dev_rig::shared::schema_registry().await?.url);
    let mut request = reqwest::Client::builder().build()?.request(method, &url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{url}: {status}: {text}");
    serde_json::from_str(&text).with_context(|| text)
}

/// A schema that no version of ours can be read with.
fn other_schema() -> String {
    json!({"type": "record", "name": "Other", "fields": [{"name": "other", "type": "int"}]}).to_string()
}

#[tokio::test]
async fn missing_subjects_are_registered_and_then_nothing_is_left_to_do() -> Result<()> {
    let connection = shared().await?;
    let wanted = subjects("made.", "BACKWARD")?;
    assert_eq!(wanted.len(), 4, "dead letters have no schema of their own");
    let first = plan(&connection, &wanted).await?;
    assert_eq!(first.changes.len(), 2 * wanted.len());
    for change in &first.changes {
        Registry::default().apply(&connection, change).await?;
    }

    let seen = Registry::default().observe(&connection, &wanted).await?;
    assert_eq!(Registry::plan(&wanted, &seen), BackendPlan::default());
    for subject in &wanted {
        assert!(seen.has(subject), "{}", subject.name);
        let latest = ask(
            reqwest::Method::GET,
            &format!("/subjects/{}/versions/latest", subject.name),
            None,
        )
        .await?;
        let (id, version) = seen.0[&subject.name].registered.context("registered")?;
        assert_eq!((&latest["id"], &latest["version"]), (&json!(id), &json!(version)));
        let schema: Value = serde_json::from_str(latest["schema"].as_str().context("a schema")?)?;
        assert_eq!(schema, serde_json::from_str::<Value>(subject.schema)?);
        let config = ask(reqwest::Method::GET, &format!("/config/{}", subject.name), None).await?;
        assert_eq!(config["compatibilityLevel"], "BACKWARD");
    }

    // Two operators may plan the same at once; the second finds the work done.
    for change in &first.changes {
        Registry::default().apply(&connection, change).await?;
    }
    assert_eq!(
        Registry::default().observe(&connection, &wanted).await?,
        seen,
        "no second version of the same schema"
    );
    Ok(())
}

#[tokio::test]
async fn a_compatibility_changed_by_hand_is_repaired() -> Result<()> {
    let connection = shared().await?;
    let wanted = subjects("drift.", "BACKWARD")?;
    apply(&connection, &wanted).await?;
    let path = format!("/config/{}", wanted[1].name);
    ask(
        reqwest::Method::PUT,
        &path,
        Some(json!({"compatibility": "NONE"})),
    )
    .await?;

    let drifted = plan(&connection, &wanted).await?;
    assert_eq!(drifted.changes, [Change::SetCompatibility(wanted[1].clone())]);
    assert_eq!(
        drifted.changes[0].to_string(),
        format!("set compatibility BACKWARD of subject {}", wanted[1].name)
    );
    apply(&connection, &wanted).await?;
    assert_eq!(plan(&connection, &wanted).await?, BackendPlan::default());
    Ok(())
}

#[tokio::test]
async fn every_compatibility_is_one_that_the_registry_knows() -> Result<()> {
    let connection = shared().await?;
    let all = [
        "NONE",
        "BACKWARD",
        "BACKWARD_TRANSITIVE",
        "FORWARD",
        "FORWARD_TRANSITIVE",
        "FULL",
        "FULL_TRANSITIVE",
    ];
    for compatibility in all {
        let wanted = subjects("modes.", compatibility)?;
        apply(&connection, &wanted).await?;
        assert_eq!(
            plan(&connection, &wanted).await?,
            BackendPlan::default(),
            "{compatibility}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_subject_that_was_deleted_is_registered_again() -> Result<()> {
    let connection = shared().await?;
    let wanted = subjects("deleted.", "FULL")?;
    apply(&connection, &wanted).await?;
    ask(
        reqwest::Method::DELETE,
        &format!("/subjects/{}", wanted[0].name),
        None,
    )
    .await?;

    let again = plan(&connection, &wanted).await?;
    assert!(
        again.changes.contains(&Change::Register(wanted[0].clone())),
        "{again:?}"
    );
    assert!(
        again
            .changes
            .iter()
            .all(|change| change.to_string().contains(&wanted[0].name)),
        "{again:?}"
    );
    apply(&connection, &wanted).await?;
    assert_eq!(plan(&connection, &wanted).await?, BackendPlan::default());
    Ok(())
}

#[tokio::test]
async fn an_incompatible_schema_is_told_with_its_subject_and_a_remedy() -> Result<()> {
    let connection = shared().await?;
    let wanted = subjects("taken.", "BACKWARD")?;
    let taken = &wanted[0];
    let versions = format!("/subjects/{}/versions", taken.name);
    ask(
        reqwest::Method::POST,
        &versions,
        Some(json!({"schema": other_schema(), "schemaType": "AVRO"})),
    )
    .await?;

    let changes = plan(&connection, &wanted).await?.changes;
    assert_eq!(
        changes[0],
        Change::SetCompatibility(taken.clone()),
        "the mode decides whether the schema is taken, so it goes first"
    );
    Registry::default().apply(&connection, &changes[0]).await?;

    // It is known before anything is registered, and nothing is.
    let refused = plan(&connection, &wanted).await?;
    assert!(
        !refused
            .changes
            .iter()
            .any(|change| matches!(change, Change::Register(_))),
        "{refused:?}"
    );
    let [told] = refused.refused.as_slice() else {
        panic!("{refused:?}");
    };
    let change = Change::Register(taken.clone());
    let error = refusal(Registry::default().apply(&connection, &change).await)?;
    for (reason, message) in [(told.reason, &told.message), (error.reason, &error.message)] {
        assert_eq!(reason, Reason::IncompatibleSchema);
        for part in [
            taken.name.as_str(),
            "BACKWARD",
            "return to a release",
            "spec.schemaRegistry.compatibility",
        ] {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
    println!("{}", told.message);

    let kept = ask(reqwest::Method::GET, &format!("{versions}/latest"), None).await?;
    assert!(
        kept["schema"]
            .as_str()
            .is_some_and(|schema| schema.contains("Other")),
        "{kept}"
    );
    Ok(())
}

#[tokio::test]
async fn the_remedy_for_an_incompatible_schema_works() -> Result<()> {
    let connection = shared().await?;
    let wanted = subjects("remedy.", "NONE")?;
    let versions = format!("/subjects/{}/versions", wanted[0].name);
    ask(
        reqwest::Method::POST,
        &versions,
        Some(json!({"schema": other_schema(), "schemaType": "AVRO"})),
    )
    .await?;
    apply(&connection, &wanted).await?;
    assert_eq!(plan(&connection, &wanted).await?, BackendPlan::default());
    Ok(())
}

/// What the registry accepts is not held up, whichever mode it was accepted under before.
#[tokio::test]
async fn a_compatible_schema_is_registered() -> Result<()> {
    let connection = shared().await?;
    let subject = |schema, compatibility| Subject {
        name: "grown.shipment.created-value".into(),
        schema,
        compatibility,
    };
    let first = r#"{"type": "record", "name": "Grown", "fields": [{"name": "a", "type": "int"}]}"#;
    let second = r#"{"type": "record", "name": "Grown", "fields": [{"name": "a", "type": "int"},
                     {"name": "b", "type": "int", "default": 0}]}"#;
    let third = r#"{"type": "record", "name": "Grown", "fields": [{"name": "a", "type": "int"},
                     {"name": "c", "type": "int", "default": 0}]}"#;
    for (schema, mode) in [
        (first, "BACKWARD"),
        (second, "BACKWARD"),
        (third, "FULL_TRANSITIVE"),
    ] {
        let wanted = [subject(schema, mode)];
        // First the mode, then what the subject says under it.
        for _ in 0..2 {
            apply(&connection, &wanted).await?;
        }
        assert_eq!(
            plan(&connection, &wanted).await?,
            BackendPlan::default(),
            "{schema}"
        );
    }
    let fourth = r#"{"type": "record", "name": "Grown", "fields": [{"name": "a", "type": "string"}]}"#;
    let refused = plan(&connection, &[subject(fourth, "FULL_TRANSITIVE")]).await?;
    assert_eq!(refused.refused.len(), 1, "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_no_registry_is_an_error() -> Result<()> {
    let url = dev_rig::shared::schema_registry()
        .await?
        .url
        .replace("/apis/ccompat/v7", "/elsewhere");
    let error = refusal(
        Registry::default()
            .observe(&connect(&url)?, &subjects("", "FULL")?)
            .await,
    )?;
    assert!(error.message.contains("/subjects/"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_address_without_a_server_is_an_error_in_time() -> Result<()> {
    let address = unreachable::closed()?;
    unread(&address).await
}

#[tokio::test]
async fn a_server_that_says_nothing_is_an_error_in_time() -> Result<()> {
    let silent = unreachable::silent()?;
    unread(&silent.address).await
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_an_error_in_time() -> Result<()> {
    unread("registry.invalid:8081").await
}

/// Neither a read nor a change takes longer than a call may, and both say where nobody answered.
async fn unread(address: &str) -> Result<()> {
    let connection = connect(&format!("http://{address}/apis/ccompat/v7"))?;
    let wanted = subjects("", "BACKWARD")?;
    let change = Change::Register(wanted[0].clone());
    let registry = Registry::default();
    let read = within_the_limit(registry.observe(&connection, &wanted));
    let change = within_the_limit(registry.apply(&connection, &change));
    let (read, change) = tokio::join!(read, change);
    for error in [read?, change?] {
        println!("{error}");
        assert_eq!(error.reason, Reason::Unreachable);
        assert!(error.message.contains(address), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_registry_without_tls_is_an_error_in_time() -> Result<()> {
    provide_tls();
    let plain = &dev_rig::shared::schema_registry().await?.url;
    let url = plain.replace("http://", "https://");
    let connection = Registry::default().connect(&Target {
        url,
        trust: Trust::System,
        credentials: None,
    })?;
    let error = within_the_limit(Registry::default().observe(&connection, &subjects("", "FULL")?)).await?;
    println!("{error}");
    assert_eq!(error.reason, Reason::Unreachable);
    Ok(())
}

#[test]
fn an_authority_that_is_no_certificate_is_told() -> Result<()> {
    provide_tls();
    for pem in [
        "no certificate",
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let url = "https://registry".to_owned();
        let error = refusal(
            Registry::default()
                .connect(&Target {
                    url,
                    trust: Trust::Pem(pem.to_owned()),
                    credentials: None,
                })
                .map(drop),
        )
        .with_context(|| format!("{pem:?}"))?;
        assert_eq!(error.reason, Reason::InvalidAuthority);
    }
    Ok(())
}

fn refusal<T>(result: Result<T, BackendError>) -> Result<BackendError> {
    let error = result.err().ok_or_else(|| anyhow!("it was accepted"))?;
    println!("{error}");
    Ok(error)
}
