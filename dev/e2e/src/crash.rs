//! A pod's processes, as the machine sees them: ended as a crash does, paused, and looked into.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, Client, ResourceExt as _};
use rustix::process::{Pid, Signal, kill_process};

/// Kills every process of a pod's containers at once (SIGKILL). The kubelet starts the containers again.
pub fn kill(pod: &Pod) -> Result<()> {
    signal(pod, Signal::KILL)
}

/// Stops every process of a pod's containers (SIGSTOP) until [`resume`].
pub fn pause(pod: &Pod) -> Result<()> {
    signal(pod, Signal::STOP)
}

/// Lets a paused pod go on.
pub fn resume(pod: &Pod) -> Result<()> {
    signal(pod, Signal::CONT)
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

/// A file as a pod's container sees it.
pub fn read_file(pod: &Pod, path: &str) -> Result<String> {
    let pids = processes(pod)?;
    let pid = pids
        .first()
        .with_context(|| format!("pod {} has no process", pod.name_any()))?;
    let file = format!("/proc/{}/root{path}", pid.as_raw_nonzero());
    std::fs::read_to_string(&file).with_context(|| format!("read {path} in pod {}", pod.name_any()))
}

/// The command lines and the environments of a pod's processes.
pub fn words(pod: &Pod) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for pid in processes(pod)? {
        for file in ["cmdline", "environ"] {
            // A process may have ended meanwhile.
            all.extend(std::fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())));
        }
    }
    ensure!(!all.is_empty(), "pod {} has no process", pod.name_any());
    Ok(all)
}

fn signal(pod: &Pod, signal: Signal) -> Result<()> {
    for pid in processes(pod)? {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
    Ok(())
}

/// The processes of a pod's containers.
fn processes(pod: &Pod) -> Result<Vec<Pid>> {
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
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && belongs(&entry.path(), &containers)
        {
            pids.push(pid);
        }
    }
    Ok(pids)
}

fn belongs(process: &Path, containers: &[String]) -> bool {
    std::fs::read_to_string(process.join("cgroup")).is_ok_and(|groups| {
        containers
            .iter()
            .any(|container| groups.contains(container.as_str()))
    })
}
