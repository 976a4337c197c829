//! A client of the schema registry (the Confluent API): looks ids and schemas up, and never registers one; that is the
//! operator's.

use std::path::PathBuf;
use std::time::Duration;

use logistics_schemas::config::{Credentials, SchemaRegistry, TlsMode};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde::Deserialize;

use crate::credential::{CredentialError, credential};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read; a schema has a few kilobytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why the registry did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The certificate authorities cannot be read.
    #[error("schemaRegistry.tls.caFile: cannot read {path}: {source}")]
    AuthorityFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The client cannot be built.
    #[error("schemaRegistry: cannot make a client: {0}")]
    Client(reqwest::Error),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It does not know who asks.
    #[error(
        "the schema registry at {url} does not accept the credentials; correct the Secret that is mounted for \
         schemaRegistry.credentials"
    )]
    Unauthorized {
        /// The address.
        url: String,
    },
    /// No answer in time, or no connection.
    #[error("the schema registry at {url} does not answer: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong, with its causes.
        reason: String,
    },
    /// It knows no such subject, schema or id.
    #[error("the schema registry at {url} has no {what}")]
    NotFound {
        /// The address.
        url: String,
        /// What was asked for.
        what: String,
    },
    /// It answers something else than expected.
    #[error("the schema registry at {url} answered {status} for {what}")]
    Refused {
        /// The address.
        url: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: StatusCode,
    },
}

impl RegistryError {
    /// Whether the registry is no use now, whatever it is asked.
    pub(super) const fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Unauthorized { .. } | Self::Credential(_)
        )
    }
}

/// A client of one registry. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Registry {
    /// `None`: it has nothing, and nobody is asked.
    client: Option<Client>,
    url: String,
    credentials: Option<Credentials>,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

#[derive(Deserialize)]
struct SchemaAnswer {
    schema: String,
}

impl Registry {
    /// Makes a client; connects at the first question.
    pub fn new(config: &SchemaRegistry) -> Result<Self, RegistryError> {
        crate::crypto::install_provider();
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if config.tls.mode == TlsMode::Verify {
            builder = builder.https_only(true);
            if let Some(path) = &config.tls.ca_file {
                let pem = std::fs::read(path).map_err(|source| RegistryError::AuthorityFile {
                    path: path.clone(),
                    source,
                })?;
                builder = builder
                    .tls_certs_only(Certificate::from_pem_bundle(&pem).map_err(RegistryError::Client)?);
            }
        }
        Ok(Self {
            client: Some(builder.build().map_err(RegistryError::Client)?),
            url: config.url.trim_end_matches('/').to_owned(),
            credentials: config.credentials.clone(),
        })
    }

    /// One that has nothing, and is asked over no network.
    pub(super) fn empty() -> Self {
        Self {
            client: None,
            url: "nowhere".to_owned(),
            credentials: None,
        }
    }

    /// The id under which exactly this schema is registered for the subject.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let what = format!("schema of this version for subject {subject}");
        let request = |client: &Client| {
            client
                .post(format!("{}/subjects/{subject}", self.url))
                .json(&serde_json::json!({ "schema": schema }))
        };
        Ok(self.ask::<IdAnswer>(request, what).await?.id)
    }

    /// The schema with this id.
    pub async fn schema_of(&self, id: u32) -> Result<String, RegistryError> {
        let request = |client: &Client| client.get(format!("{}/schemas/ids/{id}", self.url));
        Ok(self
            .ask::<SchemaAnswer>(request, format!("schema with id {id}"))
            .await?
            .schema)
    }

    async fn ask<A: serde::de::DeserializeOwned>(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
        what: String,
    ) -> Result<A, RegistryError> {
        let not_found = |what| RegistryError::NotFound {
            url: self.url.clone(),
            what,
        };
        let Some(client) = &self.client else {
            return Err(not_found(what));
        };
        let unreachable = |error: reqwest::Error| RegistryError::Unreachable {
            url: self.url.clone(),
            reason: with_causes(&error.without_url()),
        };
        let mut request = request(client);
        if let Some(files) = &self.credentials {
            // Questions are few: each reads the files, so that credentials may change at any time.
            let username = credential("schemaRegistry.credentials.usernameFile", &files.username_file)?;
            let password = credential("schemaRegistry.credentials.passwordFile", &files.password_file)?;
            request = request.basic_auth(username, Some(password));
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(RegistryError::Unauthorized {
                url: self.url.clone(),
            });
        }
        if status == StatusCode::NOT_FOUND {
            return Err(not_found(what));
        }
        let refused = || RegistryError::Refused {
            url: self.url.clone(),
            what: what.clone(),
            status,
        };
        if !status.is_success() {
            return Err(refused());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(refused());
            }
        }
        serde_json::from_slice(&body).map_err(|_| refused())
    }
}

/// reqwest's own text leaves the reason out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text
}
