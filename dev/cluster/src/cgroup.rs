//! The cluster's control groups: whatever it starts stays below them, also when its parent was killed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait;

const ROOT: &str = "/sys/fs/cgroup";
/// Below the cluster's group: its own processes, beside the kubelet's `kubepods`.
const SYSTEM: &str = "system";
/// Where the kubelet puts pods.
const PODS: &str = "kubepods";

/// The groups of one cluster in every hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// The cluster's folder in each hierarchy; exactly one with cgroup v2.
    roots: Vec<PathBuf>,
}

impl Cgroups {
    pub(crate) fn of(name: &str) -> Result<Self> {
        Ok(Self {
            roots: hierarchies()?.into_iter().map(|dir| dir.join(name)).collect(),
        })
    }

    /// Makes the groups. The kubelet insists that its root group exists in every hierarchy.
    pub(crate) fn create(&self) -> Result<()> {
        for root in &self.roots {
            let system = root.join(SYSTEM);
            fs::create_dir_all(&system).with_context(|| format!("cannot make {}", system.display()))?;
        }
        Ok(())
    }

    /// The file that a process writes its id to, to become a member: one hierarchy is enough to be found again.
    pub(crate) fn entry(&self) -> Result<PathBuf> {
        let root = self
            .roots
            .iter()
            .find(|root| root.parent().is_some_and(|dir| dir.ends_with("pids")));
        let root = root
            .or(self.roots.first())
            .context("this machine has no control groups")?;
        Ok(root.join(SYSTEM).join("cgroup.procs"))
    }

    /// Every process in the groups.
    pub(crate) fn members(&self) -> Vec<i32> {
        members(self.roots.iter())
    }

    /// The processes of pods, without the cluster's own.
    pub(crate) fn pod_members(&self) -> Vec<i32> {
        let pods: Vec<_> = self.roots.iter().map(|root| root.join(PODS)).collect();
        members(pods.iter())
    }

    /// The groups that are there.
    pub(crate) fn present(&self) -> Vec<PathBuf> {
        self.roots.iter().filter(|root| root.is_dir()).cloned().collect()
    }

    /// Removes the groups, which must be empty of processes (a dying one still counts for a moment).
    pub(crate) fn remove(&self) -> Result<()> {
        wait::until("removing control groups", Duration::from_secs(10), || {
            for group in self.roots.iter().flat_map(|root| subtree(root)) {
                match fs::remove_dir(&group) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        bail!("{}: {error}", group.display())
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn members<'a>(roots: impl Iterator<Item = &'a PathBuf>) -> Vec<i32> {
    let mut members: Vec<i32> = roots
        .flat_map(|root| subtree(root))
        .filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.trim().parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// The mounted hierarchies: one folder each with cgroup v1, the root itself with v2.
fn hierarchies() -> Result<Vec<PathBuf>> {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        return Ok(vec![PathBuf::from(ROOT)]);
    }
    let entries = fs::read_dir(ROOT).with_context(|| format!("cannot read {ROOT}"))?;
    // `cpu,cpuacct` and the like are links to the same hierarchy.
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect())
}

/// A group and all below it, the deepest first.
fn subtree(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(group) else {
        return Vec::new();
    };
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| subtree(&entry.path()))
        .collect();
    all.push(group.to_path_buf());
    all
}
