//! The node: containerd, the kubelet, kube-proxy and the pods' network.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use dev_tools::{Toolbox, prerequisites};
use serde_json::json;

use crate::command::output;
use crate::pki::write;
use crate::process::Spec;
use crate::{Cluster, Network};

/// The only node's name.
pub(crate) const NODE_NAME: &str = "node-1";
/// containerd's namespace for the kubelet's images and containers.
const NAMESPACE: &str = "k8s.io";

/// Writes containerd's configuration and says how to start it.
pub(crate) fn containerd(cluster: &Cluster, pause: &str) -> Result<Spec> {
    let store = cluster.image_store();
    let run = cluster.run().join("containerd");
    fs::create_dir_all(cluster.run()).with_context(|| format!("cannot make {}", cluster.run().display()))?;
    let config = format!(
        r#"version = 2
root = "{root}"
state = "{run}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A container manager in a container may not lower the score, and every pod would fail.
  restrict_oom_score_adj = true
  # With the state, where tear-down finds them after a kill.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{run}/runc"
"#,
        root = store.display(),
        run = run.display(),
        socket = cluster.containerd_socket().display(),
        cni = cluster.file("cni").display(),
    );
    let path = cluster.file("containerd.toml");
    write(&path, &config)?;
    Ok(Spec::new("containerd", prerequisites::find("containerd")?).flag("config", path))
}

/// Writes the pods' network.
pub(crate) fn cni(cluster: &Cluster, network: Network) -> Result<()> {
    let config = json!({
        "cniVersion": "0.4.0",
        "name": cluster.name(),
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": cluster.run().join("addresses"),
                    "ranges": [[{"subnet": network.pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    write(&cluster.file("cni/10-bridge.conflist"), &config.to_string())
}

/// Writes the kubelet's configuration and says how to start it.
pub(crate) fn kubelet(cluster: &Cluster, network: Network, tools: &Toolbox) -> Result<Spec> {
    // The machine's own search domains have no place in pods.
    write(&cluster.file("resolv.conf"), "")?;
    let pki = cluster.file("pki");
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki.join("kubelet.crt"),
        "tlsPrivateKeyFile": pki.join("kubelet.key"),
        "containerRuntimeEndpoint": format!("unix://{}", cluster.containerd_socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cluster.name()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "clusterDNS": [network.dns_ip()],
        "clusterDomain": "cluster.local",
        "resolvConf": cluster.file("resolv.conf"),
        "podLogsDir": cluster.pod_logs(),
        "volumePluginDir": cluster.file("volume-plugins"),
        "maxPods": 110,
        // Images come from this machine alone: one that was collected cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": false,
        // A restarted pod is seen Ready sooner.
        "syncFrequency": "10s",
    });
    let path = cluster.file("kubelet.json");
    write(&path, &config.to_string())?;
    Ok(Spec::new("kubelet", tools.kubelet())
        .flag("config", path)
        .flag("kubeconfig", cluster.file("kubelet.kubeconfig"))
        .flag("root-dir", cluster.file("kubelet"))
        .flag("cert-dir", cluster.file("kubelet/pki"))
        .flag("hostname-override", NODE_NAME)
        .flag("node-ip", network.node_ip()))
}

/// How to start kube-proxy.
pub(crate) fn kube_proxy(cluster: &Cluster, network: Network, tools: &Toolbox) -> Spec {
    Spec::new("kube-proxy", tools.kube_proxy())
        .flag("kubeconfig", cluster.file("proxy.kubeconfig"))
        .flag("cluster-cidr", network.pods())
        .flag("hostname-override", NODE_NAME)
        .flag("proxy-mode", "iptables")
        // The limits belong to the whole machine, which a namespace must not change.
        .flag("conntrack-max-per-core", "0")
        .flag("conntrack-tcp-timeout-established", "0")
        .flag("conntrack-tcp-timeout-close-wait", "0")
}

/// containerd's own client, in the kubelet's namespace.
pub(crate) fn ctr(cluster: &Cluster, args: &[&str]) -> Result<String> {
    output(
        Command::new("ctr")
            .arg("--address")
            .arg(cluster.containerd_socket())
            .args(["-n", NAMESPACE])
            .args(args),
    )
}

/// Imports an image archive.
pub(crate) fn import(cluster: &Cluster, archive: &Path) -> Result<()> {
    ctr(cluster, &["images", "import", &archive.to_string_lossy()]).map(drop)
}
