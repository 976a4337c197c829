//! An API that the cluster gets later is found and used, without a restart; when it goes, the platform does not mind.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{children, wait};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, PostParams};
use logistics_operator::child::ChildKind;
use serde_json::json;

const KIND: ChildKind = ChildKind::PodMonitor;
const FOUND_LIMIT: Duration = Duration::from_mins(1);
const REPAIR_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_comes_later_is_used() -> Result<()> {
    let stage = Stage::ready().await?;
    let restarts = stage.operator.restarts().await?;
    let mut platform = stage.platform.clone();
    platform["spec"]["observability"]["prometheus"] = json!({});
    stage.apply(&platform).await?;
    stage.wait_ready().await?;
    let outcome = with_monitors(&stage).await;
    let resource = KIND.resource();
    let name = format!("{}.{}", resource.plural, resource.group);
    let delete = ["delete", "customresourcedefinition", &name, "--ignore-not-found"];
    stage.kubectl.run(&delete).await?;
    outcome?;
    stage.apply(&stage.platform).await?;
    stage.wait_ready().await?;
    ensure!(
        stage.operator.restarts().await? == restarts,
        "the operator was restarted"
    );
    Ok(())
}

async fn with_monitors(stage: &Stage) -> Result<()> {
    let mark = Mark::now(&stage.facts.audit_log)?;
    stage
        .kubectl
        .run_with(&["apply", "-f", "-"], &definition())
        .await?;
    let monitors = children::api(&stage.client, MAIN.namespace, KIND);
    let (monitor, took) = wait::until("the PodMonitor", FOUND_LIMIT, || async {
        // The definition needs a moment until it is served.
        Ok(monitors.get(MAIN.name).await.ok())
    })
    .await?;
    println!("the PodMonitor was made {took:.1?} after its definition");

    // It is a child like any other, once all replicas watch its kind.
    let replicas = stage.operator.pods().await?.len();
    wait::until("the watches of PodMonitors", FOUND_LIMIT, || async {
        let requests = mark.operator_requests()?;
        let opened = requests.iter().filter(|request| {
            let about = &request.object_ref;
            request.verb == "watch" && request.code() == 200 && about.resource == KIND.plural()
        });
        Ok((opened.count() >= replicas).then_some(()))
    })
    .await?;
    let hide = [
        "label",
        "-n",
        MAIN.namespace,
        KIND.name(),
        MAIN.name,
        "app.kubernetes.io/managed-by-",
    ];
    stage.kubectl.run(&hide).await?;
    let wanted = children::applied(KIND, &monitor);
    wait::until("repair of the PodMonitor", REPAIR_LIMIT, || async {
        let now = monitors.get(MAIN.name).await?;
        Ok((children::applied(KIND, &now) == wanted).then_some(()))
    })
    .await?;
    let name = format!("{}-copy", MAIN.name);
    let copy: DynamicObject = serde_json::from_value(json!({
        "apiVersion": KIND.api_version(), "kind": KIND.name(), "spec": monitor.data["spec"],
        "metadata": {
            "name": name, "labels": monitor.labels(), "ownerReferences": monitor.metadata.owner_references,
        },
    }))?;
    monitors.create(&PostParams::default(), &copy).await?;
    wait::until("the end of the copy", REPAIR_LIMIT, || async {
        Ok(monitors.get_opt(&name).await?.is_none().then_some(()))
    })
    .await?;
    Ok(())
}

/// The kind as the API server needs it; its fields are of no matter here.
fn definition() -> String {
    let resource = KIND.resource();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{}.{}", resource.plural, resource.group),
        },
        "spec": {
            "group": resource.group, "scope": "Namespaced",
            "names": {"kind": resource.kind, "plural": resource.plural, "singular": KIND.name().to_lowercase()},
            "versions": [{
                "name": resource.version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
    .to_string()
}
