//! The event schemas against those of the last release (`schemas/baseline/avro`), as the registry compares them by default:
//! BACKWARD. The readers of this release must read what the last release has written and the log still holds. The other
//! direction is not asked for: a release starts consumers before producers (`Workload::ALL`), so none reads what is newer.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// The schemas of a folder by their file's name.
fn schemas(folder: &str) -> Result<BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.insert(name, fs::read_to_string(entry.path())?);
    }
    ensure!(
        !found.is_empty(),
        "{} is empty: `make baseline` writes it",
        folder.display()
    );
    Ok(found)
}

/// Why readers by `new` cannot read everything that was written by `old`; one sentence for each field.
fn problems(old: &str, new: &str) -> Result<Vec<String>> {
    let old = Schema::parse_str(old)?;
    let text = new;
    let new = Schema::parse_str(text)?;
    let name = new.name().map(ToString::to_string).unwrap_or_default();
    let mut found = Vec::new();
    if aliased(&serde_norway::from_str(text)?) {
        found.push(format!(
            "{name}: it has an alias, which apache-avro compares by and does not read by (docs/decisions/0012): what was written \
             under the old name would be taken for absent; keep the old name"
        ));
    }
    collect(&name, "", &old, &new, &mut found);
    // Whatever the search for the field does not see, the judge itself does.
    if found.is_empty() && !reads(&old, &new) {
        found.push(format!("{name}: {}", verdict(&old, &new)));
    }
    Ok(found)
}

/// Whether anything in a schema is also known by another name.
fn aliased(schema: &serde_norway::Value) -> bool {
    match schema {
        serde_norway::Value::Mapping(parts) => parts.contains_key("aliases") || parts.values().any(aliased),
        serde_norway::Value::Sequence(parts) => parts.iter().any(aliased),
        _ => false,
    }
}

fn reads(old: &Schema, new: &Schema) -> bool {
    matches!(SchemaCompatibility::can_read(old, new), Ok(Compatibility::Full))
}

fn verdict(old: &Schema, new: &Schema) -> String {
    match SchemaCompatibility::can_read(old, new) {
        Ok(_) => "some values that the last release wrote cannot be read any more".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Follows the records down to the fields that are to blame.
fn collect(schema: &str, path: &str, old: &Schema, new: &Schema, found: &mut Vec<String>) {
    match (old, new) {
        (Schema::Record(old), Schema::Record(new)) if old.name.name() == new.name.name() => {
            for field in &new.fields {
                let path = format!("{path}{}", field.name);
                match old.fields.iter().find(|one| one.name == field.name) {
                    Some(before) => {
                        collect(schema, &format!("{path}."), &before.schema, &field.schema, found);
                    }
                    None if field.default.is_none() => found.push(format!(
                        "{schema}: the field {path} is new and has no default, so events of the last release cannot be read; \
                         give it one"
                    )),
                    None => {}
                }
            }
        }
        (Schema::Array(old), Schema::Array(new)) => collect(schema, path, &old.items, &new.items, found),
        (Schema::Enum(old), Schema::Enum(new)) if new.default.is_none() => {
            for symbol in old.symbols.iter().filter(|symbol| !new.symbols.contains(symbol)) {
                found.push(format!(
                    "{schema}: the field {} no longer knows {symbol}, which events of the last release hold; keep it",
                    path.trim_end_matches('.')
                ));
            }
        }
        _ if reads(old, new) => {}
        _ => found.push(format!(
            "{schema}: the field {} has another type, so events of the last release cannot be read; add a field instead ({})",
            path.trim_end_matches('.'),
            verdict(old, new).lines().next().unwrap_or_default()
        )),
    }
}

#[test]
fn this_release_reads_what_the_last_one_wrote() -> Result<()> {
    let now = schemas("avro")?;
    let mut found = Vec::new();
    for (file, old) in schemas("baseline/avro")? {
        match now.get(&file) {
            Some(new) => found.extend(problems(&old, new)?),
            None => found.push(format!(
                "{file}: the schema is gone, but the log still holds events of the last release; keep it"
            )),
        }
    }
    assert!(
        found.is_empty(),
        "breaking changes of events:\n{}",
        found.join("\n")
    );
    Ok(())
}

#[test]
fn every_schema_is_that_of_its_topic() -> Result<()> {
    let topics = logistics_schemas::topics::ALL;
    for (file, text) in schemas("avro")? {
        let name = file.trim_end_matches(".avsc");
        let topic = topics.iter().find(|topic| topic.name == name);
        assert_eq!(
            topic.and_then(|topic| topic.schema),
            Some(text.as_str()),
            "{file}"
        );
    }
    Ok(())
}

/// The schema of changed events in which `text` is `by`.
fn changed(text: &str, by: &str) -> Result<(String, String)> {
    let old = schemas("baseline/avro")?["shipment.status_changed.avsc"].clone();
    assert!(old.contains(text), "{text}");
    Ok((old.clone(), old.replacen(text, by, 1)))
}

#[test]
fn breaking_changes_are_refused_and_named() -> Result<()> {
    for (text, by, said) in [
        (
            r#"{"name": "actor", "type": "string""#,
            r#"{"name": "agent", "type": "string""#,
            "logistics.events.ShipmentStatusChanged: the field agent is new and has no default",
        ),
        (
            r#"{"name": "seq", "type": "long""#,
            r#"{"name": "seq", "type": "int""#,
            "logistics.events.ShipmentStatusChanged: the field seq has another type",
        ),
        (
            r#""LOST", "#,
            "",
            "logistics.events.ShipmentStatusChanged: the field reported no longer knows LOST",
        ),
        (
            r#""symbols": ["ACTUAL", "ESTIMATED", "PLANNED"]"#,
            r#""symbols": ["REAL"]"#,
            "logistics.events.ShipmentStatusChanged: the field classifier no longer knows ACTUAL",
        ),
        (
            r#"["null", {"type": "record", "name": "Location""#,
            r#"["null", {"type": "record", "name": "Spot""#,
            "logistics.events.ShipmentStatusChanged: the field location has another type",
        ),
        (
            r#"{"name": "actor", "type": "string""#,
            r#"{"name": "agent", "aliases": ["actor"], "type": "string", "default": """#,
            "logistics.events.ShipmentStatusChanged: it has an alias",
        ),
    ] {
        let (old, new) = changed(text, by)?;
        let found = problems(&old, &new)?;
        assert!(
            found.first().is_some_and(|sentence| sentence.starts_with(said)),
            "`{by}`: {found:#?}, not `{said}`"
        );
    }
    Ok(())
}

#[test]
fn what_backward_compatibility_allows_is_let_through() -> Result<()> {
    for (text, by) in [
        (
            r#"{"name": "actor", "type": "string""#,
            r#"{"name": "channel", "type": "string", "default": ""}, {"name": "actor", "type": "string""#,
        ),
        (r#""LOST", "#, r#""LOST", "DESTROYED", "#),
    ] {
        let (old, new) = changed(text, by)?;
        assert_eq!(problems(&old, &new)?, Vec::<String>::new(), "`{by}`");
    }
    Ok(())
}
