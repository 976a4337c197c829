//! The engine: built with the coverage of every branch and comparison, and driven by libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use logistics_fuzz::{Target, kept};

use crate::report::Row;
use crate::session::Watch;

/// Beside the folders of other builds, which have other flags.
const FOLDER: &str = "fuzz";
/// The passes of the compiler that libFuzzer needs, as `cargo fuzz --sanitizer none` asks for them; all are there in a stable
/// toolchain. There is no unsafe code of ours that a sanitizer, which is not, would look at.
const PASSES: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
];
/// An input that takes longer is a finding, in seconds.
const LONGEST: u32 = 10;
/// So is one that needs more memory, in mebibytes.
const MOST_MEMORY: u32 = 1_024;

/// The program.
#[derive(Debug)]
pub(crate) struct Engine {
    program: PathBuf,
    /// Where inputs are gathered from run to run.
    work: PathBuf,
}

impl Engine {
    /// Builds it, unless it is there.
    pub(crate) fn build() -> Result<Self> {
        let folder = target_folder()?.join(FOLDER);
        let triple = host()?;
        eprintln!("• building the engine …");
        let status = Command::new(cargo())
            .args([
                "build",
                "--quiet",
                "--package",
                "logistics-fuzz",
                "--bin",
                "engine",
            ])
            .args(["--features", "engine", "--profile", "fuzz"])
            // With a target named, build scripts and macros are built without the passes.
            .args(["--target", &triple, "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", PASSES.join("\x1f"))
            .status()
            .context("start cargo")?;
        ensure!(
            status.success(),
            "the engine could not be built; the reason is above"
        );
        Ok(Self {
            program: folder.join(triple).join("fuzz/engine"),
            work: folder.join("corpus"),
        })
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("FUZZ_TARGET", target)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Feeds a target for some time, or until a promise is broken.
    pub(crate) fn feed(&self, target: &Target, time: Duration) -> Result<Row> {
        let work = self.work.join(target.name);
        let (corpus, findings) = (kept::corpus(target), kept::findings(target));
        for folder in [&work, &corpus, &findings] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        for (number, seed) in target.seeds().into_iter().enumerate() {
            fs::write(work.join(format!("seed-{number}")), seed)?;
        }
        let child = self
            .command(target.name)
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={}", target.longest))
            .arg(format!("-timeout={LONGEST}"))
            .arg(format!("-rss_limit_mb={MOST_MEMORY}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg("-print_final_stats=1")
            .args([&work, &corpus])
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        let row = Watch::of(child)?.row(target)?;
        // Only findings have a folder.
        let _ = fs::remove_dir(&findings);
        Ok(row)
    }

    /// Replaces what is kept of a target by the fewest inputs that go all ways known now; gives how many.
    pub(crate) fn keep(&self, name: &'static str) -> Result<usize> {
        let Some(target) = Target::of_name(name) else {
            bail!("there is no such target");
        };
        let (corpus, fresh) = (kept::corpus(&target), self.work.join(format!("{name}.kept")));
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        fs::create_dir_all(&fresh)?;
        let merged = self
            .command(name)
            // By the ways themselves, not by how often each was gone.
            .args(["-merge=1", "-set_cover_merge=1", "-use_counters=0"])
            .arg(format!("-max_len={}", target.longest))
            .args([&fresh, &self.work.join(name), &corpus])
            .output()?;
        ensure!(
            merged.status.success(),
            "the corpus could not be merged: {}",
            String::from_utf8_lossy(&merged.stderr)
                .lines()
                .last()
                .unwrap_or_default()
        );
        replace(&fresh, &corpus)
    }
}

fn replace(fresh: &Path, corpus: &Path) -> Result<usize> {
    for old in kept::files(corpus)? {
        fs::remove_file(old)?;
    }
    let files = kept::files(fresh)?;
    for file in &files {
        fs::copy(file, corpus.join(file.file_name().unwrap_or_default()))?;
    }
    fs::remove_dir_all(fresh)?;
    Ok(files.len())
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where cargo puts what it builds.
fn target_folder() -> Result<PathBuf> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("start cargo")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("read cargo's metadata")?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder.context("cargo does not say where it builds")?.into())
}

/// What the compiler builds for here.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it builds for")?.to_owned())
}
