//! The operator as it is installed: its pods, what it counts, and its chart.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_demo::reach::is_ready;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::stage::{OPERATOR_LABEL, OPERATOR_NAMESPACE};
use crate::wait;

const READY_LIMIT: Duration = Duration::from_mins(2);
const ADMIN_PORT: u16 = logistics_operator::names::ADMIN_PORT;

/// The operator as it is installed.
#[derive(Clone)]
pub struct Operator {
    pub(crate) client: Client,
    pub(crate) helm: PathBuf,
    pub(crate) kubeconfig: PathBuf,
}

impl Operator {
    /// Its pods that are not ending.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let mut all = pods
            .list(&ListParams::default().labels(OPERATOR_LABEL))
            .await?
            .items;
        all.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(all)
    }

    /// Waits until this many pods are ready and no other is left.
    pub async fn wait_ready(&self, count: usize) -> Result<Vec<Pod>> {
        let what = format!("{count} ready pods of the operator");
        let (pods, _) = wait::until(&what, READY_LIMIT, || async {
            let pods = self.pods().await?;
            let ready = pods.len() == count && pods.iter().all(is_ready);
            Ok(ready.then_some(pods))
        })
        .await?;
        Ok(pods)
    }

    /// Sum of a counter over its labels and all pods.
    pub async fn counter(&self, name: &str) -> Result<f64> {
        let mut sum = 0.0;
        for pod in self.pods().await? {
            sum += total(&metrics(&self.client, &pod, ADMIN_PORT).await?, name);
        }
        Ok(sum)
    }

    /// Runs helm on the operator's release.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        let home = tempfile::tempdir()?;
        let output = tokio::process::Command::new(&self.helm)
            .args(args)
            .arg(format!("--namespace={OPERATOR_NAMESPACE}"))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .env("HELM_CACHE_HOME", home.path())
            .env("HELM_CONFIG_HOME", home.path())
            .env("HELM_DATA_HOME", home.path())
            .kill_on_drop(true)
            .output()
            .await
            .context("run helm")?;
        ensure!(
            output.status.success(),
            "helm {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The number of restarts of its containers, by pod.
    pub async fn restarts(&self) -> Result<Vec<(String, i32)>> {
        let count = |pod: &Pod| {
            let statuses = pod
                .status
                .iter()
                .flat_map(|status| status.container_statuses.iter().flatten());
            statuses.map(|status| status.restart_count).sum()
        };
        let pods = self.pods().await?;
        Ok(pods.iter().map(|pod| (pod.name_any(), count(pod))).collect())
    }
}

/// What a pod serves on `/metrics`, fetched through the API server.
pub async fn metrics(client: &Client, pod: &Pod, port: u16) -> Result<String> {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
    let request = http::Request::get(&path).body(Vec::new())?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("metrics of {name}"))
}

/// Sum of a metric over its labels, in the text format.
fn total(text: &str, name: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split(' ').next()?.parse::<f64>().ok()
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_no_other_is_taken_for_it() {
        let text = "# TYPE a counter\na_total{x=\"} 7\"} 1\na_total{x=\"b\"} 2\na_total_other 5\nb_total 4\n";
        assert!((total(text, "a_total") - 3.0).abs() < f64::EPSILON);
        assert!((total(text, "b_total") - 4.0).abs() < f64::EPSILON);
    }
}
