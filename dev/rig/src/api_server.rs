//! A Kubernetes API server with etcd and nothing else: no controller, no scheduler, no kubelet. What is created stays as
//! it was written; garbage is not collected, and pods do not run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pki::{Authority, Identity};
use crate::process::{Process, Spec};
use crate::{scratch, tool, wait};

/// A running API server.
#[derive(Debug)]
pub struct ApiServer {
    /// `https://host:port`.
    pub url: String,
    /// A kubeconfig of an administrator (group `system:masters`).
    pub kubeconfig: PathBuf,
    process: Process,
    etcd: Process,
    authority: Authority,
    folder: TempDir,
}

/// Starts an API server of its own; see [`crate::shared::api_server`] for one that costs its start only once.
pub async fn api_server() -> Result<ApiServer> {
    start(None).await
}

/// Starts an API server that writes an audit log ([`ApiServer::audit_log`]) of what a policy picks (`rules` of an
/// `audit.k8s.io/v1` Policy).
pub async fn audited_api_server(rules: &Value) -> Result<ApiServer> {
    start(Some(rules)).await
}

async fn start(audit_rules: Option<&Value>) -> Result<ApiServer> {
    // Another crate in the test may have chosen already; either choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = scratch::folder("api-server")?;
    let (port, client_port, peer_port) = (
        scratch::free_port()?,
        scratch::free_port()?,
        scratch::free_port()?,
    );
    let etcd = Process::start(etcd(folder.path(), client_port, peer_port)?)?;
    let url = format!("https://127.0.0.1:{port}");
    let authority = Authority::new("dev-rig kubernetes")?;
    let kubeconfig = write_identities(folder.path(), &url, &authority)?;
    wait::until_ready(&etcd, || wait::http_ok(client_port, "/health")).await?;
    let mut spec = kube_apiserver(folder.path(), port, client_port)?;
    if let Some(rules) = audit_rules {
        spec.args.extend(audit(folder.path(), rules)?);
    }
    let process = Process::start(spec)?;
    let server = ApiServer {
        url,
        kubeconfig,
        process,
        etcd,
        authority,
        folder,
    };
    server.ready().await?;
    Ok(server)
}

impl ApiServer {
    /// How an administrator reaches it.
    pub async fn config(&self) -> Result<Config> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    }

    /// A kubeconfig of a user in a group, with no rights but those that its bindings give it.
    pub fn identity(&self, user: &str, group: &str) -> Result<PathBuf> {
        let identity = self.authority.client(user, group)?;
        write_kubeconfig(self.folder.path(), &self.url, user, &identity)
    }

    /// The audit log of [`audited_api_server`]: one JSON object a line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join(AUDIT_LOG)
    }

    /// A client of an administrator, which lives as long as the runtime it was made in.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// Creates a namespace whose name starts with `name`, and gives its name.
    pub async fn make_namespace(&self, name: &str) -> Result<String> {
        let name = format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::all(self.client().await?)
            .create(&PostParams::default(), &namespace)
            .await?;
        Ok(name)
    }

    /// Kills the API server, as a crash does; etcd stays.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the API server again after [`Self::kill`], with its data and at the same address.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        let client = self.client().await?;
        wait::until_ready(&self.process, || async {
            client
                .request_text(http::Request::get("/readyz").body(Vec::new())?)
                .await?;
            // The first objects that everything else refers to.
            Api::<Namespace>::all(client.clone()).get("default").await?;
            Ok(())
        })
        .await
        .with_context(|| format!("etcd: {}", self.etcd.ended().unwrap_or_else(|| "running".into())))
    }
}

fn etcd(folder: &Path, client_port: u16, peer_port: u16) -> Result<Spec> {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Ok(Spec {
        name: "etcd",
        program: tool::etcd()?,
        args: vec![
            "--name=rig".into(),
            format!("--data-dir={}", folder.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=rig={peer}"),
            "--unsafe-no-fsync".into(),
        ],
        env: vec![],
        user: None,
        within: Vec::new(),
        stop: Signal::KILL,
        log: folder.join("etcd.log"),
    })
}

fn kube_apiserver(folder: &Path, port: u16, etcd_port: u16) -> Result<Spec> {
    let file = |name: &str| folder.join(name).display().to_string();
    Ok(Spec {
        name: "kube-apiserver",
        program: tool::kube_apiserver()?,
        args: vec![
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", file("certs")),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", file("service-account.crt")),
            format!(
                "--service-account-signing-key-file={}",
                file("service-account.key")
            ),
            "--authorization-mode=RBAC".into(),
            "--service-cluster-ip-range=10.0.0.0/16".into(),
            "--endpoint-reconciler-type=none".into(),
        ],
        env: vec![],
        user: None,
        within: Vec::new(),
        stop: Signal::KILL,
        log: folder.join("kube-apiserver.log"),
    })
}

/// Name of the audit log.
const AUDIT_LOG: &str = "audit.log";

/// Writes the audit policy and says how to use it.
fn audit(folder: &Path, rules: &Value) -> Result<[String; 3]> {
    let policy = folder.join("audit-policy.json");
    let content = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules,
    });
    std::fs::write(&policy, content.to_string())?;
    Ok([
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", folder.join(AUDIT_LOG).display()),
        // One file, however long the run is.
        "--audit-log-maxsize=4096".into(),
    ])
}

/// Writes the certificates and the administrator's kubeconfig.
fn write_identities(folder: &Path, url: &str, authority: &Authority) -> Result<PathBuf> {
    let server = authority.server(&["localhost", "127.0.0.1", "kubernetes.default.svc"])?;
    let admin = authority.client("admin", "system:masters")?;
    let service_account = authority.client("service-account", "dev-rig")?;
    write_identity(folder, "server", &server)?;
    write_identity(folder, "service-account", &service_account)?;
    std::fs::write(folder.join("ca.crt"), authority.certificate())?;
    write_kubeconfig(folder, url, "admin", &admin)
}

fn write_kubeconfig(folder: &Path, url: &str, user: &str, identity: &Identity) -> Result<PathBuf> {
    write_identity(folder, user, identity)?;
    let file = |name: String| folder.join(name).display().to_string();
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rig", "cluster": {"server": url, "certificate-authority": file("ca.crt".into())}}],
        "users": [{"name": user, "user": {
            "client-certificate": file(format!("{user}.crt")), "client-key": file(format!("{user}.key")),
        }}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": user}}],
        "current-context": "rig",
    });
    let path = folder.join(format!("{user}.kubeconfig"));
    std::fs::write(&path, serde_json::to_vec_pretty(&kubeconfig)?)?;
    Ok(path)
}

fn write_identity(folder: &Path, name: &str, identity: &Identity) -> Result<()> {
    std::fs::write(folder.join(format!("{name}.crt")), &identity.certificate)?;
    std::fs::write(folder.join(format!("{name}.key")), &identity.key)?;
    Ok(())
}
