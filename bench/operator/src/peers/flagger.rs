//! Flagger, with plain Services (its provider `kubernetes`).

use std::time::Duration;

use anyhow::Result;
use dev_tools::Tool;
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::{Peer, Start, install, namespace, pod_template};
use crate::report::Report;

const NAME: &str = "flagger";

const NAMESPACE: &str = "canaries";

/// Measures Flagger with a number of Canaries.
pub(crate) async fn run(canaries: usize, rest: Duration, report: &mut Report) -> Result<()> {
    let tools = install(Tool::Flagger).await?;
    let resource = ApiResource {
        group: "flagger.app".into(),
        version: "v1beta1".into(),
        api_version: "flagger.app/v1beta1".into(),
        kind: "Canary".into(),
        plural: "canaries".into(),
    };
    let start = Start {
        program: tools.flagger(),
        definitions: tools.flagger_crds(),
        args: vec![
            format!("--port={}", dev_rig::free_port()?),
            "--mesh-provider=kubernetes".into(),
            "--log-level=warning".into(),
            "--metrics-server=http://127.0.0.1:9".into(),
        ],
    };
    let mut peer = Peer::start(NAME, ("Canaries", resource, "Initialized"), start).await?;
    peer.idle(report).await?;
    peer.site.apply(&namespace(NAMESPACE)).await?;
    peer.site.apply_all((0..canaries).map(target)).await?;
    let objects = (0..canaries).map(canary).collect();
    peer.bring_up(0, canaries, objects, report).await?;
    peer.at_rest(rest, canaries, report).await?;
    peer.restart(canaries, report).await
}

fn target(number: usize) -> Value {
    let name = format!("c-{number:04}");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": pod_template(&name)},
    })
}

fn canary(number: usize) -> Value {
    let name = format!("c-{number:04}");
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 8080},
            "analysis": {"interval": "30s", "threshold": 2, "iterations": 2},
        },
    })
}
