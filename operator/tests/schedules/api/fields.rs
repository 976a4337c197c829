//! Which fields of an object are whose: the sets that the API server keeps as `managedFields`, and the merge of
//! server-side apply.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A field: `f:name` for each name, `k:{…}` for an item of a list, `v:…` for a member of a set, `.` for an item itself.
pub(crate) type Path = Vec<String>;

/// Fields.
pub(crate) type Fields = BTreeSet<Path>;

/// How values are merged.
enum Shape {
    /// As a whole.
    Atomic,
    /// Field by field.
    Granular,
    /// Item by item, told apart by these fields.
    Items(&'static [&'static str]),
    /// Member by member.
    Set,
}

/// The lists whose items are merged, by the last name of their path.
const LISTS: [(&str, &[&str]); 11] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("ownerReferences", &["uid"]),
    ("conditions", &["type"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("hostAliases", &["ip"]),
];

/// Maps that are replaced as a whole.
const ATOMIC: [&str; 11] = [
    "selector",
    "podSelector",
    "namespaceSelector",
    "labelSelector",
    "nodeSelector",
    "fieldRef",
    "secretKeyRef",
    "configMapKeyRef",
    "resourceFieldRef",
    "scaleTargetRef",
    "nodeSelectorTerms",
];

/// Lists of references, whose items are atomic maps.
const ATOMIC_ITEMS: [&str; 3] = ["ownerReferences", "imagePullSecrets", "secrets"];

fn shape(path: &[&str], value: &Value) -> Shape {
    let last = path.last().copied().unwrap_or_default();
    match value {
        Value::Object(_) if ATOMIC.contains(&last) || path == ["data"] => Shape::Atomic,
        Value::Object(_) => Shape::Granular,
        Value::Array(_) if last == "ports" && path.contains(&"containers") => {
            Shape::Items(&["containerPort", "protocol"])
        }
        // Of a NetworkPolicy, ports are inside of lists that are atomic.
        Value::Array(_) if last == "ports" => Shape::Items(&["port", "protocol"]),
        Value::Array(_) if last == "finalizers" => Shape::Set,
        Value::Array(_) => LISTS
            .iter()
            .find(|(name, _)| *name == last)
            .map_or(Shape::Atomic, |(_, keys)| Shape::Items(keys)),
        _ => Shape::Atomic,
    }
}

fn key(item: &Value, keys: &[&str]) -> String {
    let mut fields = Map::new();
    for key in keys {
        if let Some(value) = item.get(key) {
            fields.insert((*key).to_owned(), value.clone());
        }
    }
    format!("k:{}", Value::Object(fields))
}

/// Fields that nobody owns.
fn is_identity(path: &[&str]) -> bool {
    const META: [&str; 9] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    match path {
        ["apiVersion" | "kind"] => true,
        ["metadata", name] => META.contains(name),
        _ => false,
    }
}

/// Looks at the fields of objects of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Schema {
    /// Whether `data` is a map that is merged key by key.
    pub data_is_map: bool,
}

impl Schema {
    /// The fields that an object sets.
    pub(crate) fn set_by(self, object: &Value) -> Fields {
        let mut fields = Fields::new();
        self.walk(&mut Vec::new(), &mut Vec::new(), object, &mut fields);
        fields
    }

    fn shape(self, names: &[&str], value: &Value) -> Shape {
        if self.data_is_map && names == ["data"] {
            return Shape::Granular;
        }
        shape(names, value)
    }

    fn walk<'a>(self, names: &mut Vec<&'a str>, path: &mut Path, value: &'a Value, fields: &mut Fields) {
        if is_identity(names) || value.is_null() {
            return;
        }
        match (self.shape(names, value), value) {
            (Shape::Granular, Value::Object(map)) if !map.is_empty() || names.is_empty() => {
                for (name, inner) in map {
                    names.push(name);
                    path.push(format!("f:{name}"));
                    self.walk(names, path, inner, fields);
                    path.pop();
                    names.pop();
                }
            }
            (Shape::Items(keys), Value::Array(items)) if !items.is_empty() => {
                let atomic = ATOMIC_ITEMS.contains(names.last().unwrap_or(&""));
                for item in items {
                    path.push(key(item, keys));
                    if atomic {
                        fields.insert(path.clone());
                    } else {
                        path.push(".".into());
                        fields.insert(path.clone());
                        path.pop();
                        for (name, inner) in item.as_object().into_iter().flatten() {
                            names.push(name);
                            path.push(format!("f:{name}"));
                            self.walk(names, path, inner, fields);
                            path.pop();
                            names.pop();
                        }
                    }
                    path.pop();
                }
            }
            (Shape::Set, Value::Array(items)) => {
                for item in items {
                    path.push(format!("v:{item}"));
                    fields.insert(path.clone());
                    path.pop();
                }
            }
            _ => {
                fields.insert(path.clone());
            }
        }
    }

    /// Puts what an applied object sets into another.
    pub(crate) fn merge(self, into: &mut Value, applied: &Value) {
        self.merge_at(&mut Vec::new(), into, applied);
    }

    fn merge_at<'a>(self, names: &mut Vec<&'a str>, into: &mut Value, applied: &'a Value) {
        if is_identity(names) && !into.is_null() {
            return;
        }
        match (self.shape(names, applied), applied) {
            (Shape::Granular, Value::Object(map)) => {
                if !into.is_object() {
                    *into = json!({});
                }
                for (name, inner) in map {
                    if inner.is_null() {
                        continue;
                    }
                    names.push(name);
                    self.merge_at(names, &mut into[name.as_str()], inner);
                    names.pop();
                }
            }
            (Shape::Items(keys), Value::Array(items)) => {
                if !into.is_array() {
                    *into = json!([]);
                }
                let Some(list) = into.as_array_mut() else { return };
                let atomic = ATOMIC_ITEMS.contains(names.last().unwrap_or(&""));
                for item in items {
                    let wanted = key(item, keys);
                    match list.iter_mut().find(|found| key(found, keys) == wanted) {
                        Some(found) if atomic => found.clone_from(item),
                        Some(found) => {
                            for (name, inner) in item.as_object().into_iter().flatten() {
                                names.push(name);
                                self.merge_at(names, &mut found[name.as_str()], inner);
                                names.pop();
                            }
                        }
                        None => list.push(item.clone()),
                    }
                }
            }
            (Shape::Set, Value::Array(items)) => {
                if !into.is_array() {
                    *into = json!([]);
                }
                let Some(list) = into.as_array_mut() else { return };
                for item in items {
                    if !list.contains(item) {
                        list.push(item.clone());
                    }
                }
            }
            _ => into.clone_from(applied),
        }
    }
}

/// A field's value.
pub(crate) fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let Some((first, rest)) = path.split_first() else {
        return Some(object);
    };
    let inner = if let Some(name) = first.strip_prefix("f:") {
        object.get(name)?
    } else if let Some(wanted) = first.strip_prefix("k:") {
        let wanted: Value = serde_json::from_str(wanted).ok()?;
        object.as_array()?.iter().find(|item| matches(item, &wanted))?
    } else if let Some(member) = first.strip_prefix("v:") {
        let member: Value = serde_json::from_str(member).ok()?;
        object.as_array()?.iter().find(|item| **item == member)?
    } else {
        object
    };
    get(inner, rest)
}

fn matches(item: &Value, wanted: &Value) -> bool {
    wanted
        .as_object()
        .is_some_and(|keys| keys.iter().all(|(name, value)| item.get(name) == Some(value)))
}

/// Takes a field away, and the maps and lists that are empty then.
pub(crate) fn remove(object: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let last = rest.is_empty() || rest == ["."];
    if let Some(name) = first.strip_prefix("f:") {
        let Some(map) = object.as_object_mut() else { return };
        if last {
            map.remove(name);
        } else if let Some(inner) = map.get_mut(name) {
            remove(inner, rest);
            if inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty) {
                map.remove(name);
            }
        }
        return;
    }
    let Some(list) = object.as_array_mut() else { return };
    let wanted: Value = serde_json::from_str(first.get(2..).unwrap_or_default()).unwrap_or_default();
    let found = list.iter().position(|item| {
        if first.starts_with("k:") {
            matches(item, &wanted)
        } else {
            *item == wanted
        }
    });
    match found {
        Some(index) if last => {
            list.remove(index);
        }
        Some(index) => remove(&mut list[index], rest),
        None => {}
    }
}

/// The fields as an object's `fieldsV1`.
pub(crate) fn to_json(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for element in path {
            let map = at.as_object_mut().expect("only maps are made here");
            at = map.entry(element.clone()).or_insert_with(|| json!({}));
        }
    }
    root
}
