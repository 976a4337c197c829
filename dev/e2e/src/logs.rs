//! Keeps what containers write: the kubelet deletes the log of a pod with the pod.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_cluster::Cluster;

/// A pod that lives shorter leaves no log.
const INTERVAL: Duration = Duration::from_millis(250);

static KEEPING: Once = Once::new();

/// Links every container's log into a folder of the cluster, from now on until the process ends. A link shows what is
/// written later, too.
pub fn keep() -> Result<()> {
    let cluster = Cluster::locate()?;
    let kept = folder(&cluster);
    fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
    KEEPING.call_once(|| {
        std::thread::spawn(move || {
            loop {
                link_all(&cluster.pod_logs(), &kept);
                std::thread::sleep(INTERVAL);
            }
        });
    });
    Ok(())
}

/// All that was kept.
pub fn kept() -> Result<Vec<PathBuf>> {
    let cluster = Cluster::locate()?;
    link_all(&cluster.pod_logs(), &folder(&cluster));
    Ok(entries(&folder(&cluster)))
}

fn folder(cluster: &Cluster) -> PathBuf {
    cluster.file("e2e-logs")
}

/// `POD/CONTAINER/N.log` becomes `POD__CONTAINER__N.log`.
fn link_all(from: &Path, to: &Path) {
    for pod in entries(from) {
        for container in entries(&pod) {
            for log in entries(&container) {
                let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
                let parts: Vec<String> = [&pod, &container, &log]
                    .iter()
                    .filter_map(|path| name(path))
                    .collect();
                // It is there already, or the pod has gone meanwhile.
                let _ = fs::hard_link(&log, to.join(parts.join("__")));
            }
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_outlives_its_pod_and_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("ns_pod_uid/main")).expect("folder");
        fs::create_dir_all(&to).expect("folder");
        let log = from.join("ns_pod_uid/main/0.log");
        fs::write(&log, "one").expect("written");
        link_all(&from, &to);
        fs::File::options()
            .append(true)
            .open(&log)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b" two"))
            .expect("written");
        link_all(&from, &to);
        fs::remove_dir_all(&from).expect("removed");
        let kept = fs::read_to_string(to.join("ns_pod_uid__main__0.log")).expect("kept");
        assert_eq!(kept, "one two");
    }
}
