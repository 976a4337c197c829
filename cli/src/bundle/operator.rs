//! The operator that looks after the platform: Deployment, pods, logs, metrics, Lease.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use logistics_operator::names::{ADMIN_PORT, MANAGER};
use serde_json::{Value, json};

use super::collect::Collected;
use super::{Request, logs};

/// Adds what there is of the operator, in whichever namespace it runs.
pub(super) async fn collect(request: &Request, collected: &mut Collected) {
    let client = &request.cluster.client;
    let labels = ListParams::default().labels(&format!("app.kubernetes.io/name={MANAGER}"));
    let deployments = match Api::<Deployment>::all(client.clone()).list(&labels).await {
        Ok(list) => list.items,
        Err(error) => return collected.failed("the operator's Deployment (in all namespaces)", &error),
    };
    if deployments.is_empty() {
        return collected.missing(
            "the operator",
            format!("no Deployment has the label app.kubernetes.io/name={MANAGER}"),
        );
    }
    for deployment in deployments {
        let namespace = deployment.namespace().unwrap_or_default();
        let folder = format!("operator/{namespace}");
        collected.object(
            &format!("{folder}/Deployment/{}", deployment.name_any()),
            typed("apps/v1", "Deployment", &deployment),
        );
        leases(client, &namespace, &folder, collected).await;
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        logs::of_pods(request, &pods, &labels, &folder, collected).await;
        match pods.list(&labels).await {
            Ok(list) => {
                for pod in list {
                    let name = pod.name_any();
                    collected.object(&format!("{folder}/Pod/{name}"), typed("v1", "Pod", &pod));
                    metrics(client, &namespace, &name, &folder, collected).await;
                }
            }
            Err(error) => collected.failed(&format!("the operator's pods in {namespace}"), &error),
        }
    }
}

/// Through the API server, so that the port need not be reachable from here.
async fn metrics(client: &Client, namespace: &str, pod: &str, folder: &str, collected: &mut Collected) {
    let what = format!("metrics of {namespace}/{pod}");
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{ADMIN_PORT}/proxy/metrics");
    let request = match http::Request::get(path).body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return collected.missing(what, error.to_string()),
    };
    match client.request_text(request).await {
        Ok(text) => collected.text(format!("{folder}/metrics/{pod}.txt"), &text),
        Err(error) => collected.failed(&what, &error),
    }
}

async fn leases(client: &Client, namespace: &str, folder: &str, collected: &mut Collected) {
    match Api::<Lease>::namespaced(client.clone(), namespace)
        .list(&ListParams::default())
        .await
    {
        Ok(list) => {
            for lease in list
                .items
                .iter()
                .filter(|lease| lease.name_any().contains("logistics"))
            {
                collected.object(
                    &format!("{folder}/Lease/{}", lease.name_any()),
                    typed("coordination.k8s.io/v1", "Lease", lease),
                );
            }
        }
        Err(error) => collected.failed(&format!("leases in {namespace}"), &error),
    }
}

/// An object with its kind, which objects in lists do not name.
fn typed(api_version: &str, kind: &str, object: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value
}
