//! What happens to children.

use http::Method;
use logistics_operator::names::MANAGER;
use serde_json::{Value, json};

use super::{APPLY, JSON, MERGE, Step};
use crate::api::Kind;

/// What happens to a child in its life.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn life(object: &Value, kind: &Kind) -> Vec<Step> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let step = |what: &str, method: Method, rest: &str, content: &'static str, body: Value| Step {
        what: format!("{what} {} {name}", kind.name),
        method,
        kind: kind.clone(),
        name: Some(name.clone()),
        rest: rest.to_owned(),
        content,
        body,
    };
    let with = |field: &str, value: &str| {
        let mut object = object.clone();
        object["metadata"][field] = value.into();
        object
    };
    let mut fewer = with("uid", "{uid}");
    if let Some(labels) = fewer["metadata"]["labels"].as_object_mut() {
        labels.remove("app.kubernetes.io/part-of");
    }
    let ours = format!("?fieldManager={MANAGER}&force=true");
    let meta = |fields: Value| json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": fields});
    let theirs = meta(json!({"name": name, "annotations": {"somebody": "x"}, "labels": {"somebody": "x"}}));
    let fight = meta(json!({"name": name, "labels": {"app.kubernetes.io/part-of": "theirs"}}));
    let relabel = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "other"}}});
    let options = |uid: &str| json!({"propagationPolicy": "Background", "preconditions": {"uid": uid}});
    let stranger = "0b7e5a1c-0000-4000-8000-00000000000f";
    vec![
        step("make", Method::PATCH, &ours, APPLY, with("resourceVersion", "1")),
        step(
            "make again",
            Method::PATCH,
            &ours,
            APPLY,
            with("resourceVersion", "1"),
        ),
        step("read", Method::GET, "", JSON, Value::Null),
        step(
            "apply unchanged",
            Method::PATCH,
            &ours,
            APPLY,
            with("uid", "{uid}"),
        ),
        step(
            "apply to a stranger",
            Method::PATCH,
            &ours,
            APPLY,
            with("uid", stranger),
        ),
        step(
            "edit",
            Method::PATCH,
            "?fieldManager=kubectl-edit",
            MERGE,
            relabel.clone(),
        ),
        step(
            "edit to the same",
            Method::PATCH,
            "?fieldManager=kubectl-edit",
            MERGE,
            relabel,
        ),
        step("repair", Method::PATCH, &ours, APPLY, with("uid", "{uid}")),
        step(
            "add to",
            Method::PATCH,
            "?fieldManager=somebody&force=false",
            APPLY,
            theirs,
        ),
        step(
            "fight for",
            Method::PATCH,
            "?fieldManager=somebody-else&force=false",
            APPLY,
            fight.clone(),
        ),
        step(
            "seize",
            Method::PATCH,
            "?fieldManager=somebody-else&force=true",
            APPLY,
            fight,
        ),
        step("take back", Method::PATCH, &ours, APPLY, with("uid", "{uid}")),
        step("give a label up of", Method::PATCH, &ours, APPLY, fewer),
        step(
            "apply again to",
            Method::PATCH,
            &ours,
            APPLY,
            with("uid", "{uid}"),
        ),
        step(
            "delete a stranger instead of",
            Method::DELETE,
            "",
            JSON,
            options(stranger),
        ),
        step("delete", Method::DELETE, "", JSON, options("{uid}")),
        step("delete again", Method::DELETE, "", JSON, options("{uid}")),
        step("read the deleted", Method::GET, "", JSON, Value::Null),
        step(
            "apply to the deleted",
            Method::PATCH,
            &ours,
            APPLY,
            with("uid", "{uid}"),
        ),
        step(
            "make anew",
            Method::PATCH,
            &ours,
            APPLY,
            with("resourceVersion", "1"),
        ),
    ]
}

/// Fields that never change.
pub(super) fn fixed(objects: &[(Value, Kind)]) -> Vec<Step> {
    let changes = [
        ("ConfigMap", json!({"data": {"more": "x"}})),
        ("Secret", json!({"type": "Opaque"})),
        ("ControllerRevision", json!({"data": {"more": "x"}})),
        (
            "Deployment",
            json!({"spec": {"selector": {"matchLabels": {"more": "x"}}}}),
        ),
    ];
    let mut steps = Vec::new();
    for (kind, change) in changes {
        let Some((object, kind)) = objects.iter().find(|(_, known)| known.name == kind) else {
            continue;
        };
        steps.push(Step {
            what: format!("change the unchangeable of {}", kind.name),
            method: Method::PATCH,
            kind: kind.clone(),
            name: object["metadata"]["name"].as_str().map(str::to_owned),
            rest: "?fieldManager=kubectl-edit".into(),
            content: MERGE,
            body: change,
        });
    }
    steps
}
