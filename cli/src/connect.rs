//! The cluster: standard flags of kubectl, and errors that say what to do.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use logistics_operator::api;

/// Longest time to connect to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence of the API server.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Which cluster, and which namespace of it.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct Flags {
    /// The kubeconfig file. Default: KUBECONFIG, then ~/.kube/config, then the cluster that this runs in.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace. Default: the context's, then default.
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// A cluster that can be asked.
#[derive(Clone)]
pub struct Cluster {
    /// A client of its API server.
    pub client: Client,
    /// The namespace that is meant.
    pub namespace: String,
    /// The API server's address, for messages.
    pub url: String,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No kubeconfig, or a wrong one.
    #[error("no cluster: {0}; give --kubeconfig FILE, or set KUBECONFIG")]
    Config(String),
    /// The kubeconfig has no such context.
    #[error("the kubeconfig has no context {wanted:?}; it has {known}")]
    Context {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// The API server cannot be reached.
    #[error(
        "the API server at {url} does not answer: {why}; is the cluster running, and is this its kubeconfig?"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        why: String,
    },
    /// The API server refused a request.
    #[error("{what} cannot be read: {why}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The API server's message, and what to do.
        why: String,
    },
    /// There is no such platform.
    #[error("there is no LogisticsPlatform {name} in the namespace {namespace}; there {known}")]
    NotFound {
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// What there is.
        known: String,
    },
}

impl Flags {
    /// Reads the kubeconfig; no request is sent.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub async fn connect(&self) -> Result<Cluster, ClusterError> {
        // Both TLS libraries of the dependencies may be compiled in; either choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| ClusterError::Config(error.to_string()))?;
        Ok(Cluster {
            client,
            namespace,
            url,
        })
    }

    async fn config(&self) -> Result<Config, ClusterError> {
        let wrong = |error: &dyn std::error::Error| ClusterError::Config(chain(error));
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).map_err(|error| wrong(&error))?,
            None if self.context.is_some() => Kubeconfig::read().map_err(|error| wrong(&error))?,
            None => return Config::infer().await.map_err(|error| wrong(&error)),
        };
        if let Some(wanted) = &self.context {
            let known: Vec<_> = kubeconfig
                .contexts
                .iter()
                .map(|context| context.name.clone())
                .collect();
            if !known.contains(wanted) {
                return Err(ClusterError::Context {
                    wanted: wanted.clone(),
                    known: if known.is_empty() {
                        "none".into()
                    } else {
                        known.join(", ")
                    },
                });
            }
        }
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| wrong(&error))
    }
}

impl Cluster {
    /// What a failed request means, said with what to do.
    #[must_use]
    pub fn error(&self, what: &str, error: &kube::Error) -> ClusterError {
        match error {
            kube::Error::Api(status) => ClusterError::Refused {
                what: what.into(),
                why: refusal(what, status.code, &status.message),
            },
            error => ClusterError::Unreachable {
                url: self.url.clone(),
                why: chain(error),
            },
        }
    }
}

/// The API server's message with what to do.
#[must_use]
pub fn refusal(what: &str, code: u16, message: &str) -> String {
    match code {
        401 => format!("{message}; log in again, the credentials of the kubeconfig are not accepted"),
        403 => format!("{message}; ask for a role that may get and list it"),
        404 if what.contains("LogisticsPlatform") => format!(
            "the cluster does not know {}; install the operator's chart, which brings the definition",
            api::GROUP
        ),
        _ => message.to_owned(),
    }
}

/// An error with its causes, each said once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
