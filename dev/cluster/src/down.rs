//! Takes the cluster down and leaves nothing on the machine but files in the cache.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dev_tools::{Cache, elapsed};

use crate::cgroup::Cgroups;
use crate::up::{lock, must_be_root};
use crate::{Cluster, leftovers, node, pki, process, wait};

/// Ends every process and removes every mount, interface, namespace and control group, then looks again.
pub fn down(cluster: &Cluster) -> Result<()> {
    must_be_root()?;
    let started = Instant::now();
    let _lock = lock(cluster, &Cache::locate()?)?;
    if leftovers::find(cluster)?.is_empty() {
        eprintln!("✓ cluster {} does not run", cluster.name());
        return Ok(());
    }
    clear(cluster)?;
    let left = leftovers::find(cluster)?;
    if !left.is_empty() {
        bail!(
            "still there after the cluster was taken down:\n{}",
            left.join("\n")
        );
    }
    eprintln!("✓ cluster {} is gone ({})", cluster.name(), elapsed(started));
    Ok(())
}

/// Removes whatever is there of the cluster; keeps its images when its containerd still answers.
pub(crate) fn clear(cluster: &Cluster) -> Result<()> {
    if process::check(cluster, "containerd").is_ok()
        && let Err(error) = keep_images(cluster)
    {
        eprintln!("  images will be imported again by the next start: {error:#}");
    }
    leftovers::remove(cluster)
}

/// Removes the containers from containerd's store, so that it holds images only and the next start can use it.
fn keep_images(cluster: &Cluster) -> Result<()> {
    // Nobody may start anything while the pods end.
    process::kill(cluster, "kubelet")?;
    let cgroups = Cgroups::of(cluster.name())?;
    wait::until("ending the pods", Duration::from_secs(20), || {
        let pods = cgroups.pod_members();
        if pods.is_empty() {
            return Ok(());
        }
        process::signal(&pods)?;
        bail!("processes {pods:?} do not end")
    })?;
    wait::until("removing the containers", Duration::from_secs(20), || {
        for task in ids(cluster, "tasks")? {
            // It may be gone by now: containerd removes the tasks of killed processes itself.
            let _ = node::ctr(cluster, &["tasks", "delete", "--force", &task]);
        }
        let containers = ids(cluster, "containers")?;
        if containers.is_empty() {
            return Ok(());
        }
        let words = ["containers", "delete"]
            .into_iter()
            .chain(containers.iter().map(String::as_str));
        node::ctr(cluster, &words.collect::<Vec<_>>()).map(drop)
    })?;
    process::kill(cluster, "containerd")?;
    pki::write(&cluster.image_store_clean(), "")
}

/// What containerd has of a kind.
fn ids(cluster: &Cluster, kind: &str) -> Result<Vec<String>> {
    let list = node::ctr(cluster, &[kind, "ls", "-q"])?;
    Ok(list
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}
