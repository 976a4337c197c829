//! Names, labels, ports and paths: each has its one home here.

use std::collections::BTreeMap;

use logistics_schemas::Workload;
use logistics_schemas::config::PlatformIdentity;
use sha2::{Digest, Sha256};

/// Field manager of server-side apply, and the value of the label [`MANAGED_BY`].
pub const MANAGER: &str = "logistics-operator";

/// Field manager that holds a Deployment's number of pods while an autoscaler acts, so that [`MANAGER`] can let go of it
/// without resetting it.
pub const SCALE_MANAGER: &str = "logistics-operator-scale";
/// The revision of an empty etcd, which no object ever has. An apply that claims it fails on an object that exists and
/// makes one that does not: a create whose fields are owned like those of later applies.
pub const NO_OBJECT: &str = "1";

/// Finalizer of a platform whose topics and subjects are deleted with it.
pub const FINALIZER: &str = "logistics-platform.io/delete-outside";

/// Label by which the operator's watches select children.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Label with the revision of a pod, Deployment, Service or `ControllerRevision`.
pub const REVISION: &str = "logistics-platform.io/revision";

/// Label with the name of the platform.
pub const INSTANCE: &str = "app.kubernetes.io/instance";

/// Label with the name of the workload.
pub const COMPONENT: &str = "app.kubernetes.io/component";

/// Annotation of a generated credentials Secret: a digest of its password.
pub const CREDENTIAL_ID: &str = "logistics-platform.io/credential-id";

/// Component label of what belongs to the migration.
pub const MIGRATE: &str = "migrate";

/// Port of gRPC.
pub const GRPC_PORT: u16 = 8080;

/// Port of `/livez`, `/readyz` and `/metrics`.
pub const ADMIN_PORT: u16 = 9090;

/// Where files are mounted in a pod.
pub mod path {
    /// Folder of the configuration.
    pub const CONFIG: &str = "/etc/logistics/config";
    /// Name of the configuration file.
    pub const CONFIG_FILE: &str = "config.yaml";
    /// Folder of a service's database credentials.
    pub const DATABASE: &str = "/etc/logistics/database";
    /// Folder of the credentials for Kafka.
    pub const KAFKA: &str = "/etc/logistics/kafka";
    /// Folder of the credentials for the schema registry.
    pub const REGISTRY: &str = "/etc/logistics/registry";
    /// Folder of the credentials for the cache.
    pub const CACHE: &str = "/etc/logistics/cache";
    /// Folder of the key set.
    pub const AUTH: &str = "/etc/logistics/auth";
    /// Folder of certificate authorities, one folder each.
    pub const CA: &str = "/etc/logistics/ca";
    /// Folder of the database owner's credentials, in the migration only.
    pub const ADMIN: &str = "/etc/logistics/admin";
    /// Folder of the services' credentials, one folder each, in the migration only.
    pub const ROLES: &str = "/etc/logistics/roles";
}

/// Names of the children of one platform.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(pub &'a PlatformIdentity);

impl Names<'_> {
    /// Apex Service and `ServiceAccount` of a workload.
    #[must_use]
    pub fn workload(self, workload: Workload) -> String {
        format!("{}-{workload}", self.0.name)
    }

    /// Headless Service of a workload: its name resolves to the addresses of the pods that take calls.
    #[must_use]
    pub fn pods(self, workload: Workload) -> String {
        format!("{}-{workload}-pods", self.0.name)
    }

    /// Deployment, Service and ControllerRevision of a workload's revision.
    #[must_use]
    pub fn revision(self, workload: Workload, revision: &str) -> String {
        format!("{}-{workload}-{revision}", self.0.name)
    }

    /// ConfigMap with a service's configuration.
    #[must_use]
    pub fn config(self, component: &str, content: &str) -> String {
        format!("{}-{component}-config-{}", self.0.name, digest(&[content]))
    }

    /// Secret with a service's database credentials.
    #[must_use]
    pub fn credentials(self, workload: Workload) -> String {
        format!("{}-{workload}-db", self.0.name)
    }

    /// The database role of a service; its name is unique in a database server that platforms share.
    #[must_use]
    pub fn database_role(self, workload: Workload) -> String {
        let identity = digest(&[&self.0.namespace, &self.0.name]);
        format!("{}-{workload}-{}", self.0.name, &identity[..6])
    }

    /// `ServiceAccount` of the migration.
    #[must_use]
    pub fn migrate(self) -> String {
        format!("{}-{MIGRATE}", self.0.name)
    }

    /// Job of a migration.
    #[must_use]
    pub fn migrate_job(self, hash: &str) -> String {
        format!("{}-{MIGRATE}-{hash}", self.0.name)
    }

    /// Consumer group of a service.
    #[must_use]
    pub fn consumer_group(self, workload: Workload) -> String {
        format!("{}.{}.{workload}", self.0.namespace, self.0.name)
    }

    /// Labels of every child.
    #[must_use]
    pub fn labels(self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "logistics"),
            (INSTANCE, &self.0.name),
            ("app.kubernetes.io/part-of", &self.0.name),
            (MANAGED_BY, MANAGER),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// Labels of a component's child.
    #[must_use]
    pub fn component_labels(self, component: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(COMPONENT.into(), component.into());
        labels
    }

    /// What selects the pods of a component, whatever their revision.
    #[must_use]
    pub fn component_selector(self, component: &str) -> BTreeMap<String, String> {
        [(INSTANCE, self.0.name.as_str()), (COMPONENT, component)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// What selects the pods of a revision.
    #[must_use]
    pub fn selector(self, workload: Workload, revision: &str) -> BTreeMap<String, String> {
        let mut selector = self.component_selector(workload.name());
        selector.insert(REVISION.into(), revision.into());
        selector
    }
}

/// Eight hexadecimal digits of a SHA-256 over parts, each with its length before it.
#[must_use]
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(&hasher.finalize()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MAX_NAME_LENGTH;

    #[test]
    fn names_of_the_longest_platform_fit() {
        let identity = PlatformIdentity {
            namespace: "n".repeat(63),
            name: "p".repeat(MAX_NAME_LENGTH),
        };
        let names = Names(&identity);
        let hash = digest(&["x"]);
        for workload in Workload::ALL {
            for name in [
                names.revision(workload, &hash),
                names.credentials(workload),
                names.pods(workload),
                names.migrate_job(&hash),
                // PostgreSQL cuts longer names off.
                names.database_role(workload),
            ] {
                assert!(name.len() <= 63, "{name} has {} characters", name.len());
            }
        }
    }

    #[test]
    fn a_digest_keeps_parts_apart() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
