//! What the API server requires of `apiVersion`, `kind` and `metadata` of every object.

use serde_json::Value;

use super::finding::{Check, Finding};

/// Checks name, namespace, labels and annotations.
pub(super) fn check(object: &Value, findings: &mut Vec<Finding>) {
    let metadata = &object["metadata"];
    match metadata["name"].as_str() {
        None | Some("") => findings.push(Finding::error(
            Check::Schema,
            "metadata.name",
            &Value::Null,
            "Required value; name the platform, for example acme",
        )),
        Some(name) => {
            if !subdomain(name) {
                let message =
                    "is not a name of an object; use a-z, 0-9, '-' and '.', letters or digits at both ends";
                findings.push(Finding::error(
                    Check::Schema,
                    "metadata.name",
                    &metadata["name"],
                    message,
                ));
            }
        }
    }
    if let Some(namespace) = metadata["namespace"].as_str()
        && (!subdomain(namespace) || namespace.contains('.') || namespace.len() > 63)
    {
        let message = "is not a name of a namespace; use at most 63 of a-z, 0-9 and '-'";
        findings.push(Finding::error(
            Check::Schema,
            "metadata.namespace",
            &metadata["namespace"],
            message,
        ));
    }
    for section in ["labels", "annotations"] {
        let field = format!("metadata.{section}");
        for (key, value) in metadata[section].as_object().into_iter().flatten() {
            let mut wrong = |value: &Value, message: String| {
                findings.push(Finding::error(Check::Schema, &field, value, message));
            };
            if !qualified(key) {
                wrong(
                    &key.as_str().into(),
                    "is not a qualified name; write for example example.org/team".into(),
                );
            } else if !value.is_string() {
                wrong(value, format!("of {key} must be a text; put it in quotes"));
            } else if section == "labels" && !label(value.as_str().unwrap_or_default()) {
                wrong(
                    value,
                    format!(
                        "of {key} is not a label's value; use at most 63 letters, digits, '-', '_' and '.'"
                    ),
                );
            }
        }
    }
}

fn subdomain(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

fn label(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.is_empty()
        || (text.len() <= 63
            && text.starts_with(edge)
            && text.ends_with(edge)
            && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.')))
}

fn qualified(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && label(name) && prefix.is_none_or(subdomain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_metadata_is_told() {
        let object = json!({"metadata": {
            "name": "acme-", "namespace": "a.b", "labels": {"a b": "x", "team": "blue team", "n": 1},
            "annotations": {"note": "anything at all"},
        }});
        let mut findings = Vec::new();
        check(&object, &mut findings);
        let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
        let expected = [
            r#"metadata.name: "acme-" is not a name of an object"#,
            r#"metadata.namespace: "a.b" is not a name of a namespace"#,
            r#"metadata.labels: "a b" is not a qualified name"#,
            "metadata.labels: 1 of n must be a text",
            r#"metadata.labels: "blue team" of team is not a label's value"#,
        ];
        assert_eq!(shown.len(), expected.len(), "{shown:#?}");
        for (shown, expected) in shown.iter().zip(expected) {
            assert!(shown.starts_with(expected), "{shown}");
        }
    }
}
