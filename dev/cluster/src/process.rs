//! The cluster's processes: started in its namespace and control group, recorded, found again and ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;
use crate::command::output;
use crate::{Cluster, wait};

/// A long-running program of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
}

impl Spec {
    pub(crate) fn new(name: &str, program: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            program,
            args: Vec::new(),
        }
    }

    /// Adds `--flag=value`.
    pub(crate) fn flag(mut self, flag: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        let mut word = OsString::from(format!("--{flag}="));
        word.push(value);
        self.args.push(word);
        self
    }
}

/// A started process. The start time tells it from a later one that got the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Clock ticks since boot, as the kernel gives them.
    started: u64,
    /// How to start it again.
    spec: Spec,
}

/// Starts a program in the cluster's network namespace and control group; its output goes to its log.
pub(crate) fn spawn(cluster: &Cluster, spec: &Spec) -> Result<()> {
    let log = cluster.logs().join(format!("{}.log", spec.name));
    // A process that is started again goes on in the log of the former one.
    let file = File::options().create(true).append(true).open(&log);
    let file = file.with_context(|| format!("cannot write {}", log.display()))?;
    let entry = Cgroups::of(cluster.name())?.entry()?;
    // The shell joins the group, then becomes the program by a row of execs: the process id stays.
    let child = Command::new("setsid")
        .args([
            "sh",
            "-c",
            r#"echo $$ > "$1" && shift && exec nsenter "$@""#,
            "sh",
        ])
        .arg(entry)
        .arg(format!("--net={}", cluster.netns().display()))
        .arg("--")
        .arg(&spec.program)
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("cannot share a log file")?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", spec.name))?;
    let pid = i32::try_from(child.id()).context("a process id that is none")?;
    let record = Record {
        pid,
        started: started(pid).with_context(|| format!("{} ended at once", spec.name))?,
        spec: spec.clone(),
    };
    let path = records(cluster).join(&spec.name);
    fs::write(&path, serde_json::to_vec(&record)?).with_context(|| format!("cannot write {}", path.display()))
}

/// Kills a recorded process and starts it again as it was started.
pub(crate) fn restart(cluster: &Cluster, name: &str) -> Result<()> {
    let Some(record) = read(&records(cluster).join(name)) else {
        let known: Vec<_> = recorded(cluster).into_iter().map(|(name, _)| name).collect();
        bail!(
            "cluster {} has no process `{name}`; it has: {}",
            cluster.name(),
            known.join(", ")
        );
    };
    kill(cluster, name)?;
    spawn(cluster, &record.spec)
}

/// Fails when a started process has ended, with the end of its log.
pub(crate) fn check(cluster: &Cluster, name: &str) -> Result<()> {
    let alive = read(&records(cluster).join(name)).is_some_and(|record| record.alive());
    if alive {
        return Ok(());
    }
    let log = cluster.logs().join(format!("{name}.log"));
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    bail!(
        "{name} has ended; read {}\n{}",
        log.display(),
        lines[lines.len().saturating_sub(8)..].join("\n")
    )
}

/// The names of the recorded processes, each with whether it runs.
pub(crate) fn recorded(cluster: &Cluster) -> Vec<(String, bool)> {
    let Ok(entries) = fs::read_dir(records(cluster)) else {
        return Vec::new();
    };
    let mut all: Vec<_> = entries
        .flatten()
        .map(|entry| {
            let alive = read(&entry.path()).is_some_and(|record| record.alive());
            (entry.file_name().to_string_lossy().into_owned(), alive)
        })
        .collect();
    all.sort();
    all
}

/// Every process of the cluster: recorded, in its control groups, or in its network namespace.
pub(crate) fn all(cluster: &Cluster) -> Result<Vec<i32>> {
    let mut pids = Cgroups::of(cluster.name())?.members();
    pids.extend(
        fs::read_dir(records(cluster))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| read(&entry.path()))
            .filter(Record::alive)
            .map(|record| record.pid),
    );
    if cluster.netns().exists() {
        let inside = output(Command::new("ip").args(["netns", "pids", cluster.name()]))?;
        pids.extend(inside.lines().filter_map(|line| line.trim().parse::<i32>().ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

/// Kills one recorded process, if it is still the one that was started, and waits for its end.
pub(crate) fn kill(cluster: &Cluster, name: &str) -> Result<()> {
    let path = records(cluster).join(name);
    if let Some(record) = read(&path).filter(Record::alive) {
        signal(&[record.pid])?;
        wait::until(name, Duration::from_secs(10), || {
            if record.alive() {
                bail!("process {} does not end", record.pid)
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Kills every process of the cluster and waits until none is left; new ones that appear meanwhile die too.
pub(crate) fn kill_all(cluster: &Cluster) -> Result<()> {
    wait::until("ending the cluster's processes", Duration::from_secs(20), || {
        let pids: Vec<_> = all(cluster)?.into_iter().filter(|pid| !ended(*pid)).collect();
        if pids.is_empty() {
            return Ok(());
        }
        signal(&pids)?;
        bail!("processes {pids:?} do not end")
    })
}

/// Kills what runs in the pods' control groups (not the cluster's own processes).
pub(crate) fn signal(pids: &[i32]) -> Result<()> {
    let words = pids.iter().map(ToString::to_string);
    let sent = output(Command::new("/bin/kill").arg("-KILL").args(words));
    // One that ended by itself meanwhile is no failure.
    if sent.is_err() && pids.iter().any(|pid| !ended(*pid)) {
        sent.map(drop)
    } else {
        Ok(())
    }
}

fn records(cluster: &Cluster) -> PathBuf {
    cluster.file("processes")
}

fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

impl Record {
    fn alive(&self) -> bool {
        started(self.pid) == Some(self.started) && !ended(self.pid)
    }
}

/// The fields of `/proc/PID/stat` from the state on; the name before them may contain anything.
fn stat(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

/// When a process was started, in clock ticks since boot.
fn started(pid: i32) -> Option<u64> {
    // The state is field 3 of the line, the start time field 22.
    stat(pid)?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether a process is gone, or only waits for its parent to look.
///
/// Its first thread is a zombie as soon as it has ended; what the process holds (the port it listens on) is let go
/// only by the last of its threads.
fn ended(pid: i32) -> bool {
    let Some(stat) = stat(pid) else {
        return true;
    };
    // The number of threads is field 20 of the line; an ended first thread is counted until its parent has looked.
    let threads = stat.split_ascii_whitespace().nth(17);
    stat.starts_with(['Z', 'X']) && threads.is_none_or(|threads| matches!(threads, "0" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_id_is_not_taken_for_the_recorded_process() {
        let pid = i32::try_from(std::process::id()).expect("process id");
        let started = started(pid).expect("own start time");
        let spec = Spec::new("test", PathBuf::from("/bin/true")).flag("a", "b");
        let record = |started| Record {
            pid,
            started,
            spec: spec.clone(),
        };
        assert!(record(started).alive());
        assert!(!record(started + 1).alive());
        let kept = serde_json::to_vec(&record(started)).expect("written");
        assert_eq!(serde_json::from_slice::<Record>(&kept).expect("read").spec, spec);
    }

    #[test]
    fn an_ended_process_is_seen_before_its_parent_looks() {
        let mut child = Command::new("true").spawn().expect("child");
        let pid = i32::try_from(child.id()).expect("process id");
        wait::until("end", Duration::from_secs(5), || {
            if ended(pid) { Ok(()) } else { bail!("runs") }
        })
        .expect("ends");
        child.wait().expect("waited for");
        assert!(ended(pid));
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_has_not_ended() {
        let script = "import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .spawn()
            .expect("child");
        let pid = i32::try_from(child.id()).expect("process id");
        wait::until("end of the first thread", Duration::from_secs(5), || {
            if stat(pid).is_some_and(|stat| stat.starts_with('Z')) {
                Ok(())
            } else {
                bail!("runs")
            }
        })
        .expect("ends");
        let early = ended(pid);
        child.kill().expect("killed");
        child.wait().expect("waited for");
        assert!(!early, "its other thread still ran");
        assert!(ended(pid));
    }
}
