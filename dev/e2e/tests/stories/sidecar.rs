//! A sidecar that somebody else's webhook puts into pods, or into our Deployments, stays; nobody fights over it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_demo::reach::is_ready;
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, NEIGHBOUR, Stage};
use dev_e2e::webhook::{MARK, SIDECAR, Webhook};
use dev_e2e::{children, wait};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use kube::api::ListParams;
use logistics_operator::child::ChildKind;
use logistics_schemas::Workload;
use serde_json::{Value, json};

const HOOK: &str = "e2e-foreign-sidecar";
const QUIET: Duration = Duration::from_secs(3);
const REST_LIMIT: Duration = Duration::from_mins(1);
const POD_LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_sidecar_stays_and_nobody_fights_over_it() -> Result<()> {
    let stage = Stage::ready().await?;
    let webhook = Webhook::start(&stage.facts.host_ip, &pause_image(&stage).await?).await?;
    let outcome = injected(&stage, &webhook).await;
    let delete = [
        "delete",
        "mutatingwebhookconfiguration",
        HOOK,
        "--ignore-not-found",
    ];
    stage.kubectl.run(&delete).await?;
    outcome?;
    // Its pods have the sidecar; it is in nobody's way when it is gone.
    stage.remove(NEIGHBOUR).await
}

async fn injected(stage: &Stage, webhook: &Webhook) -> Result<()> {
    // Into pods, as a mesh does.
    stage
        .kubectl
        .run_with(&["apply", "-f", "-"], &hook(webhook, "pods", "", MAIN.namespace))
        .await?;
    let mark = Mark::now(&stage.facts.audit_log)?;
    let label = format!(
        "app.kubernetes.io/instance={},app.kubernetes.io/component={}",
        MAIN.name,
        Workload::Analytics
    );
    let count = stage.pods(MAIN.namespace, &label).await?.len();
    let delete = [
        "delete",
        "pods",
        "-n",
        MAIN.namespace,
        "-l",
        &label,
        "--wait=false",
    ];
    stage.kubectl.run(&delete).await?;
    wait::until("pods with the sidecar", POD_LIMIT, || async {
        let pods = stage.pods(MAIN.namespace, &label).await?;
        let good = |pod: &&Pod| is_ready(pod) && has_sidecar(pod);
        Ok((pods.iter().filter(good).count() >= count && pods.len() == count).then_some(()))
    })
    .await?;
    stage.wait_ready().await?;
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let other: Vec<_> = writes
        .iter()
        .filter(|write| write.resource != "logisticsplatforms/status")
        .collect();
    ensure!(
        other.is_empty(),
        "a sidecar in pods made the operator write {other:?}"
    );
    println!("{count} pods have the sidecar, nothing was written");

    // Into the templates of our Deployments: the API server notes such a change as that of whoever wrote.
    let before = webhook.injected();
    stage
        .kubectl
        .run_with(
            &["apply", "-f", "-"],
            &hook(webhook, "deployments", "apps", NEIGHBOUR.namespace),
        )
        .await?;
    stage.apply(&stage.prepare(NEIGHBOUR).await?).await?;
    let took = stage.wait_ready_at(NEIGHBOUR).await?;
    ensure!(webhook.injected() > before, "the webhook was not called");
    println!("Ready with a sidecar in every Deployment after {took:.1?}");
    let mark = Mark::now(&stage.facts.audit_log)?;
    for value in ["example.org/look=here", "example.org/look-"] {
        // Wakes the platform.
        let note = [
            "annotate",
            "-n",
            NEIGHBOUR.namespace,
            "logisticsplatforms",
            NEIGHBOUR.name,
            value,
        ];
        stage.kubectl.run(&note).await?;
    }
    let writes = mark
        .operator_writes_at_rest(NEIGHBOUR.namespace, QUIET, REST_LIMIT)
        .await?;
    ensure!(
        writes.is_empty(),
        "a sidecar in Deployments made the operator write {writes:?}"
    );
    let api = children::api(&stage.client, NEIGHBOUR.namespace, ChildKind::Deployment);
    let deployments = api.list(&ListParams::default()).await?.items;
    ensure!(
        deployments.len() == Workload::ALL.len(),
        "{} Deployments",
        deployments.len()
    );
    for deployment in deployments {
        let template = &deployment.data["spec"]["template"];
        let containers = template["spec"]["containers"].as_array().map_or(0, Vec::len);
        ensure!(
            containers == 2 && template["metadata"]["annotations"][MARK] == "yes",
            "{}: the sidecar is gone: {template}",
            deployment.name_any()
        );
    }
    Ok(())
}

fn has_sidecar(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    pod.metadata.deletion_timestamp.is_none()
        && containers.into_iter().any(|container| container.name == SIDECAR)
        && pod.annotations().contains_key(MARK)
}

fn hook(webhook: &Webhook, resource: &str, group: &str, namespace: &str) -> String {
    let hook: Value = json!({
        "name": "sidecar.example.org",
        "clientConfig": {"url": webhook.url, "caBundle": webhook.ca_bundle},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{
            "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource],
        }],
        "sideEffects": "None", "admissionReviewVersions": ["v1"], "failurePolicy": "Fail",
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": HOOK}, "webhooks": [hook],
    })
    .to_string()
}

/// An image that the node has and that does nothing.
async fn pause_image(stage: &Stage) -> Result<String> {
    let nodes: kube::Api<Node> = kube::Api::all(stage.client.clone());
    let nodes = nodes.list(&ListParams::default()).await?;
    let images = nodes
        .items
        .iter()
        .flat_map(|node| node.status.iter())
        .flat_map(|status| status.images.iter().flatten());
    let mut names = images.flat_map(|image| image.names.iter().flatten());
    let pause = names.find(|name| name.contains("/pause:"));
    pause.cloned().context("the node has no pause image")
}
