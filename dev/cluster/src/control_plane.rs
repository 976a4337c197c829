//! etcd, the API server, the controller manager and the scheduler, with the keys they need.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dev_tools::Toolbox;
use serde_json::json;

use crate::node::NODE_NAME;
use crate::pki::{Authority, Identity, signing_keys, write, write_private};
use crate::process::Spec;
use crate::{Cluster, Network, metrics_server};

pub(crate) const ETCD: &str = "http://127.0.0.1:2379";
/// The API server's port on the node's address.
const API_PORT: u16 = 6443;

/// Makes every key of the cluster and the kubeconfigs of its parts.
pub(crate) fn keys(cluster: &Cluster, network: Network) -> Result<()> {
    let authority = Authority::new("kubernetes")?;
    let pki = cluster.file("pki");
    authority.identity.write(&pki, "ca")?;
    let node = network.node_ip();
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        &node,
        &network.kubernetes_ip(),
    ];
    authority
        .issue("kube-apiserver", None, &names)?
        .write(&pki, "apiserver")?;
    authority
        .issue("front-proxy", None, &[])?
        .write(&pki, "front-proxy")?;
    metrics_server::keys(cluster, &authority)?;
    authority
        .issue("kube-apiserver-kubelet-client", Some("system:masters"), &[])?
        .write(&pki, "kubelet-client")?;
    let kubelet = authority.issue(
        &format!("system:node:{NODE_NAME}"),
        Some("system:nodes"),
        &[NODE_NAME, &node, "127.0.0.1"],
    )?;
    kubelet.write(&pki, "kubelet")?;
    let (private, public) = signing_keys()?;
    write_private(&pki.join("service-accounts.key"), &private)?;
    write(&pki.join("service-accounts.pub"), &public)?;

    let server = format!("https://{node}:{API_PORT}");
    let kubeconfig = |path: &Path, identity: &Identity| {
        write_private(
            path,
            &kubeconfig(cluster.name(), &server, &authority.identity.certificate, identity),
        )
    };
    kubeconfig(&cluster.file("kubelet.kubeconfig"), &kubelet)?;
    kubeconfig(
        &cluster.kubeconfig(),
        &authority.issue("admin", Some("system:masters"), &[])?,
    )?;
    for (name, user) in [
        ("proxy", "system:kube-proxy"),
        ("controller-manager", "system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler"),
    ] {
        kubeconfig(
            &cluster.file(&format!("{name}.kubeconfig")),
            &authority.issue(user, None, &[])?,
        )?;
    }
    Ok(())
}

fn kubeconfig(name: &str, server: &str, ca: &str, identity: &Identity) -> String {
    let encode = |text: &str| STANDARD.encode(text);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": encode(ca)}}],
        "users": [{"name": name, "user": {
            "client-certificate-data": encode(&identity.certificate), "client-key-data": encode(&identity.key),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    })
    .to_string()
}

/// How to start etcd: a scratch store, so it need not wait for the disk.
pub(crate) fn etcd(cluster: &Cluster, tools: &Toolbox) -> Result<Spec> {
    Ok(Spec::new("etcd", tools.etcd()?)
        .flag("data-dir", cluster.file("etcd"))
        .flag("listen-client-urls", ETCD)
        .flag("advertise-client-urls", ETCD)
        .flag("listen-peer-urls", "http://127.0.0.1:2380")
        .flag("unsafe-no-fsync", "true"))
}

/// Writes the audit policy and says how to start the API server.
pub(crate) fn api_server(cluster: &Cluster, network: Network, tools: &Toolbox) -> Result<Spec> {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            // What people and tests look at is no part of what is examined, and would be most of the log.
            {"level": "None", "users": ["admin"], "verbs": ["get", "list", "watch"]},
            {"level": "Metadata"},
        ],
    });
    write(&cluster.file("audit/policy.json"), &policy.to_string())?;
    fs::create_dir_all(cluster.file("audit")).context("cannot make the audit log's folder")?;
    let pki = |name: &str| cluster.file("pki").join(name);
    Ok(Spec::new("kube-apiserver", tools.kube_apiserver())
        .flag("etcd-servers", ETCD)
        .flag("bind-address", "0.0.0.0")
        .flag("secure-port", API_PORT.to_string())
        .flag("advertise-address", network.node_ip())
        .flag("tls-cert-file", pki("apiserver.crt"))
        .flag("tls-private-key-file", pki("apiserver.key"))
        .flag("client-ca-file", pki("ca.crt"))
        .flag("authorization-mode", "Node,RBAC")
        // With the second, who makes an object a child must have the right to its owner's finalizers.
        .flag(
            "enable-admission-plugins",
            "NodeRestriction,OwnerReferencesPermissionEnforcement",
        )
        .flag("allow-privileged", "true")
        .flag("service-cluster-ip-range", network.services())
        .flag("service-account-issuer", "https://kubernetes.default.svc")
        .flag("service-account-key-file", pki("service-accounts.pub"))
        .flag("service-account-signing-key-file", pki("service-accounts.key"))
        .flag("kubelet-certificate-authority", pki("ca.crt"))
        .flag("kubelet-client-certificate", pki("kubelet-client.crt"))
        .flag("kubelet-client-key", pki("kubelet-client.key"))
        // The node's name is in no DNS.
        .flag("kubelet-preferred-address-types", "InternalIP")
        .flag("requestheader-client-ca-file", pki("ca.crt"))
        .flag("requestheader-allowed-names", "front-proxy")
        .flag("requestheader-username-headers", "X-Remote-User")
        .flag("requestheader-group-headers", "X-Remote-Group")
        .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .flag("proxy-client-cert-file", pki("front-proxy.crt"))
        .flag("proxy-client-key-file", pki("front-proxy.key"))
        .flag("enable-aggregator-routing", "true")
        .flag("audit-policy-file", cluster.file("audit/policy.json"))
        .flag("audit-log-path", cluster.audit_log())
        // One file for the whole run: it is read from marks on.
        .flag("audit-log-maxsize", "4000"))
}

/// How to start the controller manager.
pub(crate) fn controller_manager(cluster: &Cluster, network: Network, tools: &Toolbox) -> Spec {
    let pki = |name: &str| cluster.file("pki").join(name);
    let kubeconfig = cluster.file("controller-manager.kubeconfig");
    Spec::new("kube-controller-manager", tools.kube_controller_manager())
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("bind-address", "127.0.0.1")
        .flag("leader-elect", "false")
        .flag("use-service-account-credentials", "true")
        .flag("service-account-private-key-file", pki("service-accounts.key"))
        .flag("root-ca-file", pki("ca.crt"))
        .flag("cluster-signing-cert-file", pki("ca.crt"))
        .flag("cluster-signing-key-file", pki("ca.key"))
        .flag("allocate-node-cidrs", "true")
        .flag("cluster-cidr", network.pods())
        .flag("node-cidr-mask-size", "24")
        .flag("horizontal-pod-autoscaler-sync-period", "5s")
        // A claim seen before its volume waits for the next round.
        .flag("pvclaimbinder-sync-period", "1s")
}

/// How to start the scheduler.
pub(crate) fn scheduler(cluster: &Cluster, tools: &Toolbox) -> Spec {
    let kubeconfig = cluster.file("scheduler.kubeconfig");
    Spec::new("kube-scheduler", tools.kube_scheduler())
        .flag("kubeconfig", &kubeconfig)
        .flag("authentication-kubeconfig", &kubeconfig)
        .flag("authorization-kubeconfig", &kubeconfig)
        .flag("bind-address", "127.0.0.1")
        .flag("leader-elect", "false")
}
