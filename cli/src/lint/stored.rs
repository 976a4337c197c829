//! The object as the API server would store it: whole numbers as integers, without nulls that mean nothing, and with
//! defaults.

use serde_json::Value;

/// Takes out nulls of fields that cannot be null, fills in defaults, and makes `2.0` the integer that it is.
pub(super) fn complete(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let others = &schema["additionalProperties"];
            fields.retain(|name, value| {
                let inner = schema["properties"].get(name).unwrap_or(others);
                !value.is_null() || !inner.is_object() || inner["nullable"] == true
            });
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = inner.get("default")
                    && !fields.contains_key(name)
                {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                complete(schema["properties"].get(name).unwrap_or(others), value);
            }
        }
        Value::Array(items) => {
            for item in items {
                complete(&schema["items"], item);
            }
        }
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            #[allow(clippy::cast_possible_truncation, reason = "only numbers that fit are taken")]
            if let Some(whole) = float.filter(|float| float.fract() == 0.0 && float.abs() < 9e15) {
                *value = (whole as i64).into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_go_and_defaults_come() {
        let schema = json!({"properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "string"},
            "c": {"type": "object", "nullable": true},
            "d": {"default": {}, "properties": {"e": {"default": "x"}}},
        }});
        let mut object = json!({"a": null, "b": null, "c": null});
        complete(&schema, &mut object);
        assert_eq!(object, json!({"a": 1, "c": null, "d": {"e": "x"}}));
        let mut object = json!({"a": 2.0, "d": {"e": 0.5}});
        complete(&schema, &mut object);
        assert_eq!(object, json!({"a": 2, "d": {"e": 0.5}}));
    }
}
