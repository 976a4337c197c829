//! A namespace of the shared API server, objects in it, and the program that is tested.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use kube_runtime::wait::{await_condition, conditions};
use logistics_operator::api::{self, LogisticsPlatform};
use logistics_operator::names::{COMPONENT, INSTANCE, MANAGED_BY, MANAGER, REVISION};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::platforms;

/// A namespace of its own.
pub(crate) struct Site {
    pub client: Client,
    pub namespace: String,
}

/// What a run of the program left.
pub(crate) struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Site {
    pub(crate) async fn new(name: &str) -> Result<Self> {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let server = dev_rig::shared::api_server().await?;
        let client = server.client().await?;
        INSTALLED.get_or_try_init(|| install(client.clone())).await?;
        let namespace = server.make_namespace(name).await?;
        let site = Self { client, namespace };
        // Its controller would make it; without it no pod is accepted.
        site.make(
            "/api/v1/namespaces/NS/serviceaccounts",
            json!({"metadata": {"name": "default"}}),
        )
        .await?;
        Ok(site)
    }

    /// Creates an object, with its status where it has one.
    pub(crate) async fn make(&self, path: &str, mut object: Value) -> Result<Value> {
        let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
        let name = object["metadata"]["name"].as_str().context("no name")?.to_owned();
        let made = self
            .send("POST", path, &object)
            .await
            .with_context(|| format!("{path} {name}"))?;
        let Some(status) = status else { return Ok(made) };
        let change = json!({"status": status});
        self.send("PATCH", &format!("{path}/{name}/status"), &change)
            .await
            .with_context(|| format!("status of {path} {name}"))
    }

    /// Sends an object to `/api/v1/…` or `/apis/…`; `NS` stands for the namespace.
    pub(crate) async fn send(&self, method: &str, path: &str, object: &Value) -> Result<Value> {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path.replace("NS", &self.namespace))
            .header("content-type", kind)
            .body(object.to_string().into_bytes())?;
        Ok(self.client.request(request).await?)
    }

    /// A platform with a status.
    pub(crate) async fn platform(&self, status: Value) -> Result<Value> {
        let mut object = platforms::smallest("acme");
        let status = status
            .to_string()
            .replace(".NS.svc", &format!(".{}.svc", self.namespace));
        object["status"] = serde_json::from_str(&status)?;
        self.make(
            "/apis/logistics-platform.io/v1alpha1/namespaces/NS/logisticsplatforms",
            object,
        )
        .await
    }

    /// Runs `kubectl-logistics` as its user does.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let output = self.command(arguments).await?.output().await?;
        Ok(Outcome {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    pub(crate) async fn command(&self, arguments: &[&str]) -> Result<Command> {
        let server = dev_rig::shared::api_server().await?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-logistics"));
        command
            .args(arguments)
            .arg("--kubeconfig")
            .arg(&server.kubeconfig)
            .args(["-n", &self.namespace])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

/// The labels of a component's child.
pub(crate) fn labels(component: &str, revision: &str) -> Value {
    json!({INSTANCE: "acme", MANAGED_BY: MANAGER, COMPONENT: component, REVISION: revision})
}

/// A pod template with one container.
pub(crate) fn template(component: &str, revision: &str) -> Value {
    json!({
        "metadata": {"labels": labels(component, revision)},
        "spec": {"containers": [{"name": component, "image": format!("localhost/logistics/{component}:0.1.0")}]},
    })
}

async fn install(client: Client) -> Result<()> {
    let definition = api::definition();
    let name = definition.name_any();
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let parameters = PatchParams::apply("test").force();
    definitions
        .patch(&name, &parameters, &Patch::Apply(&definition))
        .await?;
    await_condition(definitions, &name, conditions::is_crd_established()).await?;
    // Established comes a moment before the API server answers for the kind.
    let platforms = Api::<LogisticsPlatform>::all(client);
    let mut last = platforms.list(&ListParams::default()).await;
    for _ in 0..600 {
        if last.is_ok() {
            break;
        }
        // How often is asked.
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = platforms.list(&ListParams::default()).await;
    }
    ensure!(last.is_ok(), "{last:?}");
    Ok(())
}
