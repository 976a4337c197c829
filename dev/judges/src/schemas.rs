//! JSON schemas for kubeconform: of Kubernetes' own kinds from the `OpenAPI` document of the pinned API server, of custom
//! resources from their definitions. In both, a field that is not declared is an error.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A folder of schemas, deleted with this value.
#[derive(Debug)]
pub struct Schemas(TempDir);

impl Schemas {
    /// Writes the schemas of all kinds that objects are of. A kind that neither the document nor a definition knows gets
    /// none, and kubeconform says so.
    pub fn write<'a>(
        openapi: &Value,
        definitions: &[Value],
        objects: impl IntoIterator<Item = &'a Value>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let custom: BTreeMap<_, _> = definitions.iter().flat_map(of_definition).collect();
        let own = own_kinds(openapi);
        for object in objects {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            let id = (text("apiVersion"), text("kind"));
            let schema = match (own.get(&id), custom.get(&id)) {
                (Some(name), _) => of_own_kind(openapi, name),
                (None, Some(schema)) => schema.clone(),
                (None, None) => continue,
            };
            let (group, version) = id.0.split_once('/').unwrap_or((&id.0, &id.0));
            let dir = folder.path().join(group);
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
            let file = dir.join(format!("{}_{version}.json", id.1.to_lowercase()));
            fs::write(&file, schema.to_string())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(Self(folder))
    }

    /// What kubeconform is told. For the core group it names the version as the group.
    pub(crate) fn location(&self) -> String {
        format!(
            "{}/{{{{.Group}}}}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json",
            self.0.path().display()
        )
    }
}

/// `apiVersion` and kind of everything in the document, with the definition's name.
fn own_kinds(openapi: &Value) -> BTreeMap<(String, String), String> {
    let mut kinds = BTreeMap::new();
    for (name, definition) in openapi["definitions"].as_object().into_iter().flatten() {
        if definition["properties"]["metadata"].is_null() {
            continue;
        }
        let ids = definition["x-kubernetes-group-version-kind"].as_array();
        for id in ids.into_iter().flatten() {
            let text = |field: &str| id[field].as_str().unwrap_or_default();
            let version = match text("group") {
                "" => text("version").to_owned(),
                group => format!("{group}/{}", text("version")),
            };
            kinds.insert((version, text("kind").to_owned()), name.clone());
        }
    }
    kinds
}

/// A schema that stands alone: the definition and all that it refers to.
fn of_own_kind(openapi: &Value, name: &str) -> Value {
    let mut needed = Map::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        if needed.contains_key(&name) {
            continue;
        }
        let mut definition = openapi["definitions"][&name].clone();
        if name.ends_with(".api.resource.Quantity") {
            definition = json!({"anyOf": [{"type": "string"}, {"type": "number"}]});
        }
        tighten(&mut definition);
        references(&definition, &mut open);
        needed.insert(name, definition);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("#/definitions/{name}"),
        "definitions": needed,
    })
}

fn references(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value
                    .as_str()
                    .and_then(|text| text.strip_prefix("#/definitions/"))
                {
                    Some(name) if key == "$ref" => into.push(name.to_owned()),
                    _ => references(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// The schemas of a custom resource's versions.
fn of_definition(definition: &Value) -> Vec<((String, String), Value)> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .map(|version| {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // Every object has these; a definition need not say so.
            for field in ["apiVersion", "kind"] {
                schema["properties"][field] = json!({"type": "string"});
            }
            schema["properties"]["metadata"] = json!({"type": "object"});
            tighten(&mut schema);
            schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
            let id = (format!("{group}/{}", text(&version["name"])), kind.clone());
            (id, schema)
        })
        .collect()
}

/// Makes undeclared fields errors, and says in JSON schema what Kubernetes says in words of its own.
fn tighten(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    let either = fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
        || fields.get("format").and_then(Value::as_str) == Some("int-or-string");
    if either {
        fields.remove("type");
        fields.remove("format");
        fields.insert("anyOf".into(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    if fields.get("nullable") == Some(&Value::Bool(true))
        && let Some(kind) = fields.get("type").cloned()
    {
        fields.insert("type".into(), json!([kind, "null"]));
    }
    let open = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") && !open {
        fields.insert("additionalProperties".into(), false.into());
    }
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "definitions", Value::Object(inner)) => {
                inner.values_mut().for_each(tighten);
            }
            ("items" | "additionalProperties", inner) => tighten(inner),
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                // Their branches add conditions to a schema that is closed already.
                for branch in inner.iter_mut().filter(|branch| branch["properties"].is_null()) {
                    tighten(branch);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undeclared_fields_are_closed_out() {
        let mut schema = json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"b": {"type": "string"}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "any": {"type": "object", "properties": {}, "x-kubernetes-preserve-unknown-fields": true},
            "port": {"type": "string", "format": "int-or-string"},
            "list": {"type": "array", "items": {"properties": {"c": {"type": "integer", "nullable": true}}}},
        }});
        tighten(&mut schema);
        assert_eq!(schema["additionalProperties"], false);
        let properties = &schema["properties"];
        assert_eq!(properties["a"]["additionalProperties"], false);
        assert_eq!(properties["labels"]["additionalProperties"]["type"], "string");
        assert!(properties["any"]["additionalProperties"].is_null());
        assert_eq!(properties["port"]["anyOf"][0]["type"], "integer");
        let item = &properties["list"]["items"];
        assert_eq!(item["additionalProperties"], false);
        assert_eq!(item["properties"]["c"]["type"], json!(["integer", "null"]));
    }

    #[test]
    fn a_schema_brings_what_it_refers_to_and_nothing_else() {
        let openapi = json!({"definitions": {
            "A": {"properties": {"metadata": {"$ref": "#/definitions/M"}},
                  "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "A"}]},
            "M": {"properties": {"again": {"$ref": "#/definitions/M"}}},
            "Other": {"properties": {}},
        }});
        let kinds = own_kinds(&openapi);
        assert_eq!(kinds[&("g/v1".to_owned(), "A".to_owned())], "A");
        let schema = of_own_kind(&openapi, "A");
        let names: Vec<_> = schema["definitions"]
            .as_object()
            .expect("definitions")
            .keys()
            .collect();
        assert_eq!(names, ["A", "M"]);
    }
}
