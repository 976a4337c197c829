//! Secrets within Kubernetes objects, and their values wherever else they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{MASK, secret_name, text};

/// Shorter values are words that occur by chance.
const SHORTEST: usize = 6;

/// The value of a variable with one of these names is no secret.
const PLAIN_VARIABLES: [&str; 3] = ["LOGISTICS_", "RUST_", "OTEL_SERVICE_"];

/// Masks objects, and remembers what it masked.
#[derive(Debug, Default)]
pub struct Redactor {
    known: BTreeSet<String>,
}

impl Redactor {
    /// Takes the secrets out of an object.
    pub fn object(&mut self, object: &mut Value) {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if let Some(annotations) = metadata.get_mut("annotations") {
                self.annotations(annotations);
            }
        }
        if matches!(kind.as_str(), "Secret" | "ConfigMap") {
            for field in ["data", "stringData", "binaryData"] {
                if let Some(data) = object.get_mut(field) {
                    self.data(data, kind == "Secret");
                }
            }
        }
        self.walk(object);
    }

    /// Masks, in a text, what looks like a secret and what is known as one.
    #[must_use]
    pub fn text(&self, line: &str) -> String {
        self.known_values(&text(line))
    }

    /// Masks, in a text, values that were masked elsewhere.
    #[must_use]
    pub fn known_values(&self, line: &str) -> String {
        // Long values first: one may be a part of another.
        let mut known: Vec<_> = self
            .known
            .iter()
            .filter(|value| line.contains(value.as_str()))
            .collect();
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        known
            .into_iter()
            .fold(line.to_owned(), |line, value| line.replace(value.as_str(), MASK))
    }

    fn learn(&mut self, value: &str) {
        if value.len() >= SHORTEST && value != MASK {
            self.known.insert(value.to_owned());
        }
    }

    /// Keys stay, with the size of what was there.
    fn data(&mut self, data: &mut Value, secret: bool) {
        for value in data
            .as_object_mut()
            .into_iter()
            .flat_map(|fields| fields.values_mut())
        {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if secret {
                self.learn(&text);
                if let Some(decoded) = decoded(&text) {
                    self.learn(&decoded);
                }
            }
            *value = json!(format!("<removed, {} bytes>", text.len()));
        }
    }

    fn annotations(&mut self, annotations: &mut Value) {
        let Some(annotations) = annotations.as_object_mut() else {
            return;
        };
        for (name, value) in annotations {
            let copy = name.ends_with("last-applied-configuration");
            let text = value.as_str().unwrap_or_default().to_owned();
            if copy {
                // It may hold what the object itself shows nobody; it is read only to know what to mask.
                if let Ok(mut object) = serde_json::from_str::<Value>(&text) {
                    self.object(&mut object);
                }
                *value = json!("<removed>");
            } else if secret_name(name.rsplit('/').next().unwrap_or(name)) {
                self.learn(&text);
                *value = json!(MASK);
            }
        }
    }

    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::String(line) => *line = text(line),
            Value::Array(items) => {
                self.arguments(items);
                for item in items {
                    self.variable(item);
                    self.walk(item);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    if secret_name(name) && (value.is_string() || value.is_number()) {
                        if let Some(text) = value.as_str() {
                            self.learn(text);
                        }
                        *value = json!(MASK);
                    } else {
                        self.walk(value);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A variable of a container: what is written into it may be a secret, whatever its name.
    fn variable(&mut self, item: &mut Value) {
        let name = item["name"].as_str().unwrap_or_default().to_owned();
        let variable = item.as_object().is_some_and(|fields| fields.len() == 2) && item["value"].is_string();
        if !variable {
            return;
        }
        let plain = PLAIN_VARIABLES.iter().any(|start| name.starts_with(start)) && !secret_name(&name);
        if !plain {
            let value = item["value"].as_str().unwrap_or_default().to_owned();
            // Words such as `production` are masked here, but not wherever else they occur.
            if secret_name(&name) || random(&value) {
                self.learn(&value);
            }
            item["value"] = json!(MASK);
        }
    }

    /// `--token`, `abc` as two arguments, and `--token=abc` as one.
    fn arguments(&mut self, items: &mut [Value]) {
        let mut masks_next = false;
        for item in items {
            let Some(argument) = item.as_str().map(str::to_owned) else {
                continue;
            };
            if masks_next && !argument.starts_with('-') {
                self.learn(&argument);
                *item = json!(MASK);
            }
            let flag = argument
                .strip_prefix('-')
                .map(|flag| flag.trim_start_matches('-'));
            masks_next = match flag.and_then(|flag| flag.split_once('=')) {
                Some((name, value)) if secret_name(name) => {
                    self.learn(value);
                    *item = json!(format!(
                        "{}={MASK}",
                        argument.split_once('=').map_or("", |(flag, _)| flag)
                    ));
                    false
                }
                Some(_) => false,
                None => flag.is_some_and(secret_name),
            };
        }
    }
}

/// Whether a value could be a generated secret.
fn random(value: &str) -> bool {
    let has = |kind: fn(&char) -> bool| value.chars().any(|c| kind(&c));
    value.len() >= 8
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && !value.contains(|c: char| c == '/' || c.is_whitespace())
}

/// Base64 as text.
fn decoded(text: &str) -> Option<String> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(text)).ok()?;
    String::from_utf8(bytes.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_loses_its_secrets_and_keeps_its_shape() {
        let mut redactor = Redactor::default();
        let applied = json!({"kind": "Secret", "data": {"password": "c2VzYW1lLTE="}, "stringData": {"url": "sesame-2"}});
        let mut object = json!({
            "kind": "Deployment",
            "metadata": {
                "name": "acme", "managedFields": [{}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string(), "example.org/api-token": "sesame-3", "note": "fine"},
            },
            "spec": {
                "containers": [{
                    "name": "c",
                    "env": [
                        {"name": "ANYTHING", "value": "sesame-4"},
                        {"name": "LOGISTICS_CONFIG", "value": "/etc/logistics"},
                        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "acme-db", "key": "password"}}},
                    ],
                    "args": ["--token", "sesame-5", "--password=sesame-6", "--port", "80"],
                    "command": ["run", "postgres://u:sesame-7@db/x"],
                }],
                "volumes": [{"name": "v", "secret": {"secretName": "acme-db"}}],
            },
        });
        redactor.object(&mut object);
        let shown = object.to_string();
        assert!(
            !shown.contains("sesame") && !shown.contains("c2VzYW1l"),
            "{shown}"
        );
        assert!(object["metadata"].get("managedFields").is_none());
        let container = &object["spec"]["containers"][0];
        assert_eq!(container["env"][1]["value"], "/etc/logistics");
        assert_eq!(
            container["env"][2]["valueFrom"]["secretKeyRef"]["name"],
            "acme-db"
        );
        assert_eq!(
            container["args"],
            json!(["--token", MASK, format!("--password={MASK}"), "--port", "80"])
        );
        assert_eq!(object["spec"]["volumes"][0]["secret"]["secretName"], "acme-db");
        assert_eq!(object["metadata"]["annotations"]["note"], "fine");
        // What was a secret there is one everywhere.
        for number in 1..=6 {
            let line = format!("it said sesame-{number}!");
            assert_eq!(redactor.text(&line), format!("it said {MASK}!"));
        }
    }

    #[test]
    fn data_is_told_by_size_only() {
        let mut object = json!({"kind": "ConfigMap", "data": {"config.yaml": "sesame"}});
        Redactor::default().object(&mut object);
        assert_eq!(object["data"], json!({"config.yaml": "<removed, 6 bytes>"}));
    }
}
