//! The fake API server answers as the real one does: the same requests to both, and their answers side by side. The
//! requests are those that the operator sends, and those of the people around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::body::{Body, to_bytes};
use http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use logistics_operator::api::{LogisticsPlatform, definition};
use logistics_operator::desire::offline;
use logistics_operator::names::MANAGER;
use logistics_operator::validate::validate;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{Kind, Store};
use crate::faults::Faults;
use crate::monitor::Monitor;
use crate::mutant::Mutant;
use crate::wire::{Wire, World};

/// A cluster, real or not, as a script sees it.
struct Side {
    client: Client,
    namespace: String,
    /// What was answered last about each object.
    last: BTreeMap<String, Value>,
}

/// One request of a script. `{uid}` and `{version}` in the body are the object's own, as last answered.
struct Step {
    what: String,
    method: Method,
    kind: Kind,
    name: Option<String>,
    rest: String,
    content: &'static str,
    body: Value,
}

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
struct Seen {
    code: u16,
    reason: String,
    object: Value,
    /// Whether it is another version of the object than the one answered before.
    moved: bool,
    managers: Vec<Value>,
}

impl Side {
    async fn send(&mut self, step: &Step) -> Result<Seen> {
        let Kind {
            group,
            version,
            plural,
            ..
        } = &step.kind;
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let name = step
            .name
            .as_ref()
            .map(|name| format!("/{name}"))
            .unwrap_or_default();
        let uri = format!("{root}/namespaces/{}/{plural}{name}{}", self.namespace, step.rest);
        let key = format!("{plural}{name}");
        let last = self.last.get(&key).cloned().unwrap_or_default();
        let own = |field: &str| last["metadata"][field].as_str().unwrap_or_default().to_owned();
        let body = step.body.to_string();
        let body = body.replace("{namespace}", &self.namespace);
        let body = body
            .replace("{uid}", &own("uid"))
            .replace("{version}", &own("resourceVersion"));
        let body = if step.body.is_null() { String::new() } else { body };
        let request = Request::builder()
            .method(&step.method)
            .uri(uri)
            .header("content-type", step.content);
        let answer = self.client.send(request.body(body.into_bytes().into())?).await?;
        let code = answer.status().as_u16();
        let body = to_bytes(Body::new(answer.into_body()), usize::MAX).await?;
        let text = String::from_utf8_lossy(&body).replace(&self.namespace, "{namespace}");
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let moved = body["metadata"]["resourceVersion"] != last["metadata"]["resourceVersion"];
        if body["metadata"]["uid"].is_string() {
            self.last.insert(key, body.clone());
        }
        let gone =
            body["metadata"]["deletionTimestamp"].is_null() || body["metadata"]["finalizers"].is_null();
        if (step.method == Method::DELETE || step.what.starts_with("let go")) && gone && code == 200 {
            // Some kinds show the object that is gone, others do not.
            return Ok(seen(code, &Value::Null, false));
        }
        Ok(seen(code, &body, moved))
    }
}

/// Takes from an answer what differs from cluster to cluster.
fn seen(code: u16, body: &Value, moved: bool) -> Seen {
    let failed = body["status"] == "Failure";
    let meta = &body["metadata"];
    let mut managers: Vec<Value> = Vec::new();
    for entry in meta["managedFields"].as_array().into_iter().flatten() {
        let mut told = json!({"manager": entry["manager"], "operation": entry["operation"], "part": entry["subresource"]});
        // What an update made is shown by what it takes from others; the real server adds defaults to it.
        if entry["operation"] == "Apply" {
            told["fields"] = entry["fieldsV1"].clone();
        }
        managers.push(told);
    }
    managers.sort_by_key(Value::to_string);
    let mut object = json!({"items": body["items"].as_array().map(Vec::len)});
    if !failed && meta["uid"].is_string() {
        for field in ["name", "labels", "annotations", "finalizers", "generation"] {
            object[field] = meta[field].clone();
        }
        if let Some(labels) = object["labels"].as_object_mut() {
            // The real server gives Jobs labels of its own.
            labels.retain(|name, _| {
                !name.contains("batch.kubernetes.io") && !name.ends_with("-uid") && name != "job-name"
            });
        }
        object["deleting"] = meta["deletionTimestamp"].is_string().into();
        object["replicas"] = body["spec"]["replicas"].clone();
        object["selector"] = body["spec"]["selector"].clone();
        object["data"] = body["data"].clone();
        object["status"] = body["status"].clone();
        if body["kind"] == "Job" {
            object["selector"] = Value::Null;
        }
        // Defaults of the real server.
        if [
            "Service",
            "Job",
            "Deployment",
            "PodDisruptionBudget",
            "HorizontalPodAutoscaler",
        ]
        .contains(&body["kind"].as_str().unwrap_or_default())
        {
            object["status"] = Value::Null;
        }
    }
    Seen {
        code,
        reason: if failed {
            body["reason"].as_str().unwrap_or_default().to_owned()
        } else {
            String::new()
        },
        object,
        moved: moved && meta["uid"].is_string(),
        managers,
    }
}

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

/// What happens to a child in its life.
#[expect(clippy::too_many_lines, reason = "a table")]
fn life(object: &Value, kind: &Kind) -> Vec<Step> {
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
fn fixed(objects: &[(Value, Kind)]) -> Vec<Step> {
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

/// What happens to a platform.
#[expect(clippy::too_many_lines, reason = "a table")]
fn platform(sample: &Value) -> Vec<Step> {
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
fn lease() -> Vec<Step> {
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

async fn install(client: &Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = definition();
    let name = definition.name_any();
    api.patch(
        &name,
        &PatchParams::apply("test").force(),
        &Patch::Apply(&definition),
    )
    .await?;
    let established =
        kube_runtime::wait::await_condition(api, &name, kube_runtime::wait::conditions::is_crd_established());
    tokio::time::timeout(std::time::Duration::from_mins(1), established).await??;
    Ok(())
}

#[tokio::test]
async fn the_fake_answers_as_the_real_one_does() -> Result<()> {
    let server = dev_rig::shared::api_server().await?;
    let client = server.client().await?;
    install(&client).await?;
    let namespace = server.make_namespace("conformance").await?;
    let mut real = Side {
        client,
        namespace,
        last: BTreeMap::new(),
    };
    let world = World {
        store: Store::new(),
        faults: Faults::new(0, Instant::now()),
        monitor: Monitor::new(),
        mutant: Mutant::None,
    };
    let mut fake = Side {
        client: Wire::new(Arc::new(world), 1).client(),
        namespace: "conformance".into(),
        last: BTreeMap::new(),
    };
    let mut sample: Value = serde_norway::from_str(include_str!("../../../charts/samples/acme.yaml"))?;
    sample["metadata"] = json!({"name": "acme", "namespace": "{namespace}"});
    let mut known: LogisticsPlatform = serde_json::from_value(sample.clone())?;
    known.metadata.uid = Some("0b7e5a1c-0000-4000-8000-000000000001".into());
    let mut objects = Vec::new();
    for object in offline(&validate(&known)?) {
        let kind = Kind::all().into_iter().find(|kind| object["kind"] == kind.name);
        objects.push((object, kind.context("an unknown kind")?));
    }
    let mut steps = platform(&sample);
    steps.extend(lease());
    let mut kinds = Vec::new();
    for (object, kind) in &objects {
        // One of each kind is enough.
        if !kinds.contains(&kind.name) {
            kinds.push(kind.name.clone());
            steps.extend(life(object, kind));
        }
    }
    steps.extend(fixed(&objects));
    let mut differences = Vec::new();
    for step in &steps {
        let (of_real, of_fake) = (real.send(step).await?, fake.send(step).await?);
        if of_real.code == 404 && of_real.reason == "NotFound" && of_fake.code == 201 {
            println!(
                "{}: the real API server does not have this kind, nothing to compare",
                step.what
            );
            continue;
        }
        if of_real != of_fake {
            differences.push(format!("{}:\n  real {of_real:?}\n  fake {of_fake:?}", step.what));
        }
    }
    println!("{} requests compared, of {} kinds", steps.len(), kinds.len());
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    Ok(())
}
