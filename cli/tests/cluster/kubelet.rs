//! A kubelet that answers for logs only: the API server asks it for them, and the tests decide what it says.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::site::Site;

/// Logs by `pod/container`; those of the container before have `/previous` after that.
pub(crate) type Logs = HashMap<&'static str, &'static str>;

/// Starts a kubelet, and registers it as a node with this name.
pub(crate) async fn start(site: &Site, node: &str, logs: Logs) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let router = Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(log))
        .with_state(Arc::new(logs));
    let listener = Tls {
        listener,
        acceptor: acceptor()?,
    };
    tokio::spawn(async move { serve(listener, router).await });
    let status = json!({
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    });
    site.make(
        "/api/v1/nodes",
        json!({"metadata": {"name": node}, "status": status}),
    )
    .await
    .map(drop)
}

async fn log(
    State(logs): State<Arc<Logs>>,
    Path((_, pod, container)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let previous = query.is_some_and(|query| query.contains("previous=true"));
    let previous = if previous { "/previous" } else { "" };
    match logs.get(format!("{pod}/{container}{previous}").as_str()) {
        Some(text) => (StatusCode::OK, (*text).to_owned()),
        None => (StatusCode::NOT_FOUND, "no such container".into()),
    }
}

fn acceptor() -> Result<TlsAcceptor> {
    // Another crate in the test may have chosen already; either choice will do.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let identity = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .context("the kubelet's certificate")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Addr = std::net::SocketAddr;
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A caller that goes away in the handshake is no concern of the next.
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

/// A pod on a node, with its status.
pub(crate) fn pod(name: &str, labels: &Value, node: &str, containers: &Value, status: &Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": node, "containers": containers},
        "status": status,
    })
}
