//! The contracts before independent judges. No network is needed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dev_judges::contracts::{self, ASYNCAPI, BREAKING, LINT, Understood};
use dev_judges::{checkout, read, review};
use logistics_schemas::topics;

const TRACKING: &str = "logistics/tracking/v1/tracking_service.proto";
const DOCUMENT: &str = "docs/asyncapi.yaml";

fn protos() -> PathBuf {
    checkout().join("schemas/proto")
}

/// A copy of the protos in which one text of one file is another.
fn spoilt(file: &str, text: &str, by: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    copy(&protos(), folder.path())?;
    let file = folder.path().join(file);
    let whole = fs::read_to_string(&file)?;
    ensure!(whole.contains(text), "{} does not hold `{text}`", file.display());
    fs::write(&file, whole.replacen(text, by, 1))?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn the_protos_are_free_of_lint() -> Result<()> {
    let tools = dev_judges::tools()?;
    review(LINT, &contracts::lint(&tools, &protos())?)
}

#[test]
fn the_protos_break_nobody() -> Result<()> {
    let tools = dev_judges::tools()?;
    review(BREAKING, &contracts::breaking(&tools, &protos())?)
}

/// A judge that finds nothing anywhere would pass too.
#[test]
fn bad_style_is_found() -> Result<()> {
    let tools = dev_judges::tools()?;
    let folder = spoilt(TRACKING, "int64 after_seq = 2;", "int64 afterSeq = 2;")?;
    let found = contracts::lint(&tools, folder.path())?;
    ensure!(
        found.len() == 1 && found[0].message.contains("afterSeq"),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn breaking_changes_are_refused_with_a_sentence() -> Result<()> {
    let tools = dev_judges::tools()?;
    for (change, text, by, said) in [
        (
            "a field is renumbered",
            "int64 after_seq = 2;",
            "int64 after_seq = 3;",
            r#"Previously present field "2" with name "after_seq" on message "StreamTrackingRequest" was deleted."#,
        ),
        (
            "a field's type changes",
            "int64 after_seq = 2;",
            "string after_seq = 2;",
            r#"Field "2" with name "after_seq" on message "StreamTrackingRequest" changed type from "int64" to "string"."#,
        ),
        (
            "a method is renamed",
            "rpc GetTimeline(",
            "rpc ReadTimeline(",
            r#"Previously present RPC "GetTimeline" on service "TrackingService" was deleted."#,
        ),
    ] {
        let folder = spoilt(TRACKING, text, by)?;
        let found = contracts::breaking(&tools, folder.path())?;
        ensure!(
            found.iter().any(|finding| finding.message.contains(said)),
            "{change}: not `{said}` but {found:?}"
        );
        let refused = review(BREAKING, &found)
            .err()
            .context("the change is let through")?;
        ensure!(refused.to_string().contains(said), "{change}: {refused}");
    }
    Ok(())
}

#[test]
fn new_fields_and_methods_break_nobody() -> Result<()> {
    let tools = dev_judges::tools()?;
    let field = spoilt(
        TRACKING,
        "int64 after_seq = 2;",
        "int64 after_seq = 2;\n  string more = 3;",
    )?;
    let found = contracts::breaking(&tools, field.path())?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

#[test]
fn the_asyncapi_document_is_valid_without_a_warning() -> Result<()> {
    let tools = dev_judges::tools()?;
    let verdict = contracts::asyncapi(&tools, &checkout().join(DOCUMENT))?;
    review(ASYNCAPI, &verdict.findings())?;
    let operations = topics::ALL.map(|topic| topic.writers.len() + topic.readers.len());
    let wanted = Understood {
        channels: topics::ALL.len(),
        operations: operations.iter().sum(),
        messages: topics::ALL.len(),
    };
    ensure!(
        verdict.understood.as_ref() == Some(&wanted),
        "{verdict:?}, not {wanted:?}"
    );
    Ok(())
}

#[test]
fn wrong_asyncapi_is_found() -> Result<()> {
    let tools = dev_judges::tools()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("asyncapi.yaml");
    for (what, text, by) in [
        ("a binding", "partitions: 6", "partitions: six"),
        ("a reference", "#/channels/shipment-created", "#/channels/nowhere"),
        ("an Avro type", "type: array", "type: list"),
        ("an action", "action: send", "action: shout"),
    ] {
        let whole = read(DOCUMENT)?;
        ensure!(whole.contains(text), "{what}: {DOCUMENT} does not hold `{text}`");
        fs::write(&file, whole.replacen(text, by, 1))?;
        let verdict = contracts::asyncapi(&tools, &file)?;
        ensure!(!verdict.findings().is_empty(), "{what} `{by}` was let through");
    }
    Ok(())
}
