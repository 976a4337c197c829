//! Kills one of the cluster's processes and starts it again, as an administrator or a crash does.

use std::time::Duration;

use anyhow::Result;
use dev_tools::{Tool, install};

use crate::{Cluster, Kubectl, process, wait};

const READY_LIMIT: Duration = Duration::from_mins(1);

/// Restarts a process that `dev up` has started, and waits until the API server answers.
pub fn restart(cluster: &Cluster, name: &str) -> Result<()> {
    process::restart(cluster, name)?;
    let kubectl = Kubectl::new(&install(&[Tool::Kubernetes])?, cluster.kubeconfig());
    wait::until("the API server after a restart", READY_LIMIT, || {
        process::check(cluster, name)?;
        kubectl.run(&["get", "--raw", "/readyz"])
    })?;
    Ok(())
}
