//! What `lint` says about a document.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `kubectl apply` would refuse the object, or the operator would not act on it.
    Error,
    /// Legal, but seldom what is wanted.
    Warning,
}

/// Who would say it on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The reader of YAML.
    Syntax,
    /// The API server, from the definition's types and bounds.
    Schema,
    /// The API server, from the definition's CEL rules.
    Rule,
    /// The operator's validation.
    Operator,
    /// Nobody: it is legal.
    Advice,
}

/// One thing to change: where, what was found, what to write instead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Who would say it on a cluster.
    pub check: Check,
    /// Path of the field, for example `spec.kafka.topics.retention`; empty when it is about the whole document.
    pub field: String,
    /// The value that was found, as JSON and cut short; empty when there is none.
    pub value: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl Finding {
    pub(super) fn error(
        check: Check,
        field: impl Into<String>,
        value: &Value,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            check,
            field: field.into(),
            value: shown(value),
            message: message.into(),
        }
    }

    pub(super) fn warning(field: impl Into<String>, value: &Value, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            check: Check::Advice,
            ..Self::error(Check::Advice, field, value, message)
        }
    }

    /// Whether both are about the same field, seen by two checks.
    pub(super) fn same_field(&self, field: &str) -> bool {
        let (a, b) = (without_indexes(&self.field), without_indexes(field));
        // The operator's validation names a reference where the API server names the reference's `name` or `key`.
        let within = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| matches!(rest, "" | ".name" | ".key"))
        };
        within(&a, &b) || within(&b, &a)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.field, &self.value].map(String::as_str);
        match parts {
            ["", ""] => f.write_str(&self.message),
            ["", value] => write!(f, "{value} {}", self.message),
            [field, ""] => write!(f, "{field}: {}", self.message),
            [field, value] => write!(f, "{field}: {value} {}", self.message),
        }
    }
}

fn without_indexes(field: &str) -> String {
    let mut rest = field;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    plain + rest
}

/// A value as it is shown: JSON, cut short.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        Value::Null => return String::new(),
        value => value.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// The value at a path such as `spec.image.pullSecrets[0].name`, if there is one.
pub(super) fn value_at<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    let mut value = object;
    for part in field.split('.') {
        let (name, indexes) = part.split_once('[').unwrap_or((part, ""));
        value = value.get(name)?;
        for index in indexes.split('[').filter(|index| !index.is_empty()) {
            let index = index.trim_end_matches(']');
            value = match index.parse::<usize>() {
                Ok(position) => value.get(position)?,
                Err(_) => value.get(index)?,
            };
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_two_checks_are_matched() {
        let finding = Finding::error(Check::Schema, "spec.image.pullSecrets[0].name", &Value::Null, "x");
        assert!(finding.same_field("spec.image.pullSecrets"));
        assert!(finding.same_field("spec.image.pullSecrets[1].name"));
        assert!(!finding.same_field("spec.image"));
        let finding = Finding::error(Check::Schema, "spec.kafka.tls", &Value::Null, "x");
        assert!(!finding.same_field("spec.kafka.tls.mode"));
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let object = json!({"spec": {"list": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(value_at(&object, "spec.list[1].name"), Some(&json!("b")));
        assert_eq!(value_at(&object, "spec.list[2].name"), None);
        assert_eq!(value_at(&object, "spec.other"), None);
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = Finding::error(Check::Schema, "f", &json!("x".repeat(500)), "is long").to_string();
        assert!(
            text.chars().count() < 110 && text.ends_with("… is long"),
            "{text}"
        );
    }
}
