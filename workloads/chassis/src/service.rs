//! The frame of a running service: what it has from the start, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use logistics_schemas::Workload;
use logistics_schemas::config::{PlatformIdentity, ServiceConfig};
use logistics_schemas::topics::Topic;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::service::Routes;

use crate::admin::{self, Readiness};
use crate::cache::Cache;
use crate::codec::{Codec, CodecMetrics};
use crate::config::REVISION_VARIABLE;
use crate::credential::CredentialError;
use crate::identity::{KeyFileError, Verifier};
use crate::metrics::Metrics;
use crate::shutdown::{BACKGROUND, Shutdown};

use crate::{broken, migrate, server, storage};

/// Names the instance, for example a pod.
const INSTANCE_VARIABLE: &str = "POD_NAME";

/// An error of background work.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service ended. Each means that the process should end with a failure, except [`RunError::Stopped`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A port is taken or not allowed.
    #[error("{field}: cannot listen on {address}: {source}; choose a free port")]
    Listen {
        /// The configuration field.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The token keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The database's credentials cannot be read, and waiting would not help.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The service's own preparation failed.
    #[error("{what}: {source}")]
    Prepare {
        /// What was prepared.
        what: &'static str,
        /// Why it failed.
        source: TaskError,
    },
    /// Background work ended by itself.
    #[error("{name} ended: {reason}")]
    Task {
        /// Which.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// gRPC could not be served.
    #[error("grpc: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// The stop was asked for before the service was ready.
    #[error("stopped before it was ready")]
    Stopped,
}

/// Which process this is: on every span, log line and metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// What it does: a workload's name, or `migrate`.
    pub component: &'static str,
    /// Kubernetes namespace of the platform.
    pub namespace: String,
    /// Name of the platform.
    pub platform: String,
    /// The pod or host.
    pub instance: String,
    /// The release.
    pub version: &'static str,
    /// The revision of the workload, from [`REVISION_VARIABLE`]; empty outside of Kubernetes.
    pub revision: String,
}

impl ProcessIdentity {
    /// The identity of this process, from its configuration and its environment.
    #[must_use]
    pub fn from_environment(component: &'static str, platform: &PlatformIdentity) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            component,
            namespace: platform.namespace.clone(),
            platform: platform.name.clone(),
            instance: variable(INSTANCE_VARIABLE)
                .or_else(|| variable("HOSTNAME"))
                .unwrap_or_else(|| format!("pid-{}", std::process::id())),
            version: env!("CARGO_PKG_VERSION"),
            revision: variable(REVISION_VARIABLE).unwrap_or_default(),
        }
    }

    /// `service.name` of OpenTelemetry, for example `logistics-shipment`.
    #[must_use]
    pub fn service_name(&self) -> String {
        format!("logistics-{}", self.component)
    }

    /// `ce_source` of the events that it writes.
    #[must_use]
    pub fn event_source(&self) -> String {
        format!(
            "/logistics/{}/{}/{}",
            self.namespace, self.platform, self.component
        )
    }
}

/// A service that has its ports, its keys and its database, and serves nothing yet.
#[derive(Debug)]
pub struct Chassis {
    /// The configuration.
    pub config: Arc<ServiceConfig>,
    /// Which process this is.
    pub process: Arc<ProcessIdentity>,
    /// The metrics of `/metrics`.
    pub metrics: Metrics,
    /// The state of `/readyz`.
    pub readiness: Readiness,
    /// When to stop.
    pub shutdown: Shutdown,
    /// The service's schema in PostgreSQL.
    pub pool: PgPool,
    verifier: Verifier,
    listener: TcpListener,
    admin_address: SocketAddr,
    control: JoinSet<()>,
    tasks: JoinSet<(&'static str, Result<(), TaskError>)>,
}

impl Chassis {
    /// Binds both ports, answers probes, and waits until the database can be used and has the schema that
    /// `migrations` describes.
    pub async fn start(
        config: ServiceConfig,
        process: ProcessIdentity,
        shutdown: Shutdown,
        migrations: &migrate::ServiceMigrations,
    ) -> Result<Self, RunError> {
        broken::confess();
        let listener = bind("grpc.listen", config.grpc.listen).await?;
        let admin_listener = bind("admin.listen", config.admin.listen).await?;
        let admin_address = admin_listener.local_addr().unwrap_or(config.admin.listen);
        let metrics = Metrics::new(&process.revision);
        let readiness = Readiness::default();
        readiness.wait_for(storage::WAITING);
        readiness.wait_for(server::WAITING);
        let mut tasks = JoinSet::new();
        let served = admin::serve(admin_listener, readiness.clone(), metrics.clone());
        tasks.spawn(async { ("admin", served.await.map_err(Into::into)) });
        let verifier = Verifier::load(&config.auth)?;
        let reload = verifier.clone().reload(shutdown.drained());
        tasks.spawn(async {
            ("token keys", {
                reload.await;
                Ok(())
            })
        });

        let (pool, refresh) = storage::open(&config.database, config.workload.name())?;
        let refresh = refresh.run(shutdown.drained());
        tasks.spawn(async {
            ("database credentials", {
                refresh.await;
                Ok(())
            })
        });
        tokio::select! {
            () = storage::wait_until_usable(&pool, migrations) => readiness.done(storage::WAITING),
            () = shutdown.requested().cancelled_owned() => return Err(RunError::Stopped),
        }
        tracing::info!(
            workload = %config.workload,
            grpc = %listener.local_addr().unwrap_or(config.grpc.listen),
            admin = %admin_address,
            "the database is usable"
        );
        Ok(Self {
            config: Arc::new(config),
            process: Arc::new(process),
            metrics,
            readiness,
            shutdown,
            pool,
            verifier,
            listener,
            admin_address,
            control: JoinSet::new(),
            tasks,
        })
    }

    /// Where gRPC is served; the real port where the configured one is 0.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.config.grpc.listen)
    }

    /// Where the admin port is served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Which service this is.
    #[must_use]
    pub fn workload(&self) -> Workload {
        self.config.workload
    }

    /// The codec of these topics: see [`Codec::open`] for how long it waits for the schema registry.
    pub async fn codec(&mut self, topics: &[Topic]) -> Result<Codec, RunError> {
        let (config, pool) = (Arc::clone(&self.config), self.pool.clone());
        let (registry, prefix) = (&config.schema_registry, &config.kafka.topic_prefix);
        let metrics = CodecMetrics::register(&self.metrics);
        let opened = tokio::select! {
            opened = Codec::open(registry, prefix, topics, pool, metrics) => opened,
            () = self.shutdown.requested().cancelled_owned() => return Err(RunError::Stopped),
        };
        let (codec, lookup) = opened.map_err(|source| RunError::Prepare {
            what: "schema registry",
            source: source.into(),
        })?;
        let stop = self.shutdown.requested();
        self.spawn("schema lookup", async move {
            lookup.run(stop.clone()).await;
            // A service ends when one of its tasks does.
            stop.cancelled().await;
            Ok(())
        });
        Ok(codec)
    }

    /// What keeps answers for some seconds, if the configuration has one. It is not waited for.
    pub fn cache(&mut self) -> Option<Cache> {
        let (cache, keeper) = Cache::open(self.config.cache.as_ref()?, &self.metrics);
        let stop = self.shutdown.drained();
        self.spawn("cache", async move {
            keeper.run(stop).await;
            Ok(())
        });
        Some(cache)
    }

    /// Serves what those who run the platform may do, on the control port, for as long as the process lives.
    pub(crate) async fn serve_control(&mut self, routes: axum::Router) -> Result<(), RunError> {
        let listener = bind("control.listen", self.config.control.listen).await?;
        self.control.spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(())
    }

    /// Starts background work, which watches [`Chassis::shutdown`]. When it ends before the stop was asked for, the
    /// service ends.
    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), TaskError>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Serves gRPC until the stop is asked for or background work fails, then stops in order.
    pub async fn serve(mut self, routes: Routes) -> Result<(), RunError> {
        let served = server::serve(server::Server {
            longest_stream: Duration::from_secs(self.config.streams.max_seconds.into()),
            listener: self.listener,
            routes,
            verifier: self.verifier,
            metrics: self.metrics,
            readiness: self.readiness,
            shutdown: self.shutdown.clone(),
        });
        tokio::pin!(served);
        let outcome = tokio::select! {
            outcome = &mut served => outcome.map_err(RunError::from),
            failure = first_failure(&mut self.tasks, &self.shutdown) => {
                tracing::error!(error = %failure, "stopping");
                self.shutdown.request();
                served.await?;
                Err(failure)
            }
        };
        self.shutdown.drained().cancel();
        let stopped = tokio::time::timeout(BACKGROUND, finish(&mut self.tasks)).await;
        if stopped.is_err() {
            tracing::warn!("background work did not stop in time; it is resumed by the next process");
        }
        self.tasks.shutdown().await;
        // A connection that is stuck must not keep the process.
        let _ = tokio::time::timeout(BACKGROUND, self.pool.close()).await;
        outcome
    }
}

async fn bind(field: &'static str, address: SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| RunError::Listen {
            field,
            address,
            source,
        })
}

/// Waits until background work ends before the stop was asked for. What ends afterwards has done its part.
async fn first_failure(
    tasks: &mut JoinSet<(&'static str, Result<(), TaskError>)>,
    shutdown: &Shutdown,
) -> RunError {
    while let Some(ended) = tasks.join_next().await {
        if !shutdown.requested().is_cancelled() {
            return failure(ended);
        }
        if let Ok((name, Err(error))) = ended {
            tracing::warn!(task = name, %error, "ended with an error");
        }
    }
    std::future::pending().await
}

type Ended = Result<(&'static str, Result<(), TaskError>), tokio::task::JoinError>;

fn failure(ended: Ended) -> RunError {
    let (name, reason) = match ended {
        Ok((name, Ok(()))) => (name, "nothing asked it to".to_owned()),
        Ok((name, Err(error))) => (name, error.to_string()),
        Err(error) => ("background work", error.to_string()),
    };
    RunError::Task { name, reason }
}

/// Waits for all but the admin port, which never ends by itself.
async fn finish(tasks: &mut JoinSet<(&'static str, Result<(), TaskError>)>) {
    while tasks.len() > 1 {
        if let Some(Ok((name, Err(error)))) = tasks.join_next().await {
            tracing::warn!(task = name, %error, "ended with an error");
        }
    }
}
