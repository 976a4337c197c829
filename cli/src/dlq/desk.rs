//! The control port of a service's pod, through the API server.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, ResourceExt};
use logistics_operator::names::{COMPONENT, INSTANCE};
use logistics_schemas::Workload;
use logistics_schemas::config::CONTROL_PORT;
use logistics_schemas::dead_letters::{Content, Page, Refusal, SUBJECT_HEADER, Settled};
use serde::de::DeserializeOwned;

use crate::connect::{Cluster, ClusterError, chain};

/// Longest answer that is read, in bytes: a page of records, or one record.
const LONGEST_ANSWER: usize = 32 << 20;

/// Why parked records could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No pod can be asked.
    #[error(
        "{platform} has no ready pod of {workload} in the namespace {namespace}; see kubectl logistics status {platform} -n {namespace}"
    )]
    NoPod {
        /// The platform.
        platform: String,
        /// The service.
        workload: Workload,
        /// Where it was looked for.
        namespace: String,
    },
    /// The connection broke.
    #[error("pod {pod} does not answer: {why}; try again")]
    Connection {
        /// The pod.
        pod: String,
        /// Why.
        why: String,
    },
    /// The service refused.
    #[error("{0}")]
    Refused(String),
}

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Redrive,
    Purge,
}

/// A service that can be asked.
pub(super) struct Desk {
    pod: String,
    subject: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Desk {
    pub(super) async fn open(
        cluster: &Cluster,
        platform: &str,
        workload: Workload,
    ) -> Result<Self, DeskError> {
        let pod = ready_pod(cluster, platform, workload).await?;
        let subject = whoami(&cluster.client)
            .await
            .map_err(|error| cluster.error("your own name", &error))?;
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let mut forward = api
            .portforward(&pod, &[CONTROL_PORT])
            .await
            .map_err(|error| cluster.error(&format!("the port {CONTROL_PORT} of pod {pod}"), &error))?;
        let broken = |why: String| DeskError::Connection {
            pod: pod.clone(),
            why,
        };
        let stream = forward
            .take_stream(CONTROL_PORT)
            .ok_or_else(|| broken("there is no stream".into()))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(chain(&error)))?;
        tokio::spawn(async move {
            // How it ends is told by the request that it answers.
            let _ = connection.await;
            drop(forward);
        });
        Ok(Self { pod, subject, sender })
    }

    pub(super) async fn list(&mut self, all: bool, after: Option<&str>) -> Result<Page, DeskError> {
        let after = after.map_or_else(String::new, |id| format!("&after={id}"));
        self.ask(Method::GET, &format!("/dlq?all={all}{after}")).await
    }

    pub(super) async fn show(&mut self, id: &str) -> Result<Content, DeskError> {
        self.ask(Method::GET, &format!("/dlq/{}", checked(id)?)).await
    }

    pub(super) async fn change(&mut self, verb: Verb, id: &str) -> Result<Settled, DeskError> {
        let verb = match verb {
            Verb::Redrive => "redrive",
            Verb::Purge => "purge",
        };
        self.ask(Method::POST, &format!("/dlq/{}/{verb}", checked(id)?))
            .await
    }

    async fn ask<T: DeserializeOwned>(&mut self, method: Method, path: &str) -> Result<T, DeskError> {
        let broken = |why: String| DeskError::Connection {
            pod: self.pod.clone(),
            why,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header(SUBJECT_HEADER, &self.subject)
            .body(Full::default())
            .map_err(|error| broken(chain(&error)))?;
        let answer = self.sender.send_request(request).await;
        let (parts, body) = answer.map_err(|error| broken(chain(&error)))?.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| broken(error.to_string()))?.to_bytes();
        if parts.status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| broken(error.to_string()));
        }
        let refusal = serde_json::from_slice::<Refusal>(&body);
        Err(DeskError::Refused(match refusal {
            Ok(refusal) => refusal.error,
            Err(_) if parts.status == StatusCode::NOT_FOUND => {
                format!(
                    "pod {} knows no parked records; is it of an older release?",
                    self.pod
                )
            }
            Err(_) => format!("pod {} answered {}", self.pod, parts.status),
        }))
    }
}

/// An id as part of a path: nothing else may be in it.
fn checked(id: &str) -> Result<&str, DeskError> {
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<i64>().is_ok());
    let mut parts = id.split('/');
    let topic = parts.next().unwrap_or_default();
    // Kafka's own rule for names.
    let named = !["", ".", ".."].contains(&topic)
        && topic
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if named && number(parts.next()) && number(parts.next()) && parts.next().is_none() {
        return Ok(id);
    }
    Err(DeskError::Refused(format!(
        "{id:?} is no record; give topic/partition/offset as dlq list shows it, for example shipment.created/0/17"
    )))
}

async fn ready_pod(cluster: &Cluster, platform: &str, workload: Workload) -> Result<String, DeskError> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let selector = format!("{INSTANCE}={platform},{COMPONENT}={workload}");
    let pods = api.list(&ListParams::default().labels(&selector)).await;
    let pods = pods.map_err(|error| cluster.error("pods", &error))?;
    let ready = pods.iter().find(|pod| is_ready(pod));
    ready.map(ResourceExt::name_any).ok_or_else(|| DeskError::NoPod {
        platform: platform.into(),
        workload,
        namespace: cluster.namespace.clone(),
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().filter_map(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Who the API server takes the caller for.
async fn whoami(client: &Client) -> Result<String, kube::Error> {
    let review = Api::<SelfSubjectReview>::all(client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = review.status.and_then(|status| status.user_info);
    Ok(user.and_then(|user| user.username).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_in_the_log_becomes_part_of_a_path() {
        assert!(checked("shipment.status_changed/3/1041").is_ok());
        for wrong in [
            "",
            "shipment.created",
            "a/b/c",
            "a/1/2/redrive",
            "../1/2",
            "a?b/1/2",
            "a/1",
        ] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
