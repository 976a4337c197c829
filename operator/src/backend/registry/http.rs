//! Calls of a registry over the network.

use futures::future::BoxFuture;
use logistics_kafka_admin::{Credentials, Trust};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::{Http, Target};
use crate::backend::{BackendError, CALL_TIMEOUT};
use crate::reason::Reason;

/// A client of one registry.
pub(super) struct HttpClient {
    http: Client,
    url: String,
    credentials: Option<Credentials>,
}

impl HttpClient {
    pub(super) fn new(target: &Target) -> Result<Self, BackendError> {
        let fail = |message: String| BackendError {
            reason: Reason::InvalidAuthority,
            message,
        };
        let mut builder = Client::builder()
            .timeout(CALL_TIMEOUT)
            .connect_timeout(CALL_TIMEOUT / 2)
            .redirect(reqwest::redirect::Policy::none());
        if let Trust::Pem(pem) = &target.trust {
            let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| fail(format!("the registry's authority is not PEM: {}", chain(&error))))?;
            if authorities.is_empty() {
                return Err(fail("the registry's authority holds no PEM certificate".into()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        let http = builder.build().map_err(|error| fail(chain(&error)))?;
        Ok(Self {
            http,
            url: target.url.clone(),
            credentials: target.credentials.clone(),
        })
    }
}

impl Http for HttpClient {
    fn call<'a>(
        &'a self,
        method: Method,
        path: &'a str,
        body: Option<Value>,
    ) -> BoxFuture<'a, Result<(StatusCode, Vec<u8>), BackendError>> {
        let url = format!("{}{path}", self.url);
        let mut request = self
            .http
            .request(method, &url)
            .header("accept", "application/vnd.schemaregistry.v1+json");
        if let Some(Credentials { username, password }) = &self.credentials {
            request = request.basic_auth(username, Some(password));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Box::pin(async move {
            let answer = async {
                let response = request.send().await?;
                let status = response.status();
                Ok::<_, reqwest::Error>((status, response.bytes().await?.to_vec()))
            };
            answer.await.map_err(|error| BackendError {
                reason: Reason::Unreachable,
                message: format!("{url}: {}", chain(&error)),
            })
        })
    }
}

/// An error with its causes: the outermost text alone rarely says what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
