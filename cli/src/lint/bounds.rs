//! Types, bounds, patterns and required fields of the definition, in the words of the API server.

use regex::Regex;
use serde_json::Value;

use super::finding::{Check, Finding};

/// Tells what the API server's check of the structural schema would.
pub(super) fn check(path: &str, schema: &Value, value: &Value, findings: &mut Vec<Finding>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if let Some(message) = wrong_type(schema, value) {
        findings.push(error(path, value, message));
        return;
    }
    choice(path, schema, value, findings);
    match value {
        Value::String(text) => text_bounds(path, schema, text, findings),
        Value::Number(_) => number_bounds(path, schema, value, findings),
        Value::Array(items) => list(path, schema, items, findings),
        Value::Object(_) => fields(path, schema, value, findings),
        Value::Null | Value::Bool(_) => {}
    }
}

fn error(path: &str, value: &Value, message: String) -> Finding {
    Finding::error(Check::Schema, path, value, message)
}

/// Why a value is not of the type that it should have.
pub(super) fn wrong_type(schema: &Value, value: &Value) -> Option<String> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["x-kubernetes-int-or-string"] == true {
        let right = matches!(found, "integer" | "string");
        return (!right).then(|| format!("must be of type integer or string, not {found}; put it in quotes"));
    }
    let wanted = schema["type"].as_str()?;
    if wanted == found || (wanted == "number" && found == "integer") {
        return None;
    }
    let remedy = match (wanted, found) {
        ("string", "integer" | "number" | "boolean") => "; put it in quotes",
        ("integer" | "number" | "boolean", "string") => "; leave out the quotes",
        ("integer", "number") => "; write a whole number",
        ("array", _) => "; write a list",
        ("object", _) => "; write fields below it",
        _ => "",
    };
    Some(format!("must be of type {wanted}, not {found}{remedy}"))
}

fn choice(path: &str, schema: &Value, value: &Value, findings: &mut Vec<Finding>) {
    let Some(choices) = schema["enum"].as_array() else {
        return;
    };
    if !choices.contains(value) {
        let choices: Vec<_> = choices.iter().map(ToString::to_string).collect();
        findings.push(error(
            path,
            value,
            format!("is not supported; supported values: {}", choices.join(", ")),
        ));
    }
}

fn text_bounds(path: &str, schema: &Value, text: &str, findings: &mut Vec<Finding>) {
    let length = text.chars().count() as u64;
    let value = Value::String(text.to_owned());
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        findings.push(error(
            path,
            &value,
            format!("is too long: may not be more than {most} characters"),
        ));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        findings.push(error(
            path,
            &value,
            format!("should be at least {least} chars long"),
        ));
        return;
    }
    let pattern = schema["pattern"]
        .as_str()
        .and_then(|pattern| Some((pattern, Regex::new(pattern).ok()?)));
    if let Some((pattern, regex)) = pattern
        && !regex.is_match(text)
    {
        findings.push(error(path, &value, format!("should match '{pattern}'")));
    }
}

fn number_bounds(path: &str, schema: &Value, value: &Value, findings: &mut Vec<Finding>) {
    let Some(number) = value.as_f64() else { return };
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        findings.push(error(
            path,
            value,
            format!("should be greater than or equal to {least}"),
        ));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        findings.push(error(
            path,
            value,
            format!("should be less than or equal to {most}"),
        ));
    }
}

fn list(path: &str, schema: &Value, items: &[Value], findings: &mut Vec<Finding>) {
    let length = items.len() as u64;
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
        findings.push(error(
            path,
            &length.into(),
            format!("are too many: must have at most {most} items"),
        ));
    }
    if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
        findings.push(error(
            path,
            &length.into(),
            format!("are too few: must have at least {least} items"),
        ));
    }
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{path}[{index}]");
        if let Some(key) = list_key(schema, item) {
            if seen.contains(&key) {
                findings.push(error(
                    &place,
                    &key,
                    "is a duplicate; remove one of the two".into(),
                ));
            }
            seen.push(key);
        }
        check(&place, &schema["items"], item, findings);
    }
}

/// What may not be twice in a list, if there is such a thing.
fn list_key(schema: &Value, item: &Value) -> Option<Value> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" => Some(item.clone()),
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str);
            Some(
                keys.map(|key| (key.to_owned(), item[key].clone()))
                    .collect::<serde_json::Map<_, _>>()
                    .into(),
            )
        }
        _ => None,
    }
}

fn fields(path: &str, schema: &Value, value: &Value, findings: &mut Vec<Finding>) {
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            let place = join(path, name);
            let meaning = schema["properties"][name]["description"]
                .as_str()
                .unwrap_or_default();
            findings.push(error(
                &place,
                &Value::Null,
                format!("Required value; add it: {meaning}"),
            ));
        }
    }
    let count = value.as_object().map_or(0, |fields| fields.len() as u64);
    if let Some(most) = schema["maxProperties"].as_u64().filter(|most| count > *most) {
        findings.push(error(
            path,
            &count.into(),
            format!("are too many: must have at most {most} fields"),
        ));
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let known = schema["properties"]
            .get(name)
            .or_else(|| schema.get("additionalProperties"));
        if let Some(known) = known.filter(|known| known.is_object()) {
            check(&join(path, name), known, inner, findings);
        }
    }
}

/// The path of a field.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
