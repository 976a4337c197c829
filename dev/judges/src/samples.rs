//! The samples, and all that the operator makes of them.

use anyhow::{Context as _, Result, ensure};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::desire::offline;
use logistics_operator::validate::validate;
use serde_json::Value;

use crate::{Rendered, checkout, documents};

const FOLDER: &str = "charts/samples";
/// Kubernetes gives every object one.
const UID: &str = "0b7e5a1c-0000-4000-8000-000000000001";

/// Each sample's own objects, and the objects of each platform in it as the operator makes them.
pub fn rendered() -> Result<Vec<Rendered>> {
    let mut files = Vec::new();
    for entry in checkout().join(FOLDER).read_dir().context(FOLDER)? {
        files.push(entry?.path());
    }
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&file).with_context(|| name.clone())?;
        for object in documents(&text).with_context(|| name.clone())? {
            if object["kind"] == "LogisticsPlatform" {
                found.push(platform(&name, object)?);
            }
        }
        found.push(Rendered::parse(&name, text)?);
    }
    ensure!(found.len() > 1, "{FOLDER} has no platform");
    Ok(found)
}

/// All that the operator makes of a platform.
pub fn platform(file: &str, mut object: Value) -> Result<Rendered> {
    object["metadata"]["uid"] = UID.into();
    let platform: LogisticsPlatform = serde_json::from_value(object).with_context(|| file.to_owned())?;
    let name = platform.metadata.name.clone().unwrap_or_default();
    let valid = validate(&platform).with_context(|| format!("{file}: {name}"))?;
    let texts = offline(&valid)
        .iter()
        .map(serde_norway::to_string)
        .collect::<Result<Vec<_>, _>>()?;
    Rendered::parse(&format!("{file}: platform {name}"), texts.join("---\n"))
}
