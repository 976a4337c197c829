//! The operator's process.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dev_rig::Program;

use crate::measure::Subject;
use crate::site::PATIENCE;

/// How long nothing is reconciled when there is nothing to do.
const QUIET: Duration = Duration::from_secs(2);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// How the chart has glibc share memory between threads.
const POOLS: (&str, &str) = ("MALLOC_ARENA_MAX", "1");

/// The operator's process.
pub(super) struct Operator {
    pub(super) program: Program,
    admin: String,
}

impl Operator {
    /// Starts the operator with a kubeconfig; `pod` is who it is among several.
    pub(super) fn start(program: &Path, kubeconfig: &Path, pod: &str) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", dev_rig::free_port()?);
        let args = ["run", "--admin-listen", &listen, "--log-level", "warn"];
        let env = vec![
            ("KUBECONFIG", kubeconfig.display().to_string()),
            ("POD_NAMESPACE", "default".to_owned()),
            ("POD_NAME", pod.to_owned()),
            (POOLS.0, POOLS.1.to_owned()),
        ];
        Ok(Self {
            program: Program::start(
                "operator",
                program.to_owned(),
                args.map(str::to_owned).to_vec(),
                env,
            )?,
            admin: format!("http://{listen}"),
        })
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject(&self.program)
    }

    pub(super) fn ended(&self) -> bool {
        self.program.ended().is_some()
    }

    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = reqwest::get(format!("{}{path}", self.admin)).await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until all that is watched has been listed.
    pub(super) async fn until_ready(&self) -> Result<()> {
        let start = Instant::now();
        while !matches!(self.get("/readyz").await, Ok((200, _))) {
            if let Some(end) = self.program.ended() {
                bail!("the operator ended: {end}");
            }
            if start.elapsed() > PATIENCE {
                bail!("the operator is not ready");
            }
            // How often it is asked whether it is ready.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Reconciles so far.
    pub(super) async fn reconciles(&self) -> Result<f64> {
        let (_, text) = self.get("/metrics").await?;
        let lines = text
            .lines()
            .filter(|line| line.starts_with("logistics_operator_reconciles_total"));
        let mut all = 0.0;
        for line in lines {
            let number = line.rsplit(' ').next().context("a metric without a value")?;
            all += number.parse::<f64>()?;
        }
        Ok(all)
    }

    /// Waits until nothing is reconciled any more; gives when the last reconcile was seen.
    pub(super) async fn until_quiet(&self) -> Result<Instant> {
        self.until_reconciled(0.0).await
    }

    /// Waits until so much was reconciled, and nothing is any more.
    pub(super) async fn until_reconciled(&self, enough: f64) -> Result<Instant> {
        let start = Instant::now();
        let (mut count, mut last) = (self.reconciles().await?, Instant::now());
        while last.elapsed() < QUIET || count < enough {
            tokio::time::sleep(PAUSE).await;
            let now = self.reconciles().await?;
            if now > count {
                (count, last) = (now, Instant::now());
            }
            if start.elapsed() > PATIENCE {
                bail!("the operator never comes to rest");
            }
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_measured_as_the_chart_runs_it() {
        let chart = include_str!("../../../../charts/logistics-operator/templates/deployment.yaml");
        let (name, value) = POOLS;
        let set = format!("- name: {name}\n              value: \"{value}\"\n");
        assert!(chart.contains(&set), "{set}");
    }
}
