//! The fake API server answers as the real one does: the same requests to both, and their answers side by side. The
//! requests are those that the operator sends, and those of the people around it.

mod children;
mod platform;

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
    let mut steps = platform::life(&sample);
    steps.extend(platform::lease());
    let mut kinds = Vec::new();
    for (object, kind) in &objects {
        // One of each kind is enough.
        if !kinds.contains(&kind.name) {
            kinds.push(kind.name.clone());
            steps.extend(children::life(object, kind));
        }
    }
    steps.extend(children::fixed(&objects));
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
