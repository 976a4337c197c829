//! Whether an object in the cluster is as we want it: our fields, normalised, are a subset of its fields.

use serde_json::Value;

use crate::{list_keys, quantity};

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Path of the field, for example `spec.replicas`.
    pub path: String,
    /// What is there; `None` when the field is missing.
    pub found: Option<Value>,
    /// What we want; `None` when we do not want the field any more.
    pub wanted: Option<Value>,
}

/// Maps that Kubernetes replaces as a whole, so that a foreign key in them is a difference.
const ATOMIC_MAPS: [&str; 3] = ["selector", "matchLabels", "nodeSelector"];

/// Maps whose values are quantities.
const QUANTITY_MAPS: [&str; 2] = ["requests", "limits"];

/// The fields of `wanted` that `found` does not have, or has with another value.
#[must_use]
pub fn differences(wanted: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(&mut Path::default(), wanted, Some(found), &mut differences);
    differences
}

#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn inside<R>(&mut self, name: &str, act: impl FnOnce(&mut Self) -> R) -> R {
        self.0.push(name.to_owned());
        let result = act(self);
        self.0.pop();
        result
    }

    fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    fn parent(&self) -> &str {
        self.0
            .len()
            .checked_sub(2)
            .and_then(|index| self.0.get(index))
            .map_or("", String::as_str)
    }
}

/// Missing, null and empty are the same to the API server.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn compare(path: &mut Path, wanted: &Value, found: Option<&Value>, differences: &mut Vec<Difference>) {
    let found = found.unwrap_or(&Value::Null);
    let equal = match (wanted, found) {
        (wanted, found) if is_empty(wanted) && is_empty(found) => true,
        (Value::Object(wanted), Value::Object(map)) => {
            for (key, value) in wanted {
                path.inside(key, |path| compare(path, value, map.get(key), differences));
            }
            !ATOMIC_MAPS.contains(&path.last()) || map.keys().all(|key| wanted.contains_key(key))
        }
        (Value::Array(wanted), Value::Array(list)) => return compare_lists(path, wanted, list, differences),
        (wanted, found) if QUANTITY_MAPS.contains(&path.parent()) => same_quantity(wanted, found),
        (wanted, found) => wanted == found,
    };
    if !equal {
        note(path, Some(wanted), Some(found), differences);
    }
}

fn compare_lists(path: &mut Path, wanted: &[Value], found: &[Value], differences: &mut Vec<Difference>) {
    if let Some(keys) = list_keys::of(path.last()) {
        for item in wanted {
            let same = |other: &&Value| keys.iter().all(|key| item.get(key) == other.get(key));
            let name = keys
                .iter()
                .find_map(|key| item.get(key))
                .map(ToString::to_string)
                .unwrap_or_default();
            path.inside(&name, |path| {
                compare(path, item, found.iter().find(same), differences);
            });
        }
    } else if wanted.len() == found.len() {
        for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
            path.inside(&index.to_string(), |path| {
                compare(path, wanted, Some(found), differences);
            });
        }
    } else {
        let (wanted, found) = (Value::from(wanted.to_vec()), Value::from(found.to_vec()));
        note(path, Some(&wanted), Some(&found), differences);
    }
}

fn same_quantity(wanted: &Value, found: &Value) -> bool {
    let amount = |value: &Value| match value {
        Value::String(text) => quantity::parse(text),
        Value::Number(number) => quantity::parse(&number.to_string()),
        _ => None,
    };
    amount(wanted).is_some() && amount(wanted) == amount(found)
}

fn note(path: &Path, wanted: Option<&Value>, found: Option<&Value>, differences: &mut Vec<Difference>) {
    differences.push(Difference {
        path: path.0.join("."),
        found: found.filter(|value| !value.is_null()).cloned(),
        wanted: wanted.cloned(),
    });
}

/// The fields that our field manager owns, by the object's `managedFields`, and that we do not want any more.
#[must_use]
pub fn surplus(wanted: &Value, found: &Value) -> Vec<Difference> {
    let entries = found.pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut differences = Vec::new();
    for fields in entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("fieldsV1"))
    {
        owned(&mut Path::default(), fields, wanted, found, &mut differences);
    }
    differences
}

fn owned(path: &mut Path, fields: &Value, wanted: &Value, found: &Value, differences: &mut Vec<Difference>) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let (name, wanted, found) = if let Some(name) = key.strip_prefix("f:") {
            (name.to_owned(), wanted.get(name), found.get(name))
        } else if let Some(selector) = key.strip_prefix("k:") {
            let Ok(selector) = serde_json::from_str::<Value>(selector) else {
                continue;
            };
            (
                selector.to_string(),
                item(wanted, &selector),
                item(found, &selector),
            )
        } else {
            continue;
        };
        path.inside(&name, |path| match (wanted, found) {
            (Some(wanted), Some(found)) => owned(path, inner, wanted, found, differences),
            (None, Some(found)) => note(path, None, Some(found), differences),
            // What is not there need not be taken away.
            (_, None) => {}
        });
    }
}

fn item<'a>(list: &'a Value, selector: &Value) -> Option<&'a Value> {
    let keys = selector.as_object()?;
    list.as_array()?
        .iter()
        .find(|item| keys.iter().all(|(key, value)| item.get(key) == Some(value)))
}

#[cfg(test)]
mod tests;
