//! Puts stand-ins where a value is missing or of a wrong type, so that the later checks can look at all the rest.

use serde_json::{Map, Value, json};

use super::bounds;

/// The fields that were mended: whatever a later check says about them is about the stand-in.
#[derive(Debug, Default)]
pub(super) struct Mended(Vec<String>);

impl Mended {
    /// Whether a field is mended, or within one that is.
    pub(super) fn holds(&self, field: &str) -> bool {
        self.0.iter().any(|mended| {
            field
                .strip_prefix(mended.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Mends an object that is checked already.
    pub(super) fn object(schema: &Value, object: &mut Value) -> Self {
        let mut mended = Self::default();
        if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
            if !object["metadata"].is_object() {
                object["metadata"] = json!({});
            }
            object["metadata"]["name"] = json!("x");
            mended.0.push("metadata.name".into());
        }
        mended.value("", schema, object);
        mended
    }

    fn value(&mut self, path: &str, schema: &Value, value: &mut Value) {
        match value {
            Value::Object(fields) => self.fields(path, schema, fields),
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let place = format!("{path}[{index}]");
                    if broken(&schema["items"], item) {
                        *item = stand_in(&schema["items"]);
                        self.0.push(place);
                    } else {
                        self.value(&place, &schema["items"], item);
                    }
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, path: &str, schema: &Value, fields: &mut Map<String, Value>) {
        let required: Vec<_> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let needed = required.contains(&name.as_str());
            let wrong = fields.get(name).map_or(needed, |value| broken(inner, value));
            if wrong {
                fields.remove(name);
                if needed || inner.get("default").is_some() {
                    fields.insert(name.clone(), stand_in(inner));
                }
                self.0.push(bounds::join(path, name));
            }
        }
        for (name, value) in fields {
            let others = &schema["additionalProperties"];
            let inner = schema["properties"].get(name).unwrap_or(others);
            let place = bounds::join(path, name);
            if !self.0.contains(&place) && inner.is_object() {
                self.value(&place, inner, value);
            }
        }
    }
}

/// Whether a value cannot be read as what it should be.
fn broken(schema: &Value, value: &Value) -> bool {
    let nothing = value.is_null() && schema["nullable"] == true;
    let choices = schema["enum"].as_array();
    !nothing
        && (bounds::wrong_type(schema, value).is_some()
            || choices.is_some_and(|choices| !choices.contains(value)))
}

/// A value of the right type, with all that is required in it.
fn stand_in(schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|choices| choices.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("x"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .filter_map(Value::as_str)
                .map(|name| (name.to_owned(), stand_in(&schema["properties"][name])))
                .collect::<Map<_, _>>()
                .into()
        }
        _ => json!(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_replaced_and_remembered() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}},
            "c": {"type": "integer", "default": 2},
            "d": {"type": "string", "enum": ["x", "y"]},
            "e": {"type": "array", "items": {"type": "integer", "minimum": 3}},
        }});
        let mut object = json!({"metadata": {"name": "n"}, "c": "two", "d": "z", "e": ["q", 4]});
        let mended = Mended::object(&schema, &mut object);
        assert_eq!(
            object,
            json!({"metadata": {"name": "n"}, "a": {"b": "x"}, "c": 2, "e": [3, 4]})
        );
        for field in ["a", "a.b", "c", "d", "e[0]"] {
            assert!(mended.holds(field), "{field}");
        }
        for field in ["e[1]", "ab", "metadata.name", "e"] {
            assert!(!mended.holds(field), "{field}");
        }
    }
}
