//! What happens to platforms, and to Leases.

use http::Method;
use logistics_operator::names::MANAGER;
use serde_json::{Value, json};

use super::{JSON, MERGE, Step};
use crate::api::Kind;

/// What happens to a platform.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn life(sample: &Value) -> Vec<Step> {
    let kind = Kind::platform();
    let step =
        |what: &str, method: Method, name: Option<&str>, rest: &str, content: &'static str, body: Value| {
            Step {
                what: format!("{what} platform"),
                method,
                kind: kind.clone(),
                name: name.map(str::to_owned),
                rest: rest.to_owned(),
                content,
                body,
            }
        };
    let acme = Some("acme");
    let with = |version: &str, topic: &str| {
        let mut object = sample.clone();
        object["metadata"]["resourceVersion"] = version.into();
        object["metadata"]["uid"] = "{uid}".into();
        object["status"] = json!({"observedGeneration": 1, "topics": [{"name": topic, "partitions": 3}]});
        object
    };
    let status = format!("/status?fieldManager={MANAGER}");
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}});
    vec![
        step(
            "make the",
            Method::POST,
            None,
            "?fieldManager=kubectl",
            JSON,
            sample.clone(),
        ),
        step(
            "make again the",
            Method::POST,
            None,
            "?fieldManager=kubectl",
            JSON,
            sample.clone(),
        ),
        step("read the", Method::GET, acme, "", JSON, Value::Null),
        step(
            "report on the",
            Method::PUT,
            acme,
            &status,
            JSON,
            with("{version}", "a"),
        ),
        step(
            "report the same on the",
            Method::PUT,
            acme,
            &status,
            JSON,
            with("{version}", "a"),
        ),
        step(
            "report late on the",
            Method::PUT,
            acme,
            &status,
            JSON,
            with("2", "b"),
        ),
        step(
            "change the",
            Method::PATCH,
            acme,
            "?fieldManager=kubectl",
            MERGE,
            json!({"spec": {"version": "0.2.0"}, "status": {"version": "lost"}}),
        ),
        step(
            "hold the",
            Method::PATCH,
            acme,
            "?fieldManager=kubectl",
            MERGE,
            finalizers(json!(["logistics-platform.io/wait"])),
        ),
        step(
            "delete the",
            Method::DELETE,
            acme,
            "",
            JSON,
            json!({"propagationPolicy": "Background"}),
        ),
        step(
            "delete again the",
            Method::DELETE,
            acme,
            "",
            JSON,
            json!({"propagationPolicy": "Background"}),
        ),
        step(
            "report on the deleted",
            Method::PUT,
            acme,
            &status,
            JSON,
            with("{version}", "c"),
        ),
        step(
            "let go the",
            Method::PATCH,
            acme,
            "?fieldManager=kubectl",
            MERGE,
            finalizers(Value::Null),
        ),
        step("read the deleted", Method::GET, acme, "", JSON, Value::Null),
        step(
            "report on the gone",
            Method::PUT,
            acme,
            &status,
            JSON,
            with("{version}", "d"),
        ),
    ]
}

/// Leases, as leader election uses them.
pub(super) fn lease() -> Vec<Step> {
    let kind = Kind::all()
        .into_iter()
        .find(|kind| kind.name == "Lease")
        .expect("there are Leases");
    let object = |version: Option<&str>, holder: &str| {
        let mut object = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "operator"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 10},
        });
        if let Some(version) = version {
            object["metadata"]["resourceVersion"] = version.into();
        }
        object
    };
    let step = |what: &str, method: Method, name: Option<&str>, body: Value| Step {
        what: format!("{what} Lease"),
        method,
        kind: kind.clone(),
        name: name.map(str::to_owned),
        rest: format!("?fieldManager={MANAGER}"),
        content: JSON,
        body,
    };
    let name = Some("operator");
    vec![
        step("read a missing", Method::GET, name, Value::Null),
        step("make the", Method::POST, None, object(None, "a")),
        step("make again the", Method::POST, None, object(None, "b")),
        step("read the", Method::GET, name, Value::Null),
        step("renew the", Method::PUT, name, object(Some("{version}"), "a")),
        step("take over the", Method::PUT, name, object(Some("{version}"), "b")),
        step("renew late the", Method::PUT, name, object(Some("2"), "a")),
    ]
}
