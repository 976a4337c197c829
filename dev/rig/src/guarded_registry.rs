//! A door before a schema registry: TLS, and only for a user, by HTTP's basic authentication. The registry itself asks an
//! identity provider who is there, and a whole provider would be a lot for one header.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::pki::Authority;
use crate::{SchemaRegistry, scratch};

const USER: &str = "logistics";
/// Longest head of a request.
const MAX_HEAD: usize = 16 * 1024;
const REFUSAL: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"registry\"\r\n\
                       content-length: 0\r\nconnection: close\r\n\r\n";

/// A door before a registry. It closes with this value.
#[derive(Debug)]
pub struct GuardedRegistry {
    /// Base URL of the Confluent-compatible API, before `/subjects`; TLS only.
    pub url: String,
    /// PEM file of the authority of the door's certificate.
    pub ca_file: PathBuf,
    /// Who may pass.
    pub username: String,
    password: Arc<Mutex<String>>,
    accepts: JoinHandle<()>,
    _folder: TempDir,
}

/// Opens a door before a registry.
pub async fn guarded_registry(registry: &SchemaRegistry) -> Result<GuardedRegistry> {
    let folder = scratch::folder("guarded-registry")?;
    let authority = Authority::new("dev-rig registry")?;
    let identity = authority.server(&["localhost", "127.0.0.1"])?;
    let ca_file = folder.path().join("ca.crt");
    std::fs::write(&ca_file, authority.certificate())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?,
        )?;
    let (port, behind) = (scratch::free_port()?, registry.port());
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("listen on 127.0.0.1:{port}"))?;
    let password = Arc::new(Mutex::new(scratch::secret()));
    let door = Door {
        tls: TlsAcceptor::from(Arc::new(config)),
        password: Arc::clone(&password),
        behind,
    };
    let plain = format!("http://127.0.0.1:{behind}");
    Ok(GuardedRegistry {
        url: registry.url.replace(&plain, &format!("https://127.0.0.1:{port}")),
        ca_file,
        username: USER.to_owned(),
        password,
        accepts: tokio::spawn(accept(listener, door)),
        _folder: folder,
    })
}

impl GuardedRegistry {
    /// The password that lets the user pass.
    #[must_use]
    pub fn password(&self) -> String {
        lock(&self.password).clone()
    }

    /// Another one does so from now on.
    #[must_use]
    pub fn change_password(&self) -> String {
        let password = scratch::secret();
        lock(&self.password).clone_from(&password);
        password
    }
}

impl Drop for GuardedRegistry {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

fn lock(password: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    password.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Door {
    tls: TlsAcceptor,
    password: Arc<Mutex<String>>,
    behind: u16,
}

async fn accept(listener: TcpListener, door: Door) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let door = door.clone();
                    // Whatever goes wrong is the client's to tell.
                    connections.spawn(async move { door.pass(client).await.ok() });
                }
            }
        }
    }
}

impl Door {
    /// One request, and its answer.
    async fn pass(&self, client: TcpStream) -> Result<()> {
        let mut client = self.tls.accept(client).await?;
        let mut request = Vec::new();
        let end = loop {
            let begun = request.len();
            client.read_buf(&mut request).await?;
            if let Some(at) = request.windows(4).position(|end| end == b"\r\n\r\n") {
                break at;
            }
            anyhow::ensure!(
                (begun + 1..MAX_HEAD).contains(&request.len()),
                "no head of a request"
            );
        };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        if !self.knows(&head) {
            client.write_all(REFUSAL.as_bytes()).await?;
            return Ok(client.shutdown().await?);
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.behind)).await?;
        // The next request has to say again who asks.
        server
            .write_all(format!("{head}\r\nconnection: close").as_bytes())
            .await?;
        server.write_all(&request[end..]).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    }

    fn knows(&self, head: &str) -> bool {
        let login = STANDARD.encode(format!("{USER}:{}", lock(&self.password)));
        let expected = format!("Basic {login}");
        head.lines().any(|line| {
            line.split_once(": ")
                .is_some_and(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == expected)
        })
    }
}
