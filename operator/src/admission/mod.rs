//! The validating admission webhook: the API server asks here before it stores a platform, and a wrong one is refused with
//! the field, the value and the remedy. It shares [`validate`](crate::validate) with the reconcile, which checks again what
//! came in while no webhook answered.
//!
//! [`review`] answers, and is pure; [`server`] serves it over TLS; [`rotation`] decides which certificates are made when,
//! and is pure; [`keeper`] keeps them in a Secret, and their authority in the webhook's configuration.

pub mod certificate;
mod doubt;
mod keeper;
pub mod review;
pub mod rotation;
pub mod server;

use std::sync::Arc;

use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::leader::Leadership;
use crate::settings::Settings;
use crate::telemetry::Metrics;
use rotation::Lifetimes;

/// How the webhook is served.
#[derive(Debug)]
pub struct Webhook {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it shows.
    pub certified: Certified,
}

/// What the webhook is called, and where its certificates are.
#[derive(Clone, Debug)]
pub struct Certified {
    /// DNS names or addresses by which the API server calls it.
    pub names: Vec<String>,
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret with the authority and the certificate.
    pub secret: String,
    /// Name of the `ValidatingWebhookConfiguration` that gets the authority.
    pub configuration: String,
    /// How long certificates hold.
    pub lifetimes: Lifetimes,
}

/// Serves the webhook and keeps its certificates until `stop` is cancelled.
pub async fn run(
    webhook: Webhook,
    client: Client,
    leadership: Leadership,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let served = Arc::new(server::Served::new(metrics.clone()));
    let answers = review::Reviewer::new(settings, metrics.clone());
    let keep = keeper::keep(webhook.certified, client, leadership, served.clone(), metrics);
    let serve = server::serve(webhook.listener, answers, served, stop);
    tokio::select! {
        served = serve => if let Err(error) = served {
            error!(%error, "the webhook is not served");
        },
        () = keep => {}
    }
}
