//! Brings the cluster up, whatever state the machine is in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dev_tools::{Cache, FileLock, Step, Tool, Toolbox, elapsed, install};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::backing::{self, NODE_PORTS, Place};
use crate::cgroup::Cgroups;
use crate::down::clear;
use crate::images::{self, Archive, BackingImages, Builder, ProductImages};
use crate::process::{self, spawn};
use crate::{Cluster, Kubectl, Network, control_plane, metrics_server, node, pki, wait};

/// The longest that one part may take; a machine with two cores needs a fifth of it.
const PART_LIMIT: Duration = Duration::from_mins(3);

/// Starts the cluster with its backing services and waits until all of it is ready. A cluster that runs already
/// from the same versions and manifests is kept.
pub fn up(cluster: &Cluster, builder: &Builder) -> Result<()> {
    must_be_root()?;
    let started = Instant::now();
    let cache = Cache::locate()?;
    let _lock = lock(cluster, &cache)?;
    let tools = install(&Tool::CLUSTER)?;
    let sources = cluster.checkout().path().join("dev/cluster/images");
    let images = images::backing(builder, &tools, &sources)?;
    let kubectl = Kubectl::new(&tools, cluster.kubeconfig());
    let fingerprint = fingerprint(&tools, &images);
    if runs(cluster, &kubectl, &fingerprint) {
        eprintln!("✓ cluster {} already runs", cluster.name());
        return load_recorded(cluster, &cache);
    }
    start(cluster, &tools, &images, &kubectl)?;
    pki::write(&cluster.file("fingerprint"), &fingerprint)?;
    load_recorded(cluster, &cache)?;
    eprintln!("✓ cluster {} is ready ({})", cluster.name(), elapsed(started));
    Ok(())
}

/// Held by `up` and `down`, so that two runs in one checkout wait for each other.
pub(crate) fn lock(cluster: &Cluster, cache: &Cache) -> Result<FileLock> {
    let path = cache.clusters().join(format!("{}.lock", cluster.name()));
    Ok(FileLock::acquire(&path, || {
        eprintln!("• another run works on this cluster; waiting for it …");
    })?)
}

/// Namespaces, mounts and control groups are root's.
pub(crate) fn must_be_root() -> Result<()> {
    let owner = fs::metadata("/proc/self").context("cannot read /proc")?.uid();
    if owner != 0 {
        bail!(
            "a cluster needs root, for namespaces and mounts; run as root, or use KUBECONFIG=… for your own cluster"
        );
    }
    Ok(())
}

/// Imports the product's images, if `dev images` has built any.
pub fn load_recorded(cluster: &Cluster, cache: &Cache) -> Result<()> {
    match ProductImages::read(&recorded_images(cluster, cache))? {
        Some(images) => load(cluster, &images),
        None => Ok(()),
    }
}

/// Where `dev images` records what it built for this checkout.
#[must_use]
pub fn recorded_images(cluster: &Cluster, cache: &Cache) -> std::path::PathBuf {
    cache
        .root()
        .join("images")
        .join(format!("{}.json", cluster.name()))
}

/// Imports the product's images into the running cluster; one that is there already costs nothing.
pub fn load(cluster: &Cluster, images: &ProductImages) -> Result<()> {
    import(cluster, &images.archives().iter().collect::<Vec<_>>())?;
    images.write(&cluster.images())
}

fn import(cluster: &Cluster, archives: &[&Archive]) -> Result<()> {
    let present = node::ctr(cluster, &["images", "ls", "-q"])?;
    let has = |reference: &str| present.lines().any(|line| line == reference);
    for archive in archives {
        if has(&archive.reference) {
            continue;
        }
        node::import(cluster, &archive.file)?;
        for tag in &archive.also {
            node::ctr(cluster, &["images", "tag", "--force", &archive.reference, tag])?;
        }
    }
    Ok(())
}

/// What the cluster is made of; another value means that a running one is replaced.
fn fingerprint(tools: &Toolbox, images: &BackingImages) -> String {
    let mut hash = Sha256::new();
    for tool in Tool::CLUSTER {
        hash.update(tools.dir(tool).as_os_str().as_encoded_bytes());
    }
    for archive in images.archives() {
        hash.update(&archive.reference);
    }
    for manifest in backing::manifests() {
        hash.update(manifest);
    }
    hex::encode(hash.finalize())
}

fn runs(cluster: &Cluster, kubectl: &Kubectl, fingerprint: &str) -> bool {
    let same = fs::read_to_string(cluster.file("fingerprint")).is_ok_and(|recorded| recorded == fingerprint);
    let processes = process::recorded(cluster);
    same && !processes.is_empty()
        && processes.iter().all(|(_, alive)| *alive)
        && kubectl.run(&["get", "--raw", "/readyz"]).is_ok()
}

fn start(cluster: &Cluster, tools: &Toolbox, images: &BackingImages, kubectl: &Kubectl) -> Result<()> {
    let step = begin(cluster, "clear what an earlier run left")?;
    clear(cluster)?;
    step.done();

    let step = begin(cluster, "network, keys and control plane")?;
    for dir in [cluster.file("processes"), cluster.logs()] {
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let network = Network::create(cluster)?;
    Cgroups::of(cluster.name())?.create()?;
    control_plane::keys(cluster, network)?;
    spawn(cluster, &control_plane::etcd(cluster, tools)?)?;
    spawn(cluster, &control_plane::api_server(cluster, network, tools)?)?;
    // From now on the store holds containers too.
    let _ = fs::remove_file(cluster.image_store_clean());
    spawn(cluster, &node::containerd(cluster, &images.pause.reference)?)?;
    wait::until("containerd", PART_LIMIT, || node::ctr(cluster, &["version"]))?;
    import(cluster, &images.archives())?;
    wait_for(cluster, "kube-apiserver", || {
        kubectl.run(&["get", "--raw", "/readyz"])
    })?;
    step.done();

    let step = begin(cluster, "node")?;
    node::cni(cluster, network)?;
    spawn(
        cluster,
        &control_plane::controller_manager(cluster, network, tools),
    )?;
    spawn(cluster, &control_plane::scheduler(cluster, tools))?;
    spawn(cluster, &node::kubelet(cluster, network, tools)?)?;
    spawn(cluster, &node::kube_proxy(cluster, network, tools))?;
    // Scheduled as soon as the node is ready.
    wait_for(cluster, "kube-controller-manager", || {
        backing::apply_namespaces(kubectl)?;
        kubectl.run(&["get", "serviceaccount", "default", "--namespace=backing"])
    })?;
    backing::apply(cluster, &Place::Node(network, tools), images, kubectl)?;
    metrics_server::apply(cluster, images, kubectl)?;
    wait_for(cluster, "kubelet", || {
        kubectl.run(&[
            "wait",
            "node",
            node::NODE_NAME,
            "--for=condition=Ready",
            "--timeout=5s",
        ])
    })?;
    step.done();

    let step = begin(
        cluster,
        "DNS, metrics, PostgreSQL, Kafka, Redis and the schema registry",
    )?;
    for (namespace, workload) in backing::WORKLOADS {
        wait_for(cluster, workload, || {
            kubectl.run(&[
                "rollout",
                "status",
                workload,
                "--timeout=5s",
                &format!("--namespace={namespace}"),
            ])
        })
        .with_context(|| format!("see `kubectl --namespace={namespace} describe {workload}`"))?;
    }
    wait_for(cluster, "metrics.k8s.io", || metrics_server::available(kubectl))
        .context("see `kubectl --namespace=kube-system describe deployment/metrics-server`")?;
    write_facts(cluster, network, tools)?;
    step.done();
    Ok(())
}

fn begin(cluster: &Cluster, name: &str) -> Result<Step> {
    Ok(Step::start(name, &cluster.logs())?)
}

/// Waits for a condition while the cluster's processes live; one that died ends the wait with its log.
fn wait_for(cluster: &Cluster, what: &str, mut ready: impl FnMut() -> Result<String>) -> Result<()> {
    let mut dead = None;
    let result = wait::until(what, PART_LIMIT, || {
        dead = process::recorded(cluster)
            .into_iter()
            .find(|(_, alive)| !alive)
            .map(|(name, _)| name);
        if dead.is_some() {
            Ok(String::new())
        } else {
            ready()
        }
    });
    match dead {
        Some(name) => process::check(cluster, &name),
        None => result
            .map(drop)
            .with_context(|| format!("logs are in {}", cluster.logs().display())),
    }
}

/// What tests, the demo and people need to know.
fn write_facts(cluster: &Cluster, network: Network, tools: &Toolbox) -> Result<()> {
    let node = network.node_ip();
    let facts = json!({
        "name": cluster.name(),
        "kubeconfig": cluster.kubeconfig(),
        "nodeIp": node,
        "hostIp": network.host_ip(),
        "podNetwork": network.pods(),
        "serviceNetwork": network.services(),
        "backing": {
            "caFile": cluster.backing_ca(),
            "postgres": format!("{node}:{}", NODE_PORTS.postgres),
            "kafka": format!("{node}:{}", NODE_PORTS.kafka),
            "registry": format!("https://{node}:{}/apis/ccompat/v7", NODE_PORTS.registry),
        },
        "issuerKey": cluster.issuer_key(),
        "jwks": cluster.jwks(),
        "auditLog": cluster.audit_log(),
        "images": cluster.images(),
        "kubectl": tools.kubectl(),
        "helm": tools.helm(),
    });
    pki::write(&cluster.facts(), &serde_json::to_string_pretty(&facts)?)
}
