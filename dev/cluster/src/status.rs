//! Whether the cluster runs, and what of it.

use std::fmt::Write;

use anyhow::Result;
use dev_tools::{Tool, install};

use crate::{Cluster, Kubectl, process};

/// Processes, nodes and pods as text, and whether all of the cluster runs.
pub fn status(cluster: &Cluster) -> Result<(String, bool)> {
    let processes = process::recorded(cluster);
    if processes.is_empty() {
        return Ok((format!("cluster {} does not run\n", cluster.name()), false));
    }
    let mut text = format!("cluster {} in {}\n", cluster.name(), cluster.state().display());
    for (name, alive) in &processes {
        writeln!(text, "  {name:<26} {}", if *alive { "runs" } else { "has ended" })?;
    }
    let kubectl = Kubectl::new(&install(&[Tool::Kubernetes])?, cluster.kubeconfig());
    let mut all = processes.iter().all(|(_, alive)| *alive);
    for objects in ["nodes", "pods"] {
        match kubectl.run(&["get", objects, "--all-namespaces"]) {
            Ok(table) => text += &table,
            Err(error) => {
                writeln!(text, "{objects}: {error:#}")?;
                all = false;
            }
        }
    }
    Ok((text, all))
}
