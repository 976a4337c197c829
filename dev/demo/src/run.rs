//! The demo, from the input to the report.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use dev_flights::Leg;
use dev_flights::legs::first_legs;
use dev_flights::story::{self, Totals};
use dev_rig::issuer::Issuer;
use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use crate::call::{Caller, Services};
use crate::report::{CountsDiffer, Place, Report, differences};
use crate::send::{Sender, Sent, send};
use crate::trace::Tracing;
use crate::{counts, platform, tell};

/// How often it is looked whether tracking and analytics have seen all.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub kubeconfig: PathBuf,
    /// Folder with the flights; `None` takes the pinned package from the cache.
    pub data: Option<PathBuf>,
    /// How many legs.
    pub legs: usize,
    /// Calls under way at once.
    pub concurrency: usize,
    /// Port-forwards to each service.
    pub connections: usize,
    /// Namespace of the platform.
    pub namespace: String,
    /// Name of the platform.
    pub platform: String,
    /// The custom resource to apply.
    pub sample: PathBuf,
    /// What replaces parts of the sample.
    pub release: platform::Release,
    /// Private key of the token issuer.
    pub issuer_key: Option<PathBuf>,
    /// Where the client's spans go.
    pub otlp_endpoint: Option<String>,
    /// How long the platform may take to be Ready.
    pub ready_limit: Duration,
    /// How long tracking and analytics may take to see all.
    pub settle_limit: Duration,
}

/// Tokens of the three roles, for one account.
pub struct Callers {
    /// Reads everything.
    pub admin: Caller,
    /// Orders.
    pub user: Caller,
    /// Scans.
    pub shipman: Caller,
}

/// Runs the demo. The error is [`platform::NotReady`] or [`CountsDiffer`] where it is one of these.
pub async fn run(options: &Options) -> Result<Report> {
    let mut custom_resource = platform::sample(
        &options.sample,
        &options.namespace,
        &options.platform,
        &options.release,
    )?;
    let issuer = issuer(options, &custom_resource)?;
    let client = client(&options.kubeconfig).await?;
    // Somebody's own cluster may have no Redis.
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &options.namespace);
    let secret = platform::redis_secret(&options.platform);
    if secrets.get_metadata_opt(&secret).await?.is_some() {
        platform::use_cache(&mut custom_resource);
    }
    let (legs, ()) = tokio::try_join!(read(options), bring_up(options, &client, &custom_resource))?;
    let legs = Arc::new(legs);
    let totals = story::totals(&legs);
    tell::input(&legs, &totals);

    // An account of its own: what other runs left in the same platform is not counted.
    let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let account_id = format!("demo-{run}");
    let callers = callers(&issuer, &account_id)?;
    let services = || Services::of(&client, &options.namespace, &options.platform);
    let sender = Arc::new(Sender {
        connections: (0..options.connections.max(1)).map(|_| services()).collect(),
        user: callers.user.clone(),
        shipman: callers.shipman.clone(),
        run,
        concurrency: options.concurrency,
        tracing: Tracing::start(options.otlp_endpoint.as_deref())?,
    });
    tell::sending(&account_id, options);
    let sent = send(&sender, &legs, tell::Progress::default().teller()).await?;
    if let Some(sender) = Arc::into_inner(sender) {
        sender.tracing.finish().await?;
    }
    let outcome = Outcome {
        account_id,
        totals,
        sent,
    };
    report(options, &services(), &callers.admin, &legs, outcome).await
}

/// What a run has sent.
struct Outcome {
    account_id: String,
    totals: Totals,
    sent: Sent,
}

/// Waits until all is seen, and reads what came of it.
async fn report(
    options: &Options,
    services: &Services,
    admin: &Caller,
    legs: &[Leg],
    outcome: Outcome,
) -> Result<Report> {
    let Outcome {
        account_id,
        totals,
        sent,
    } = outcome;
    let start = Instant::now();
    let counts = settle(options, services, admin, &totals, &sent).await?;
    let settle_seconds = start.elapsed().as_secs_f64();
    let (_, accuracy) = counts::analytics(services, admin).await?;
    if u64::try_from(accuracy.arrivals) != Ok(totals.arrivals) {
        let line = format!(
            "analytics has {} arrivals, sent were {}",
            accuracy.arrivals, totals.arrivals
        );
        return Err(CountsDiffer(vec![line]).into());
    }
    Ok(Report {
        account_id,
        platform: kubectl_get(options)?,
        timeline: crate::read_back::timeline(services, admin, legs, &sent).await?,
        accuracy: accuracy.into(),
        lanes: crate::read_back::lanes(services, admin).await?,
        input: totals,
        counts,
        dispositions: sent.dispositions,
        retries: sent.retries,
        send_seconds: sent.elapsed.as_secs_f64(),
        settle_seconds,
    })
}

/// Applies the platform and waits until it is Ready.
async fn bring_up(options: &Options, client: &Client, custom_resource: &serde_json::Value) -> Result<()> {
    platform::apply(client, custom_resource).await?;
    tell::applied(options);
    let start = Instant::now();
    let Options {
        namespace,
        platform,
        ready_limit,
        ..
    } = options;
    platform::ready(client, namespace, platform, *ready_limit, tell::condition).await?;
    tell::ready(start.elapsed());
    Ok(())
}

/// A client for the cluster of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    // Another crate may have chosen already; either choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let what = || format!("--kubeconfig {}", kubeconfig.display());
    let config = Kubeconfig::read_from(kubeconfig).with_context(what)?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    Ok(Client::try_from(config.with_context(what)?)?)
}

/// Tokens for an account.
pub fn callers(issuer: &Issuer, account: &str) -> Result<Callers> {
    let caller = |role: &str| Caller::with_token(&issuer.token(&format!("demo-{role}"), &[role], account)?);
    Ok(Callers {
        admin: caller("admin")?,
        user: caller("user")?,
        shipman: caller("shipman")?,
    })
}

/// The issuer that a platform trusts, with the development cluster's key.
fn issuer(options: &Options, custom_resource: &serde_json::Value) -> Result<Issuer> {
    let auth = &custom_resource["spec"]["auth"];
    let field = |name: &str| {
        auth[name]
            .as_str()
            .with_context(|| format!("--sample: spec.auth.{name} is missing"))
    };
    Issuer::from_file(&issuer_key(options), field("issuer")?, field("audience")?)
        .context("--issuer-key: the private key of the issuer whose JWKS the platform was given")
}

fn issuer_key(options: &Options) -> PathBuf {
    let beside = || {
        options
            .kubeconfig
            .parent()
            .unwrap_or(Path::new("."))
            .join("issuer/issuer.key")
    };
    options.issuer_key.clone().unwrap_or_else(beside)
}

async fn read(options: &Options) -> Result<Vec<Leg>> {
    let (data, count) = (options.data.clone(), options.legs);
    tokio::task::spawn_blocking(move || {
        let data = match data {
            Some(data) => data,
            None => dev_tools::install(&[dev_tools::Tool::Flights])?.flights_data(),
        };
        first_legs(&data, count)
    })
    .await?
}

/// Waits until tracking and analytics have seen all that was acknowledged; compares every count with the input.
async fn settle(
    options: &Options,
    services: &Services,
    admin: &Caller,
    totals: &Totals,
    sent: &Sent,
) -> Result<Vec<Place>> {
    let start = Instant::now();
    loop {
        let (tracking, analytics) = tokio::try_join!(
            counts::tracking(services, admin),
            counts::analytics(services, admin)
        )?;
        let mut places = vec![
            Place {
                name: "tracking",
                count: tracking,
            },
            Place {
                name: "analytics",
                count: analytics.0,
            },
        ];
        tell::settling(&places, totals);
        let done = differences(totals, &places).is_empty();
        if done || start.elapsed() > options.settle_limit {
            let shipment = counts::shipment(services, admin).await?;
            places.insert(
                0,
                Place {
                    name: "shipment",
                    count: shipment,
                },
            );
            let mut lines = differences(totals, &places);
            if sent.events != totals.events {
                lines.push(format!(
                    "acknowledged were {} events of {}",
                    sent.events, totals.events
                ));
            }
            return if lines.is_empty() {
                Ok(places)
            } else {
                Err(CountsDiffer(lines).into())
            };
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

fn kubectl_get(options: &Options) -> Result<String> {
    let pinned = dev_tools::install(&[])?.kubectl();
    let kubectl = if pinned.exists() { pinned } else { "kubectl".into() };
    let output = Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(&options.kubeconfig)
        .args(["get", "lp", "-n", &options.namespace, &options.platform])
        .output()
        .context("run kubectl; `make cluster` installs it")?;
    anyhow::ensure!(
        output.status.success(),
        "kubectl get lp: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
