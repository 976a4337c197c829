//! The operator's process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use logistics_operator::admission::rotation::Lifetimes;
use logistics_operator::admission::{Certified, Webhook};
use logistics_operator::backend::Outside;
use logistics_operator::controller::Parts;
use logistics_operator::leader::{Election, Timing};
use logistics_operator::names::MANAGER;
use logistics_operator::observe::Scope;
use logistics_operator::retry_after::RetryAfterLayer;
use logistics_operator::settings::Settings;
use logistics_operator::telemetry::{Health, Metrics};
use logistics_operator::{api, controller, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Longest time to connect to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence of a watch. The API server sends a bookmark at least once a minute.
const READ_TIMEOUT: Duration = Duration::from_mins(5);

/// Reconciles LogisticsPlatform objects into Kubernetes, Kafka and the schema registry.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  logistics-operator crd | kubectl apply --server-side -f -\n  logistics-operator run --watch-namespace logistics"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator against the cluster of the kubeconfig, or the one it runs in.
    Run(Run),
    /// Prints the `CustomResourceDefinition` as YAML.
    Crd,
    /// Takes the operator's finalizer off all platforms, so that they can be deleted without it. The chart runs it before it is
    /// uninstalled.
    #[command(after_help = "Example: logistics-operator uninstall --namespace logistics-system")]
    Uninstall(Place),
}

/// Which platforms are the operator's, and where it keeps its own objects.
#[derive(Args)]
struct Place {
    /// The only namespaces with platforms, separated by commas; all namespaces when absent.
    #[arg(
        long,
        env = "LOGISTICS_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE,…"
    )]
    watch_namespace: Vec<String>,
    /// The namespace of the operator itself, with its Lease; by default that of its pod, or of the kubeconfig's context.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// Name of the Lease by which one of several operators leads; others on it follow.
    #[arg(long, env = "LOGISTICS_LEASE_NAME", default_value = MANAGER)]
    lease_name: String,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    place: Place,
    /// Where the admission webhook is served over HTTPS; nowhere when absent.
    #[arg(
        long,
        env = "LOGISTICS_WEBHOOK_LISTEN",
        requires = "webhook_service",
        requires = "webhook_configuration"
    )]
    webhook_listen: Option<SocketAddr>,
    /// The Service by which the API server calls the webhook; its certificates are in the Secret of this name.
    #[arg(long, env = "LOGISTICS_WEBHOOK_SERVICE", value_name = "NAME")]
    webhook_service: Option<String>,
    /// The `ValidatingWebhookConfiguration` whose authority the leader keeps current.
    #[arg(long, env = "LOGISTICS_WEBHOOK_CONFIGURATION", value_name = "NAME")]
    webhook_configuration: Option<String>,
    /// YAML file with what the cluster's administrator sets, such as what a namespace may have; defaults when absent.
    #[arg(long, env = "LOGISTICS_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "LOGISTICS_ADMIN_LISTEN", default_value = "[::]:9090")]
    admin_listen: SocketAddr,
    /// OTLP/gRPC receiver of the operator's spans, for example `http://collector:4317`; none when absent.
    #[arg(long, env = "LOGISTICS_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// Lowest level that is logged: error, warn, info, debug, trace, or a filter of tracing.
    #[arg(long, env = "LOGISTICS_LOG_LEVEL", default_value = "info")]
    log_level: String,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Crd => {
            print!("{}", api::to_yaml()?);
            Ok(())
        }
        Command::Uninstall(place) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(uninstall(place)),
        Command::Run(run) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(serve(run)),
    }
}

async fn uninstall(place: Place) -> anyhow::Result<()> {
    let scope = Scope::new(place.watch_namespace)?;
    let telemetry = telemetry::init("info", None)?;
    install_tls()?;
    let config = cluster().await?;
    let namespace = non_empty(place.namespace).unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let timing = Timing::default();
    let lease = &place.lease_name;
    let released =
        logistics_operator::uninstall::uninstall(client, &scope, &namespace, lease, &timing).await?;
    tracing::info!(released, "platforms can be deleted without the operator");
    telemetry.shutdown();
    Ok(())
}

/// Kafka's TLS is librdkafka's own; all the rest is rustls with ring.
fn install_tls() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("another TLS provider is installed already");
    }
    Ok(())
}

/// The cluster of the kubeconfig, or the one this process runs in.
async fn cluster() -> anyhow::Result<Config> {
    let mut config = Config::infer()
        .await
        .context("no cluster: set KUBECONFIG, or run inside one")?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // A failed request is reported and retried by its reconcile, with the back-off of its platform.
    config.default_retry = false;
    Ok(config)
}

async fn serve(run: Run) -> anyhow::Result<()> {
    // First of all, so that its error is the only thing to read.
    let settings = match &run.settings {
        Some(path) if !path.as_os_str().is_empty() => Settings::load(path)?,
        _ => Settings::default(),
    };
    let scope = Scope::new(run.place.watch_namespace)?;
    let telemetry = telemetry::init(&run.log_level, non_empty(run.otlp_endpoint).as_deref())?;
    install_tls()?;
    let config = cluster().await?;
    let election = Election {
        namespace: non_empty(run.place.namespace).unwrap_or_else(|| config.default_namespace.clone()),
        name: run.place.lease_name,
        identity: identity(),
        timing: Timing::default(),
    };
    let webhook = webhook(
        run.webhook_listen,
        run.webhook_service,
        run.webhook_configuration,
        &election.namespace,
    )
    .await?;
    let client = ClientBuilder::try_from(config)?
        .with_layer(&RetryAfterLayer)
        .build();
    let stop = CancellationToken::new();
    let (health, metrics) = (Arc::new(Health::default()), Metrics::new());
    let admin = telemetry::serve(run.admin_listen, health.clone(), metrics.clone(), stop.clone());
    let admin = tokio::spawn(admin);
    tokio::spawn(stop_on_signal(stop.clone())?);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespaces = %scope,
        "the operator starts"
    );
    let parts = Parts {
        client,
        outside: Outside::default(),
        scope,
        settings: Arc::new(settings),
        election: Some(election),
        webhook,
        health,
        metrics,
    };
    let operator = controller::run(parts, stop.clone());
    tokio::select! {
        () = operator => {}
        served = admin => {
            served?.with_context(|| format!("--admin-listen {} cannot be served", run.admin_listen))?;
        }
    }
    tracing::info!("the operator ends");
    telemetry.shutdown();
    Ok(())
}

async fn webhook(
    listen: Option<SocketAddr>,
    service: Option<String>,
    configuration: Option<String>,
    namespace: &str,
) -> anyhow::Result<Option<Webhook>> {
    let (Some(listen), Some(service), Some(configuration)) =
        (listen, non_empty(service), non_empty(configuration))
    else {
        return Ok(None);
    };
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("--webhook-listen {listen} cannot be served; give it another address"))?;
    let certified = Certified {
        names: vec![format!("{service}.{namespace}.svc")],
        namespace: namespace.to_owned(),
        secret: service,
        configuration,
        lifetimes: Lifetimes::default(),
    };
    Ok(Some(Webhook { listener, certified }))
}

/// A name of this process that no other one has, nor an earlier one in the same pod.
fn identity() -> String {
    let pod = ["POD_NAME", "HOSTNAME"]
        .iter()
        .find_map(|name| non_empty(std::env::var(name).ok()));
    let pod = pod.unwrap_or_else(|| MANAGER.to_owned());
    format!("{pod}_{:08x}", rand::random::<u32>())
}

/// An empty value of an environment variable is the same as none.
fn non_empty(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    })
}
