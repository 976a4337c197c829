//! Merges what the user wants into a pod template: maps into maps, lists whose items have keys by these keys, everything
//! else as a whole; null removes.

use serde_json::{Map, Value};

use crate::list_keys;

/// Merges `over` into `base`.
pub(super) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => merge_maps(base, over),
        (base, over) => base.clone_from(over),
    }
}

fn merge_maps(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.remove(key);
            }
            (Some(Value::Array(items)), Value::Array(more)) if list_keys::of(key).is_some() => {
                merge_lists(items, more, list_keys::of(key).unwrap_or_default());
            }
            (Some(inner), value) => merge(inner, value),
            (None, value) => {
                base.insert(key.clone(), without_nulls(value));
            }
        }
    }
}

fn merge_lists(items: &mut Vec<Value>, more: &[Value], keys: &[&str]) {
    for item in more {
        let same = |other: &&mut Value| keys.iter().all(|key| item.get(key) == other.get(key));
        match items.iter_mut().find(same) {
            Some(known) => merge(known, item),
            None => items.push(without_nulls(item)),
        }
    }
}

/// A null that removes nothing is nothing: the API server would drop it.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn merges() {
        let cases = [
            (
                "a field is added",
                json!({"a": 1}),
                json!({"b": 2}),
                json!({"a": 1, "b": 2}),
            ),
            (
                "a field is replaced",
                json!({"a": {"x": 1}}),
                json!({"a": {"x": 2}}),
                json!({"a": {"x": 2}}),
            ),
            (
                "null removes",
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": null}}),
                json!({"a": {"y": 2}}),
            ),
            (
                "null adds nothing",
                json!({}),
                json!({"a": {"x": null, "y": 1}}),
                json!({"a": {"y": 1}}),
            ),
            (
                "containers by name, their env by name",
                json!({"containers": [{"name": "shipment", "image": "i", "env": [{"name": "A", "value": "1"}]}]}),
                json!({"containers": [
                    {"name": "shipment", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]},
                    {"name": "sidecar", "image": "s"},
                ]}),
                json!({"containers": [
                    {"name": "shipment", "image": "i", "env": [{"name": "A", "value": "3"}, {"name": "B", "value": "2"}]},
                    {"name": "sidecar", "image": "s"},
                ]}),
            ),
            (
                "lists without keys as a whole",
                json!({"args": ["a", "b"], "tolerations": [{"key": "x"}]}),
                json!({"args": ["c"], "tolerations": []}),
                json!({"args": ["c"], "tolerations": []}),
            ),
        ];
        for (name, mut base, over, expected) in cases {
            merge(&mut base, &over);
            assert_eq!(base, expected, "{name}");
        }
    }
}
