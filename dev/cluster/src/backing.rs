//! What runs inside the cluster before the product does: DNS, database, broker, schema registry, cache, and the keys
//! and passwords that belong to them.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dev_tools::Toolbox;
use sha2::{Digest, Sha256};

use crate::images::{Archive, BackingImages, NONROOT};
use crate::node::NODE_NAME;
use crate::{Cluster, Kubectl, Network, credentials, metrics_server, wait};

/// Where the host reaches a backing service: a port of the node.
#[derive(Debug, Clone, Copy)]
pub struct NodePorts {
    /// PostgreSQL.
    pub postgres: u16,
    /// Kafka, whose listener there tells clients the node's address.
    pub kafka: u16,
    /// The schema registry.
    pub registry: u16,
}

/// The ports on the node's address.
pub const NODE_PORTS: NodePorts = NodePorts {
    postgres: 30432,
    kafka: 30093,
    registry: 30843,
};

const NAMESPACES: &str = include_str!("../manifests/namespaces.yaml");
const COREDNS: &str = include_str!("../manifests/coredns.yaml");
const VOLUME: &str = include_str!("../manifests/volume.yaml");
const CLAIM: &str = include_str!("../manifests/claim.yaml");
const SERVICES: [&str; 4] = [
    include_str!("../manifests/postgres.yaml"),
    include_str!("../manifests/kafka.yaml"),
    include_str!("../manifests/registry.yaml"),
    include_str!("../manifests/redis.yaml"),
];

/// The controller looks at every claim each second.
const VOLUMES_LIMIT: Duration = Duration::from_mins(1);

/// All manifests as they are in the checkout: a change means another cluster.
pub(crate) fn manifests() -> Vec<&'static str> {
    [NAMESPACES, COREDNS, VOLUME, metrics_server::MANIFEST]
        .into_iter()
        .chain(SERVICES)
        .collect()
}

/// What is waited for, in the order in which it is usually ready.
pub(crate) const WORKLOADS: [(&str, &str); 5] = [
    ("kube-system", "deployment/coredns"),
    ("backing", "deployment/redis"),
    ("backing", "statefulset/postgres"),
    ("backing", "statefulset/kafka"),
    ("backing", "deployment/registry"),
];

/// The same without what every cluster has.
pub(crate) fn services() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORKLOADS
        .into_iter()
        .filter(|(namespace, _)| *namespace == "backing")
}

/// Makes the namespaces; their service accounts take a moment.
pub(crate) fn apply_namespaces(kubectl: &Kubectl) -> Result<()> {
    kubectl.apply(NAMESPACES)
}

/// Where the services go.
pub(crate) enum Place<'a> {
    /// The cluster of this checkout: its network, and where the tools are.
    Node(Network, &'a Toolbox),
    /// Somebody's own cluster, and the repository that it pulls images from.
    Own {
        repository: &'a str,
        postgres_bin: &'a Path,
    },
}

/// Applies everything; what starts is not waited for.
pub(crate) fn apply(
    cluster: &Cluster,
    place: &Place<'_>,
    images: &BackingImages,
    kubectl: &Kubectl,
) -> Result<()> {
    let values = values(cluster, place, images)?;
    let mut all = Vec::new();
    if let Place::Node(..) = place {
        all.push(render(COREDNS, &values)?);
    }
    if !has_keys(cluster, kubectl)? {
        all.push(credentials::make(cluster, place)?);
    }
    for name in ["postgres", "kafka"] {
        let folder = cluster.file("data").join(name);
        let mut values = values.clone();
        values.push(("name", name.to_owned()));
        values.push(("path", folder.display().to_string()));
        let Place::Node(..) = place else {
            all.push(render(CLAIM, &values)?);
            continue;
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        chown(&folder, Some(NONROOT), Some(NONROOT))
            .with_context(|| format!("cannot own {}", folder.display()))?;
        all.push(render(VOLUME, &values)?);
    }
    kubectl.apply(&all.join("\n---\n"))?;
    if let Place::Node(..) = place {
        // A pod that comes before its volume may lie in the scheduler's backlog for minutes.
        let bound = "--for=jsonpath={.status.phase}=Bound";
        wait::until("binding the volumes", VOLUMES_LIMIT, || {
            kubectl.run(&[
                "wait",
                "pvc",
                "--all",
                "--namespace=backing",
                bound,
                "--timeout=5s",
            ])
        })?;
    }
    let services = SERVICES
        .iter()
        .map(|service| render(service, &values))
        .collect::<Result<Vec<_>>>()?;
    kubectl.apply(&services.join("\n---\n"))
}

fn values(
    cluster: &Cluster,
    place: &Place<'_>,
    images: &BackingImages,
) -> Result<Vec<(&'static str, String)>> {
    let image = |archive: &Archive| match place {
        Place::Node(..) => archive.reference.clone(),
        Place::Own { repository, .. } => archive.remote(repository),
    };
    // Known beforehand, so that applying again changes nothing.
    let id = &Sha256::digest(cluster.name())[..16];
    let mut values = vec![
        ("image.coredns", image(&images.coredns)),
        ("image.postgres", image(&images.postgres)),
        ("image.kafka", image(&images.kafka)),
        ("image.registry", image(&images.registry)),
        ("image.redis", image(&images.redis)),
        ("kafka_cluster_id", URL_SAFE_NO_PAD.encode(id)),
        ("node", NODE_NAME.to_owned()),
    ];
    let ports = match place {
        Place::Node(network, tools) => {
            values.push(("dns_ip", network.dns_ip()));
            values.push((
                "kafka_node_address",
                format!("{}:{}", network.node_ip(), NODE_PORTS.kafka),
            ));
            values.push(("service_type", "NodePort".to_owned()));
            values.push(("postgres_bin", tools.postgres_bin()?.display().to_string()));
            NODE_PORTS
        }
        Place::Own { postgres_bin, .. } => {
            values.push(("kafka_node_address", "kafka.backing.svc:9094".to_owned()));
            values.push(("service_type", "ClusterIP".to_owned()));
            values.push(("postgres_bin", postgres_bin.display().to_string()));
            // Zero is Kubernetes' word for none.
            NodePorts {
                postgres: 0,
                kafka: 0,
                registry: 0,
            }
        }
    };
    values.push(("node_port.postgres", ports.postgres.to_string()));
    values.push(("node_port.kafka", ports.kafka.to_string()));
    values.push(("node_port.registry", ports.registry.to_string()));
    Ok(values)
}

/// Whether passwords and keys were made before: new ones would not fit the data that is there.
fn has_keys(cluster: &Cluster, kubectl: &Kubectl) -> Result<bool> {
    let in_cluster = !kubectl
        .run(&[
            "get",
            "secret",
            "acme-db",
            "--namespace=logistics",
            "--ignore-not-found",
            "-o",
            "name",
        ])?
        .is_empty();
    if in_cluster && !cluster.issuer_key().exists() {
        bail!(
            "the namespaces `backing` and `logistics` of this cluster were filled from elsewhere: the token issuer's key \
             is not in {}; delete both namespaces, or use the checkout and cache they come from",
            cluster.issuer_key().display()
        );
    }
    Ok(in_cluster)
}

/// Puts values in the place of `${name}`.
pub(crate) fn render(template: &str, values: &[(&str, String)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    match text.split_once("${") {
        None => Ok(text),
        Some((_, rest)) => bail!(
            "no value for ${{{} in a manifest",
            rest.split('\n').next().unwrap_or(rest)
        ),
    }
}

#[cfg(test)]
mod tests {
    use dev_tools::Cache;

    use super::*;
    use crate::Checkout;

    #[test]
    fn a_template_without_a_value_is_refused() {
        let values = [("a", "1".to_owned())];
        assert_eq!(render("x: ${a}", &values).expect("rendered"), "x: 1");
        let error = render("x: ${b}", &values).expect_err("no value");
        assert!(error.to_string().contains("${b}"), "{error}");
    }

    #[test]
    fn every_manifest_renders_for_both_kinds_of_cluster() {
        let folder = tempfile::Builder::new()
            .prefix("c")
            .tempdir_in("/tmp")
            .expect("temporary folder");
        let cache = Cache::at(folder.path()).expect("cache");
        let checkout = Checkout::locate().expect("the checkout of this test");
        let cluster = Cluster::of(&checkout, &cache).expect("cluster");
        let archive = |name: &str| Archive {
            reference: format!("localhost/dev/{name}:1"),
            also: Vec::new(),
            file: "unused".into(),
        };
        let images = BackingImages {
            pause: archive("pause"),
            coredns: archive("coredns"),
            metrics_server: archive("metrics-server"),
            postgres: archive("postgres"),
            kafka: archive("kafka"),
            registry: archive("registry"),
            redis: archive("redis"),
        };
        let own = Place::Own {
            repository: "registry.example.com/me",
            postgres_bin: Path::new("/usr/bin"),
        };
        let values = values(&cluster, &own, &images).expect("values");
        for manifest in SERVICES {
            let text = render(manifest, &values).expect("rendered");
            assert!(
                text.contains("image: registry.example.com/me/") && !text.contains("NodePort"),
                "{text}"
            );
        }
        let tools = Toolbox::at(&cache).expect("toolbox");
        let node = Place::Node(Network::with_number(7), &tools);
        let values = super::values(&cluster, &node, &images).expect("values");
        for manifest in SERVICES.into_iter().chain([COREDNS]) {
            let text = render(manifest, &values).expect("rendered");
            assert!(text.contains("image: localhost/dev/"), "{text}");
        }
    }
}
