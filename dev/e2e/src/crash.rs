//! Ends pods as a crash does.

use std::path::Path;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, Client, ResourceExt as _};
use rustix::process::{Pid, Signal, kill_process};

/// Kills every process of a pod's containers at once (SIGKILL). The kubelet starts the containers again.
pub fn kill(pod: &Pod) -> Result<()> {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let containers: Vec<String> = statuses
        .filter_map(|status| status.container_id.as_ref()?.split_once("://"))
        .map(|(_, id)| id.to_owned())
        .collect();
    ensure!(
        !containers.is_empty(),
        "pod {} has no container yet",
        pod.name_any()
    );
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        if belongs(&entry.path(), &containers) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// Kills a pod's processes, and deletes the pod: its owner makes another, without the kubelet's growing pause between
/// restarts.
pub async fn kill_and_replace(client: &Client, pod: &Pod) -> Result<()> {
    kill(pod)?;
    let namespace = pod.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
        .await?;
    Ok(())
}

fn belongs(process: &Path, containers: &[String]) -> bool {
    std::fs::read_to_string(process.join("cgroup")).is_ok_and(|groups| {
        containers
            .iter()
            .any(|container| groups.contains(container.as_str()))
    })
}
