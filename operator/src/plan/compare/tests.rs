use proptest::prelude::*;
use serde_json::{Value, json};

use super::{differences, surplus};

fn paths(wanted: &Value, found: &Value) -> Vec<String> {
    differences(wanted, found)
        .into_iter()
        .map(|difference| difference.path)
        .collect()
}

#[test]
fn what_others_add_is_theirs() {
    let wanted = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 2}});
    let found = json!({
        "metadata": {"labels": {"a": "1", "b": "2"}, "annotations": {"c": "3"}},
        "spec": {"replicas": 2, "paused": false}, "status": {},
    });
    assert_eq!(paths(&wanted, &found), Vec::<String>::new());
}

#[test]
fn what_differs_is_named() {
    let cases = [
        (
            json!({"spec": {"replicas": 2}}),
            json!({"spec": {"replicas": 3}}),
            "spec.replicas",
        ),
        (json!({"data": {"a": "b"}}), json!({}), "data"),
        (json!({"args": ["a", "b"]}), json!({"args": ["b", "a"]}), "args.0"),
        (json!({"args": ["a"]}), json!({"args": ["a", "b"]}), "args"),
        (
            json!({"immutable": true}),
            json!({"immutable": false}),
            "immutable",
        ),
        (json!({"readOnly": false}), json!({}), "readOnly"),
    ];
    for (wanted, found, path) in cases {
        assert_eq!(
            paths(&wanted, &found).first().map(String::as_str),
            Some(path),
            "{wanted} {found}"
        );
    }
}

#[test]
fn quantities_are_compared_as_amounts() {
    let wanted = json!({"resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 1}}});
    let found = json!({"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1"}}});
    assert_eq!(paths(&wanted, &found), Vec::<String>::new());
    let other = json!({"resources": {"requests": {"cpu": "501m", "memory": "1Gi"}, "limits": {"cpu": "1"}}});
    assert_eq!(paths(&wanted, &other), ["resources.requests.cpu"]);
}

#[test]
fn items_of_keyed_lists_are_found_by_key() {
    let wanted = json!({"containers": [{"name": "app", "image": "a"}]});
    let found = json!({"containers": [{"name": "sidecar", "image": "s"}, {"name": "app", "image": "a"}]});
    assert_eq!(paths(&wanted, &found), Vec::<String>::new());
    let ports = json!({"ports": [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t"}]});
    let reversed = json!({"ports": [{"port": 53, "protocol": "TCP", "name": "t"}, {"port": 53, "protocol": "UDP", "name": "u"}]});
    assert_eq!(paths(&ports, &reversed), Vec::<String>::new());
}

/// A Service whose selector has a foreign key selects nothing.
#[test]
fn a_selector_is_compared_as_a_whole() {
    let wanted = json!({"spec": {"selector": {"a": "1"}}});
    let found = json!({"spec": {"selector": {"a": "1", "b": "2"}}});
    assert_eq!(paths(&wanted, &found), ["spec.selector"]);
}

#[test]
fn a_field_that_we_own_and_want_no_more_is_surplus() {
    let live = json!({
        "metadata": {
            "labels": {"a": "1", "old": "2"},
            "managedFields": [{
                "manager": "logistics-operator", "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:a": {}, "f:old": {}}},
                    "f:spec": {"f:ports": {"k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}}},
                },
            }],
        },
        "spec": {"ports": [{"port": 1, "protocol": "TCP", "name": "x"}]},
    });
    let wanted =
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"ports": [{"port": 1, "protocol": "TCP"}]}});
    let paths: Vec<_> = surplus(&wanted, &live)
        .into_iter()
        .map(|difference| difference.path)
        .collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(paths[0], "metadata.labels.old");
    assert_eq!(paths[1].rsplit('.').next(), Some("name"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("(name|ports|env|selector|limits|[a-z]{1,4})", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Adds fields that nobody asked for, as defaulting and other writers do; maps that are replaced as a whole are left.
fn decorated(value: &Value, under: &str) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: serde_json::Map<_, _> = map
                .iter()
                .map(|(key, value)| (key.clone(), decorated(value, key)))
                .collect();
            if under != "selector" {
                map.insert("zz-foreign".into(), json!("x"));
            }
            Value::Object(map)
        }
        Value::Array(list) => list.iter().map(|value| decorated(value, "")).collect(),
        other => other.clone(),
    }
}

proptest! {
    /// What was applied is never seen as drift, whatever its shape.
    #[test]
    fn an_object_is_as_wanted_by_itself(value in json_value()) {
        // Amounts that are no amounts never equal anything, which only costs a request.
        prop_assume!(!value.to_string().contains("limits"));
        // Items without a key, or with the same key twice, cannot be told apart; Kubernetes refuses them.
        prop_assume!(!value.to_string().contains("ports") && !value.to_string().contains("env"));
        prop_assert_eq!(differences(&value, &value), vec![]);
        prop_assert_eq!(differences(&value, &decorated(&value, "")), vec![]);
    }

    /// A changed text is always seen.
    #[test]
    fn a_changed_leaf_is_seen(key in "[a-z]{1,5}", text in "[a-z]{1,5}", other in "[A-Z]{1,5}") {
        let (wanted, found) = (json!({"spec": {&key: text}}), json!({"spec": {&key: other}}));
        prop_assert_eq!(differences(&wanted, &found).len(), 1);
    }
}
