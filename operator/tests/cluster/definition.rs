//! What the definition promises about its fields, and where its text is.

use logistics_operator::api;
use serde_json::Value;

/// The chart links to the one file, so that it cannot ship another.
#[test]
fn the_chart_ships_the_current_definition() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../charts/logistics-operator/crds/logisticsplatforms.yaml"
    );
    let remedy = "run: logistics-operator crd > crds/logisticsplatforms.yaml";
    assert!(
        std::fs::read_to_string(path).unwrap() == api::to_yaml().unwrap(),
        "not current; {remedy}"
    );
}

/// Every text, number and list has a bound: the API server's limit on the cost of rules counts on it.
#[test]
fn every_field_is_bounded() {
    let definition = serde_json::to_value(api::definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut wrong = Vec::new();
    walk("spec", schema, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn walk(path: &str, schema: &Value, wrong: &mut Vec<String>) {
    let has = |name: &str| schema.get(name).is_some();
    let bounded = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum"),
        Some("integer" | "number") => has("minimum") && has("maximum"),
        Some("array") => has("maxItems"),
        _ => true,
    };
    if !bounded {
        wrong.push(format!("{path} has no bound"));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), inner, wrong);
    }
    if let Some(items) = schema.get("items") {
        walk(&format!("{path}[]"), items, wrong);
    }
}
