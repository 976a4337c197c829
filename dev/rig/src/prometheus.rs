//! A Prometheus that scrapes given addresses, from the system's packages.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::{scratch, tool, wait};

/// An answer may be long, but not without end.
const ANSWER_LIMIT: u64 = 16 << 20;

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

/// Starts a Prometheus that scrapes `targets` several times a second and evaluates the rules of a file.
pub async fn prometheus(targets: &[SocketAddr], rules: &Path) -> Result<Prometheus> {
    let folder = scratch::folder("prometheus")?;
    let port = scratch::free_port()?;
    let rules = rules.canonicalize().context("the rules")?;
    let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
    let config = json!({
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{
            "job_name": "rig",
            "static_configs": [{"targets": targets, "labels": {"namespace": "rig"}}],
        }],
    });
    // JSON is YAML.
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config.to_string())?;
    let process = Process::start(Spec {
        name: "Prometheus",
        program: tool::prometheus()?,
        args: vec![
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
        env: Vec::new(),
        user: None,
        within: Vec::new(),
        stop: Signal::KILL,
        log: folder.path().join("prometheus.log"),
    })?;
    wait::until_ready(&process, || wait::http_ok(port, "/-/ready")).await?;
    Ok(Prometheus {
        port,
        _process: process,
        _folder: folder,
    })
}

impl Prometheus {
    /// The series that an expression yields now.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let answer = wait::exchange(self.port, request.into_bytes(), ANSWER_LIMIT).await?;
        let text = String::from_utf8_lossy(&answer);
        let (_, body) = text.split_once("\r\n\r\n").context("an answer without a body")?;
        let answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
        ensure!(
            answer["status"] == "success",
            "{expression}: {}",
            answer["error"].as_str().unwrap_or(body)
        );
        Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
    }
}

/// An expression within a URL.
fn encoded(text: &str) -> String {
    let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
    text.bytes()
        .flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_survives_a_url() {
        assert_eq!(encoded("a{b=\"ü\"}"), "%61%7B%62%3D%22%C3%BC%22%7D");
    }
}
