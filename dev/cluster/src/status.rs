//! Whether the cluster runs, and what of it.

use anyhow::Result;
use dev_tools::{Tool, install};

use crate::{Cluster, Kubectl, process};

/// Prints processes, nodes and pods; false when the cluster does not run or a process of it has ended.
pub fn status(cluster: &Cluster) -> Result<bool> {
    let processes = process::recorded(cluster);
    if processes.is_empty() {
        println!("cluster {} does not run", cluster.name());
        return Ok(false);
    }
    println!("cluster {} in {}", cluster.name(), cluster.state().display());
    for (name, alive) in &processes {
        println!("  {name:<26} {}", if *alive { "runs" } else { "has ended" });
    }
    let kubectl = Kubectl::new(&install(&[Tool::Kubernetes])?, cluster.kubeconfig());
    print!("{}", kubectl.run(&["get", "nodes"])?);
    print!("{}", kubectl.run(&["get", "pods", "--all-namespaces"])?);
    Ok(processes.iter().all(|(_, alive)| *alive))
}
