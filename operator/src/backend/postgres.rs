//! PostgreSQL: whether a client can begin a session there. It is only asked, without a password and without a change.
//!
//! Two messages of the protocol are enough for that: the wish for TLS and the start of a session. A driver would bring
//! its SQL, its types and its authentication with it for a question that ends before any of them.

mod message;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use logistics_kafka_admin::Trust;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::message::Answer;
use super::{Backend, BackendError, BackendPlan, CALL_TIMEOUT};
use crate::reason::Reason;
use crate::validate::ValidPlatform;

/// How long the end of a connection is waited for.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a server is. Its databases share one reader.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How it is verified.
    pub trust: Trust,
}

impl Target {
    /// Where a platform's database is.
    #[must_use]
    pub fn new(valid: &ValidPlatform, trust: Trust) -> Self {
        Self {
            host: valid.database.host.clone(),
            port: valid.database.port,
            trust,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "PostgreSQL [{}]:{}", self.host, self.port)
        } else {
            write!(f, "PostgreSQL {}:{}", self.host, self.port)
        }
    }
}

/// That a session can begin on a server: all that is asked of one, and all that is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Session;

/// A server that can be asked.
pub trait Server: Send + Sync {
    /// Whether a client can begin a session.
    fn ask(&self) -> BoxFuture<'_, Result<(), BackendError>>;
}

/// How a server is asked.
pub type Connection = Box<dyn Server>;

/// Prepares to ask a server; it need not reach it yet.
type Connect = dyn Fn(&Target) -> Result<Connection, BackendError> + Send + Sync;

/// PostgreSQL and what speaks its protocol.
pub struct Postgres {
    connect: Box<Connect>,
}

impl Postgres {
    /// PostgreSQL that is reached by `connect`.
    #[must_use]
    pub fn new(connect: Box<Connect>) -> Self {
        Self { connect }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new(Box::new(|target| Ok(Box::new(Client::new(target)?))))
    }
}

impl Backend for Postgres {
    const NAME: &'static str = "postgres";
    // All platforms of a server want the same.
    const BATCH: usize = usize::MAX;
    const PACE: Duration = Duration::ZERO;
    type Target = Target;
    type Connection = Connection;
    type Item = Session;
    type Seen = Session;
    type Change = Infallible;

    fn connect(&self, target: &Target) -> Result<Connection, BackendError> {
        (self.connect)(target)
    }

    async fn observe(&self, connection: &Connection, _: &[Session]) -> Result<Session, BackendError> {
        connection.ask().await.map(|()| Session)
    }

    fn part(_: &[Session], _: &Session) -> Session {
        Session
    }

    fn plan(_: &[Session], _: &Session) -> BackendPlan<Infallible> {
        BackendPlan::default()
    }

    fn teardown(_: &[Session], _: &Session) -> Vec<Infallible> {
        Vec::new()
    }

    async fn apply(&self, _: &Connection, change: &Infallible) -> Result<(), BackendError> {
        match *change {}
    }
}

/// Why no session can begin.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no answer within {} s", CALL_TIMEOUT.as_secs())]
    Silent,
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    #[error("the server does not speak TLS; turn its ssl on, or set spec.database.tls.mode to Disabled")]
    WithoutTls,
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    #[error("{0}")]
    Server(String),
    #[error("the answer is not PostgreSQL's; check spec.database.host and port")]
    Foreign,
}

struct Client {
    target: Target,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Client {
    fn new(target: &Target) -> Result<Self, BackendError> {
        let tls = tls(target).map_err(|cause| BackendError {
            reason: Reason::InvalidAuthority,
            message: format!("{target}: {cause}"),
        })?;
        Ok(Self {
            target: target.clone(),
            tls,
        })
    }

    async fn begin(&self) -> Result<(), Refusal> {
        let connecting = TcpStream::connect((self.target.host.as_str(), self.target.port));
        let mut stream = connecting.await.map_err(Refusal::Connect)?;
        let Some((connector, name)) = &self.tls else {
            return start(stream).await;
        };
        stream
            .write_all(&message::WISH_FOR_TLS)
            .await
            .map_err(Refusal::Broken)?;
        match stream.read_u8().await.map_err(Refusal::Broken)? {
            b'S' => {}
            b'N' => return Err(Refusal::WithoutTls),
            // A server without memory for a session says so instead.
            b'E' => return Err(Refusal::Server("the server refuses connections".into())),
            _ => return Err(Refusal::Foreign),
        }
        let stream = connector.connect(name.clone(), stream).await;
        start(stream.map_err(Refusal::Tls)?).await
    }
}

impl Server for Client {
    fn ask(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async {
            let begun = tokio::time::timeout(CALL_TIMEOUT, self.begin()).await;
            begun
                .unwrap_or(Err(Refusal::Silent))
                .map_err(|refusal| BackendError {
                    reason: Reason::Unreachable,
                    message: format!("{}: {refusal}", self.target),
                })
        })
    }
}

/// Starts a session, and leaves when the server asks who is there: of that PostgreSQL makes no note.
async fn start(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Refusal> {
    stream
        .write_all(&message::start())
        .await
        .map_err(Refusal::Broken)?;
    let mut head = [0; message::HEAD];
    stream.read_exact(&mut head).await.map_err(Refusal::Broken)?;
    let length = message::length(head).ok_or(Refusal::Foreign)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(Refusal::Broken)?;
    match message::answer(head[0], &body) {
        Some(Answer::Alive) => {
            // What it still has to say does not matter.
            let _ = tokio::time::timeout(LEAVE_TIMEOUT, leave(&mut stream)).await;
            Ok(())
        }
        Some(Answer::Away(message)) => Err(Refusal::Server(message)),
        None => Err(Refusal::Foreign),
    }
}

/// Says goodbye and reads to the end: a connection that is dropped with something unread, such as a ticket of TLS, is reset,
/// and of that PostgreSQL makes a note.
async fn leave(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 256];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// TLS as a platform says; `None` without it.
fn tls(target: &Target) -> Result<Option<(TlsConnector, ServerName<'static>)>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &target.trust {
        Trust::Disabled => return Ok(None),
        Trust::System => builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's authorities cannot be used: {error}"))?,
        Trust::Pem(pem) => builder.with_root_certificates(authorities(pem)?),
    };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| format!("the host cannot be verified: {error}"))?;
    let config = Arc::new(builder.with_no_client_auth());
    Ok(Some((TlsConnector::from(config), name)))
}

fn authorities(pem: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the authority is not PEM: {error}"))?;
        store
            .add(certificate)
            .map_err(|error| format!("the authority is not usable: {error}"))?;
    }
    if store.is_empty() {
        return Err("the authority holds no PEM certificate".into());
    }
    Ok(store)
}
