//! What a process costs, read from outside.

use anyhow::{Context as _, Result};

/// Ticks of a process's CPU time in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Where in `/proc/…/stat`, counted from the field after the name, the times of the process are, and those of its
/// children that have ended.
const OWN: [usize; 2] = [11, 12];
const ENDED_CHILDREN: [usize; 2] = [13, 14];

fn read(pid: u32, file: &str) -> Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).with_context(|| format!("process {pid} has ended"))
}

fn seconds(pid: u32, fields: &[usize]) -> Result<f64> {
    let stat = read(pid, "stat")?;
    let all = stat.rsplit_once(") ").context("no name in /proc/…/stat")?.1;
    let all: Vec<&str> = all.split(' ').collect();
    let mut ticks = 0.0;
    for field in fields {
        let text = all.get(*field).context("too few fields in /proc/…/stat")?;
        ticks += text.parse::<f64>()?;
    }
    Ok(ticks / TICKS)
}

/// CPU time of a process so far, in seconds.
pub fn cpu(pid: u32) -> Result<f64> {
    seconds(pid, &OWN)
}

/// CPU time of a process and of all its children, also of those that have ended, in seconds.
pub fn cpu_of_family(parent: u32) -> Result<f64> {
    let mut all = seconds(parent, &[OWN, ENDED_CHILDREN].concat())?;
    for child in read(parent, &format!("task/{parent}/children"))?.split_whitespace() {
        // One that ends at this moment is counted with its parent the next time.
        all += seconds(child.parse()?, &OWN).unwrap_or_default();
    }
    Ok(all)
}

fn memory(pid: u32, field: &str) -> Result<f64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.trim_start_matches(':').trim().strip_suffix(" kB"));
    let kib: f64 = kib
        .with_context(|| format!("no {field} in /proc/…/status"))?
        .trim()
        .parse()?;
    Ok(kib / 1024.0)
}

/// Resident memory of a process, in MiB.
pub fn rss(pid: u32) -> Result<f64> {
    memory(pid, "VmRSS")
}

/// The most resident memory of a process so far, in MiB.
pub fn peak_rss(pid: u32) -> Result<f64> {
    memory(pid, "VmHWM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let pid = std::process::id();
        let begin = std::time::Instant::now();
        let before = cpu(pid).unwrap();
        // On a machine with much else to do it takes a while to get it.
        while cpu(pid).unwrap() < before + 0.03 {
            assert!(
                begin.elapsed() < std::time::Duration::from_mins(1),
                "no CPU time is seen"
            );
        }
        assert!(cpu_of_family(pid).unwrap() >= cpu(pid).unwrap());
        assert!(rss(pid).unwrap() > 1.0);
        assert!(peak_rss(pid).unwrap() > 1.0);
    }
}
