//! What a cluster leaves on the machine: found by looking, so that a run that was killed is cleaned up as well.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cgroup::Cgroups;
use crate::command::output;
use crate::{Cluster, process};

/// Where containerd's shims listen, whatever containerd's own folders are.
const SHIM_SOCKETS: &str = "/run/containerd/s";
/// Where the kubelet links container logs, whatever its own folders are.
const CONTAINER_LOGS: &str = "/var/log/containers";
/// Where the CNI library keeps results, whatever the plugins' own folders are.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// Everything of the cluster that is still on the machine, one line each; empty after a complete tear-down.
pub fn find(cluster: &Cluster) -> Result<Vec<String>> {
    let mut found = Vec::new();
    found.extend(process::all(cluster)?.iter().map(|pid| format!("process {pid}")));
    found.extend(
        mounts(cluster)?
            .iter()
            .map(|path| format!("mount {}", path.display())),
    );
    found.extend(
        Cgroups::of(cluster.name())?
            .present()
            .iter()
            .map(|path| format!("control group {}", path.display())),
    );
    if cluster.netns().exists() {
        found.push(format!("network namespace {}", cluster.name()));
    }
    if interface_exists(cluster) {
        found.push(format!("network interface {}", cluster.name()));
    }
    found.extend(
        firewall_rules(cluster)
            .into_iter()
            .map(|rule| format!("firewall rule {rule}")),
    );
    found.extend(
        strays(cluster)
            .iter()
            .map(|path| format!("file {}", path.display())),
    );
    if cluster.run().exists() {
        found.push(format!("folder {}", cluster.run().display()));
    }
    Ok(found)
}

/// Removes everything of the cluster but its image store and logs, in the order that lets go of things.
pub(crate) fn remove(cluster: &Cluster) -> Result<()> {
    process::kill_all(cluster)?;
    for path in mounts(cluster)? {
        output(Command::new("umount").arg("--lazy").arg(&path))?;
    }
    // Only while containerd's folders are there can the shims' sockets be told from others'.
    for path in strays(cluster) {
        remove_file(&path)?;
    }
    if cluster.netns().exists() {
        output(Command::new("ip").args(["netns", "del", cluster.name()]))?;
    }
    if interface_exists(cluster)
        && let Err(error) = output(Command::new("ip").args(["link", "del", cluster.name()]))
        // The namespace takes its end of the pair along, a moment after its own end.
        && interface_exists(cluster)
    {
        return Err(error);
    }
    Cgroups::of(cluster.name())?.remove()?;
    if !cluster.image_store_clean().exists() {
        remove_dir(&cluster.image_store())?;
    }
    for entry in fs::read_dir(cluster.state()).into_iter().flatten().flatten() {
        let path = entry.path();
        let kept = [cluster.image_store(), cluster.image_store_clean(), cluster.logs()];
        if !kept.contains(&path) {
            remove_any(&path)?;
        }
    }
    remove_dir(cluster.run())
}

/// Mount points below the cluster's folders, the deepest first.
fn mounts(cluster: &Cluster) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    Ok(mount_points(&table, &[cluster.state(), cluster.run()]))
}

fn mount_points(table: &str, below: &[&Path]) -> Vec<PathBuf> {
    // The fifth field; blanks in it are written as \040.
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| path.replace("\\040", " "));
    let mut points: Vec<_> = points
        .map(PathBuf::from)
        .filter(|path| below.iter().any(|dir| path.starts_with(dir)))
        .collect();
    points.sort();
    points.reverse();
    points
}

fn interface_exists(cluster: &Cluster) -> bool {
    Path::new("/sys/class/net").join(cluster.name()).exists()
}

/// Rules of the host's firewall that name the cluster: none is ever made, and this proves it.
fn firewall_rules(cluster: &Cluster) -> Vec<String> {
    let rules = output(&mut Command::new("iptables-save")).unwrap_or_default();
    rules
        .lines()
        .filter(|rule| rule.contains(cluster.name()))
        .map(str::to_owned)
        .collect()
}

/// Files in folders that are shared by the whole machine.
fn strays(cluster: &Cluster) -> Vec<PathBuf> {
    let mut strays = shim_sockets(cluster);
    strays.extend(
        entries(Path::new(CONTAINER_LOGS))
            .into_iter()
            .filter(|link| fs::read_link(link).is_ok_and(|target| target.starts_with(cluster.state()))),
    );
    let run = cluster.run().to_string_lossy();
    strays.extend(
        entries(Path::new(CNI_RESULTS))
            .into_iter()
            // A result names the pod's network namespace, which is among the cluster's files.
            .filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(run.as_ref()))),
    );
    strays.sort();
    // The containers of a pod share a shim.
    strays.dedup();
    strays
}

/// The sockets named in containerd's own records of its shims.
fn shim_sockets(cluster: &Cluster) -> Vec<PathBuf> {
    let tasks = cluster
        .run()
        .join("containerd/io.containerd.runtime.v2.task/k8s.io");
    entries(&tasks)
        .iter()
        .filter_map(|task| fs::read_to_string(task.join("address")).ok())
        .filter_map(|address| address.trim().strip_prefix("unix://").map(PathBuf::from))
        .filter(|socket| socket.starts_with(SHIM_SOCKETS) && socket.exists())
        .collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn remove_dir(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn remove_any(path: &Path) -> Result<()> {
    if path.is_dir() && !path.is_symlink() {
        return remove_dir(path);
    }
    remove_file(path)
}

/// Removes a file that may vanish by itself meanwhile, as a dying shim's socket does.
fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_comes_first_and_others_are_left_alone() {
        let table = "1 2 0:1 / / rw - ext4 a rw\n3 1 0:2 / /c/lp-1/a rw - tmpfs b rw\n\
                     4 3 0:3 / /c/lp-1/a/b\\040c rw - tmpfs b rw\n5 1 0:4 / /c/lp-10/a rw - tmpfs b rw\n";
        let points = mount_points(table, &[Path::new("/c/lp-1"), Path::new("/run/x")]);
        assert_eq!(
            points,
            [PathBuf::from("/c/lp-1/a/b c"), PathBuf::from("/c/lp-1/a")]
        );
    }
}
