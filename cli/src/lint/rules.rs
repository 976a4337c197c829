//! The definition's CEL rules, evaluated here instead of by the API server.

use kube_cel::{ErrorKind, ValidationError, Validator};
use serde_json::Value;

use super::finding::{Check, Finding, value_at};

/// What the rules say about an object in which defaults are filled in.
pub(super) fn check(schema: &Value, object: &Value) -> Vec<Finding> {
    let failures = Validator::new().validate(schema, object, None).err();
    let failures = failures
        .into_iter()
        .flat_map(kube_cel::ValidationErrors::into_vec);
    failures.map(|failure| finding(object, &failure)).collect()
}

fn finding(object: &Value, failure: &ValidationError) -> Finding {
    let path = failure.field_path.as_str();
    match failure.kind {
        ErrorKind::ValidationFailure => told(object, path, &failure.message),
        ErrorKind::UnsupportedReference => Finding::warning(
            path,
            &Value::Null,
            format!(
                "the rule {:?} cannot be evaluated here; only the API server can say whether it holds",
                failure.rule
            ),
        ),
        _ => {
            let value = value_at(object, path).unwrap_or(&Value::Null);
            Finding::error(Check::Rule, path, scalar(value), failure.message.clone())
        }
    }
}

/// A message of the form `field: "value" remedy`, or only a part of that, taken apart.
fn told(object: &Value, path: &str, message: &str) -> Finding {
    let named = message.split_once(": ").filter(|(name, _)| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".[]".contains(c))
    });
    let (field, rest) = match named {
        Some((name, rest)) => (absolute(path, name), rest),
        None => (path.to_owned(), message),
    };
    let value = value_at(object, &field).unwrap_or(&Value::Null);
    // Where the message names an object, it tells its name.
    let name = value.get("name").unwrap_or(value);
    let plain = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    match rest.strip_prefix(&format!("\"{plain}\" ")) {
        Some(remedy) => Finding::error(Check::Rule, field, name, remedy),
        None => Finding::error(Check::Rule, field, scalar(value), rest),
    }
}

/// A field that a message names from the place of its rule: `spec.kafka.tls` and `tls.mode` are `spec.kafka.tls.mode`.
fn absolute(path: &str, name: &str) -> String {
    let first = name.split('.').next().unwrap_or_default();
    if matches!(first, "spec" | "metadata") {
        return name.to_owned();
    }
    if path.ends_with(&format!(".{name}")) {
        return path.to_owned();
    }
    match path.rsplit_once('.') {
        Some((parent, last)) if last == first => format!("{parent}.{name}"),
        _ => format!("{path}.{name}"),
    }
}

/// A value that is shown only when it is short.
fn scalar(value: &Value) -> &Value {
    if value.is_object() || value.is_array() {
        &Value::Null
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_taken_apart() {
        let object = json!({"spec": {"version": "a b", "kafka": {"tls": {"ca": {"name": "x"}}}, "cpu": -1}});
        for (path, message, shown) in [
            (
                "spec.version",
                "spec.version: \"a b\" is not a tag",
                "spec.version: \"a b\" is not a tag",
            ),
            (
                "spec.kafka.tls",
                "tls.ca: \"x\" has no effect",
                "spec.kafka.tls.ca: \"x\" has no effect",
            ),
            (
                "spec.cpu",
                "\"-1\" is not an amount",
                "spec.cpu: -1 is not an amount",
            ),
            ("spec.kafka", "all is wrong", "spec.kafka: all is wrong"),
        ] {
            assert_eq!(told(&object, path, message).to_string(), shown);
        }
    }
}
