//! What libFuzzer tells while it runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus};

use anyhow::{Context as _, Result, bail};
use logistics_fuzz::{Target, kept};

use crate::report::{Finding, Row};

/// The figures of a line of progress, such as `#4096 pulse cov: 12 ft: 34 corp: 5/60b lim: 7 exec/s: 2048 rss: 40Mb`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    edges: u64,
    features: u64,
    corpus: u64,
}

/// All that was told.
#[derive(Debug, Default)]
struct Told {
    progress: Progress,
    executions: u64,
    per_second: u64,
    panic: Option<String>,
    input: Option<String>,
}

/// An engine that runs.
#[derive(Debug)]
pub(crate) struct Watch {
    told: Told,
    status: ExitStatus,
}

impl Watch {
    /// Listens until the engine ends.
    pub(crate) fn of(mut child: Child) -> Result<Self> {
        let stderr = child.stderr.take().context("the engine has no standard error")?;
        let mut told = Told::default();
        for line in BufReader::new(stderr).split(b'\n') {
            told.hear(&String::from_utf8_lossy(&line?));
        }
        Ok(Self {
            told,
            status: child.wait()?,
        })
    }

    pub(crate) fn row(self, target: &Target) -> Result<Row> {
        let Self { told, status } = self;
        let finding = match told.input {
            Some(input) => Some(Finding {
                input: Some(input),
                message: told
                    .panic
                    .unwrap_or_else(|| "no panic: a limit of time or memory, or a signal".to_owned()),
            }),
            None if status.success() => None,
            // Nobody is left to tell when the stack is exhausted.
            None if told.progress != Progress::default() => Some(Finding {
                input: None,
                message: format!("the engine ended with {status} and left no input: the stack is exhausted?"),
            }),
            None => bail!(
                "the engine ended with {status}: {}",
                told.panic.unwrap_or_default()
            ),
        };
        Ok(Row {
            target: target.name,
            executions: told.executions,
            per_second: told.per_second,
            edges: told.progress.edges,
            features: told.progress.features,
            corpus: told.progress.corpus,
            kept: kept::files(&kept::corpus(target))?.len(),
            finding,
        })
    }
}

impl Told {
    fn hear(&mut self, line: &str) {
        if let Some(progress) = progress(line) {
            self.progress = progress;
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or_default();
        } else if let Some(rate) = line.strip_prefix("stat::average_exec_per_sec:") {
            self.per_second = rate.trim().parse().unwrap_or_default();
        } else if let Some((_, input)) = line.split_once("Test unit written to ") {
            self.input = Some(input.trim().to_owned());
        } else if line.contains("panicked at ") {
            self.panic = Some(line.trim().to_owned());
        } else if let Some(panic) = &mut self.panic
            && panic.ends_with(':')
        {
            // What the panic says comes in the next line.
            *panic = format!("{panic} {}", line.trim());
        } else if line.starts_with("SUMMARY: ") && self.panic.is_none() {
            self.panic = Some(line.trim().to_owned());
        }
    }
}

fn progress(line: &str) -> Option<Progress> {
    let mut words = line.strip_prefix('#')?.split_whitespace();
    let mut after = |name: &str| words.find(|word| *word == name).and_then(|_| words.next());
    let edges = after("cov:")?.parse().ok()?;
    let features = after("ft:")?.parse().ok()?;
    let corpus = after("corp:")?.split('/').next()?.parse().ok()?;
    Some(Progress {
        edges,
        features,
        corpus,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_progress_and_the_sums_are_heard() {
        let mut told = Told::default();
        for line in [
            "INFO: Running with entropic power schedule (0xFF, 100).",
            "#2\tINITED cov: 1 ft: 1 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#4096\tpulse  cov: 12 ft: 34 corp: 5/60b lim: 7 exec/s: 2048 rss: 40Mb",
            "stat::number_of_executed_units: 5000",
            "stat::average_exec_per_sec:     2500",
        ] {
            told.hear(line);
        }
        let expected = Progress {
            edges: 12,
            features: 34,
            corpus: 5,
        };
        assert_eq!(
            (told.progress, told.executions, told.per_second),
            (expected, 5000, 2500)
        );
        assert_eq!((told.panic, told.input), (None, None));
    }

    #[test]
    fn a_finding_is_its_input_and_its_panic() {
        let mut told = Told::default();
        for line in [
            "thread '<unnamed>' (1) panicked at fuzz/src/targets/avro.rs:7:9:",
            "an event changes",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "SUMMARY: libFuzzer: deadly signal",
            "artifact_prefix='x/'; Test unit written to x/crash-1",
        ] {
            told.hear(line);
        }
        assert_eq!(told.input.as_deref(), Some("x/crash-1"));
        assert!(told.panic.unwrap().ends_with("avro.rs:7:9: an event changes"));
    }
}
