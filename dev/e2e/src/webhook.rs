//! A mutating webhook of somebody else: it puts a sidecar into pods, or into the templates of Deployments.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// Name of the container that is put in.
pub const SIDECAR: &str = "foreign-sidecar";
/// The annotation that is put in.
pub const MARK: &str = "example.org/injected";

/// The webhook, as long as it lives.
pub struct Webhook {
    /// What the API server calls.
    pub url: String,
    /// PEM of the certificate that it is verified with, encoded as the API wants it.
    pub ca_bundle: String,
    injected: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Injector {
    image: String,
    injected: Arc<AtomicU64>,
}

impl Webhook {
    /// Listens on an address that the API server reaches; `image` is the sidecar's.
    pub async fn start(address: &str, image: &str) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).await.context("listen")?;
        let port = listener.local_addr()?.port();
        let identity = rcgen::generate_simple_self_signed(vec![address.to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)?;
        let injected = Arc::new(AtomicU64::new(0));
        let injector = Injector {
            image: image.to_owned(),
            injected: injected.clone(),
        };
        let router = Router::new().route("/inject", post(inject)).with_state(injector);
        let listener = Tls {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let task = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url: format!("https://{address}:{port}/inject"),
            ca_bundle: STANDARD.encode(identity.cert.pem()),
            injected,
            task,
        })
    }

    /// How many objects it has changed.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn inject(State(injector): State<Injector>, Json(review): Json<Value>) -> Json<Value> {
    let request = &review["request"];
    let base = match request["kind"]["kind"].as_str() {
        Some("Pod") => "",
        _ => "/spec/template",
    };
    let patch = changes(&request["object"], base, &injector.image);
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if !patch.is_empty() {
        injector.injected.fetch_add(1, Ordering::Relaxed);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(Value::from(patch).to_string()));
    }
    Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}

/// What has to change so that the pod or template below `base` has the sidecar.
fn changes(object: &Value, base: &str, image: &str) -> Vec<Value> {
    let Some(pod) = object.pointer(base) else {
        return Vec::new();
    };
    let containers = pod["spec"]["containers"].as_array();
    if containers
        .into_iter()
        .flatten()
        .any(|container| container["name"] == SIDECAR)
    {
        return Vec::new();
    }
    let sidecar = json!({
        "name": SIDECAR, "image": image, "imagePullPolicy": "Never",
        "resources": {"requests": {"cpu": "1m", "memory": "4Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    let mut changes =
        vec![json!({"op": "add", "path": format!("{base}/spec/containers/-"), "value": sidecar})];
    if pod["metadata"]["annotations"].is_object() {
        let path = format!("{base}/metadata/annotations/{}", MARK.replace('/', "~1"));
        changes.push(json!({"op": "add", "path": path, "value": "yes"}));
    } else {
        let path = format!("{base}/metadata/annotations");
        changes.push(json!({"op": "add", "path": path, "value": {MARK: "yes"}}));
    }
    changes
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A connection that breaks is the caller's to make again.
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_gets_the_sidecar_once() {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a"}]}});
        let paths: Vec<_> = changes(&pod, "", "i")
            .iter()
            .map(|change| change["path"].clone())
            .collect();
        assert_eq!(paths, ["/spec/containers/-", "/metadata/annotations"]);
        let template = json!({"spec": {"template": {
            "metadata": {"annotations": {"a": "b"}}, "spec": {"containers": [{"name": "a"}]},
        }}});
        let changes_of_template = changes(&template, "/spec/template", "i");
        assert_eq!(
            changes_of_template[1]["path"],
            "/spec/template/metadata/annotations/example.org~1injected"
        );
        let done = json!({"spec": {"containers": [{"name": SIDECAR}]}});
        assert!(changes(&done, "", "i").is_empty());
    }
}
