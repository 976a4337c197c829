use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::ToolError;

/// How often a long step says that it is still at work.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How many of the log's last lines a failure shows.
const TAIL_LINES: usize = 15;

/// One named piece of work: it reports progress with elapsed time on stderr and keeps its programs' output in
/// a log file.
#[derive(Debug)]
pub struct Step {
    name: String,
    log: PathBuf,
    started: Instant,
}

impl Step {
    /// Starts a step and says so. Its log, emptied first, is `<logs>/<name with dashes>.log`.
    pub fn start(name: &str, logs: &Path) -> Result<Self, ToolError> {
        let log = logs.join(format!("{}.log", name.replace([' ', '/', ':'], "-")));
        fs::create_dir_all(logs).map_err(ToolError::at(logs))?;
        File::create(&log).map_err(ToolError::at(&log))?;
        eprintln!("• {name} …");
        Ok(Self {
            name: name.to_owned(),
            log,
            started: Instant::now(),
        })
    }

    /// The file that receives the programs' output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Runs a program to its end with no input and its output in the log; an exit code other than 0 is an error that
    /// names the log.
    pub fn run(&self, command: &mut Command) -> Result<(), ToolError> {
        let open = || {
            File::options()
                .append(true)
                .open(&self.log)
                .map_err(ToolError::at(&self.log))
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .spawn()
            .map_err(|source| ToolError::Start {
                step: self.name.clone(),
                program: program.clone(),
                source,
            })?;
        let (ended, end) = channel();
        thread::spawn(move || ended.send(child.wait()));
        let status = loop {
            match end.recv_timeout(HEARTBEAT) {
                Ok(status) => break status.map_err(ToolError::at(&self.log))?,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("  {} … {} so far", self.name, elapsed(self.started));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed(&format!("{program} was lost")));
                }
            }
        };
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(&format!("{program}: {status}")))
        }
    }

    /// Says that the step is done, and how long it took.
    pub fn done(self) {
        eprintln!("✓ {} ({})", self.name, elapsed(self.started));
    }

    /// The error of this step, with the end of its log.
    #[must_use]
    pub fn failed(&self, status: &str) -> ToolError {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        ToolError::Failed {
            step: self.name.clone(),
            status: status.to_owned(),
            log: self.log.clone(),
            tail,
        }
    }
}

/// The time since `start` as a reader wants it: `4.2 s`, `3 min 05 s`.
#[must_use]
pub fn elapsed(start: Instant) -> String {
    let time = start.elapsed();
    match time.as_secs() {
        seconds @ 60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", time.as_secs_f32()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_names_its_log_and_shows_the_end() {
        let logs = tempfile::tempdir().expect("temporary folder");
        let step = Step::start("break it", logs.path()).expect("step");
        let error = step
            .run(Command::new("sh").args(["-c", "echo the reason; exit 3"]))
            .expect_err("fails");
        let text = error.to_string();
        assert!(
            text.contains("break-it.log") && text.contains("the reason"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let logs = tempfile::tempdir().expect("temporary folder");
        let step = Step::start("absent", logs.path()).expect("step");
        let error = step
            .run(&mut Command::new("no-such-program-here"))
            .expect_err("fails");
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
