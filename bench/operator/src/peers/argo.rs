//! The Argo Rollouts controller.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use dev_tools::Tool;
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::{Peer, Start, install, namespace, pod_template};
use crate::report::Report;

const NAME: &str = "argo-rollouts";

/// Rollouts in one namespace.
const IN_NAMESPACE: usize = 100;

/// Measures the controller with some numbers of Rollouts, in rising order.
pub(crate) async fn run(sizes: &[usize], rest: Duration, report: &mut Report) -> Result<()> {
    let tools = install(Tool::ArgoRollouts).await?;
    let resource = ApiResource {
        group: "argoproj.io".into(),
        version: "v1alpha1".into(),
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "Rollout".into(),
        plural: "rollouts".into(),
    };
    let start = Start {
        program: tools.argo_rollouts(),
        definitions: tools.argo_rollouts_crds(),
        args: vec![
            format!("--metricsPort={}", dev_rig::free_port()?),
            format!("--healthzPort={}", dev_rig::free_port()?),
            "--loglevel=warn".into(),
        ],
    };
    let mut peer = Peer::start(NAME, ("Rollouts", resource, "Healthy"), start).await?;
    peer.idle(report).await?;
    let mut before = 0;
    for all in sizes.iter().copied().filter(|size| *size > 0) {
        let teams: BTreeSet<String> = (before..all).map(team).collect();
        peer.site
            .apply_all(teams.iter().map(|team| namespace(team)))
            .await?;
        let rollouts = (before..all).map(rollout).collect();
        peer.bring_up(before, all, rollouts, report).await?;
        before = all;
    }
    peer.at_rest(rest, before, report).await?;
    peer.restart(before, report).await
}

fn team(number: usize) -> String {
    format!("rollouts-{:02}", number / IN_NAMESPACE)
}

fn rollout(number: usize) -> Value {
    let name = format!("r-{number:04}");
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": name, "namespace": team(number)},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(&name),
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "10s"}}]}},
        },
    })
}
