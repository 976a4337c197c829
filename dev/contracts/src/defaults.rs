//! What the operator makes of a platform that leaves topics and compatibility to it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::backend::{kafka, registry};
use logistics_operator::validate::validate;
use serde_norway::Value;

const SAMPLE: &str = "charts/samples/acme.yaml";

/// The topics and subjects of a platform with default settings, by name.
#[derive(Debug)]
pub(crate) struct Defaults {
    /// The topics, without prefix.
    pub(crate) topics: BTreeMap<String, kafka::Topic>,
    /// The compatibility of each subject.
    pub(crate) compatibility: BTreeMap<String, &'static str>,
}

impl Defaults {
    /// As the operator decides.
    pub(crate) fn read() -> Result<Self> {
        let text = std::fs::read_to_string(crate::checkout().join(SAMPLE)).context(SAMPLE)?;
        let mut object: Value = serde_norway::from_str(&text).context(SAMPLE)?;
        object["metadata"]["uid"] = "0b7e5a1c-0000-4000-8000-000000000001".into();
        for (part, field) in [
            ("kafka", "topics"),
            ("kafka", "topicPrefix"),
            ("schemaRegistry", "compatibility"),
        ] {
            if let Some(part) = object["spec"][part].as_mapping_mut() {
                part.remove(field);
            }
        }
        let platform: LogisticsPlatform = serde_norway::from_value(object).context(SAMPLE)?;
        let valid = validate(&platform).context(SAMPLE)?;
        let topics = kafka::wanted(&valid).into_iter();
        let subjects = registry::wanted(&valid).into_iter();
        Ok(Self {
            topics: topics.map(|topic| (topic.name.clone(), topic)).collect(),
            compatibility: subjects
                .map(|subject| (subject.name.clone(), subject.compatibility))
                .collect(),
        })
    }
}
