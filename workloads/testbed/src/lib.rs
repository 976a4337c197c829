//! A platform without Kubernetes, for tests of the services: a migrated database with the services' roles, topics and
//! subjects as the operator makes them, a token issuer, and the configuration that the operator would write.
//!
//! The servers behind it are shared by the test binary ([`dev_rig::shared`]); database, roles and topic names are the
//! testbed's own, so that tests can run side by side.

mod cache;
mod feed;
mod guarded;
mod log;
mod registry;
mod requests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_rig::issuer::Issuer;
use logistics_chassis::migrate::{self, MigrateError, ServiceMigrations};
use logistics_chassis::service::{Chassis, ProcessIdentity, RunError};
use logistics_chassis::shutdown::Shutdown;
use logistics_schemas::config::{
    Auth, Cache, Database, Encoding, Listener, LogLevel, MigrateConfig, PlatformIdentity, SchemaRegistry,
    ServiceConfig, ServiceRole, Streams, Tls, TlsMode,
};
use logistics_schemas::{Workload, topics};
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

pub use cache::{cache_config, write_cache_password};
pub use feed::{FeedRecord, Numbers};
pub use log::{Log, LogRecord};
pub use requests::{order, scan};

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "logistics";
/// Nobody listens there.
const ABSENT: &str = "127.0.0.1:1";
/// Partitions of each topic.
pub const PARTITIONS: i32 = 6;

/// A platform of its own.
#[derive(Debug)]
pub struct Testbed {
    /// Signs tokens that the services accept.
    pub issuer: Issuer,
    /// The database, and its owner.
    pub database: dev_rig::Database,
    folder: tempfile::TempDir,
    platform: PlatformIdentity,
    topic_prefix: String,
    postgres: &'static dev_rig::Postgres,
    log: Option<Log>,
    guarded: Option<guarded::Guarded>,
    registry: Option<&'static dev_rig::SchemaRegistry>,
    cache: Option<Cache>,
}

impl Testbed {
    /// A platform with everything, its database migrated for `services`.
    pub async fn start(services: &[&ServiceMigrations]) -> Result<Self> {
        let mut testbed = Self::database_only().await?;
        testbed.use_shared_servers().await?;
        testbed.migrate(services).await?;
        Ok(testbed)
    }

    /// A platform with a database that is still empty, and neither event log nor registry.
    pub async fn database_only() -> Result<Self> {
        Self::on(dev_rig::shared::postgres().await?).await
    }

    /// The same on a database server of the test's own, for example one that it kills.
    pub async fn on(postgres: &'static dev_rig::Postgres) -> Result<Self> {
        logistics_chassis::crypto::install_provider();
        let database = postgres.make_database("platform").await?;
        let testbed = Self {
            issuer: Issuer::generate(ISSUER, AUDIENCE)?,
            folder: tempfile::tempdir()?,
            platform: PlatformIdentity {
                namespace: "test".to_owned(),
                name: database.name.clone(),
            },
            topic_prefix: format!("{}.", database.name),
            postgres,
            log: None,
            guarded: None,
            registry: None,
            cache: None,
            database,
        };
        testbed.write("jwks.json", &testbed.issuer.jwks()?)?;
        testbed.write_credentials("owner", &testbed.database.username, &testbed.database.password)?;
        for workload in Workload::ALL {
            testbed.write_credentials(
                workload.name(),
                &testbed.role(workload),
                &Uuid::new_v4().simple().to_string(),
            )?;
        }
        Ok(testbed)
    }

    /// Migrates the database.
    pub async fn migrate(&self, services: &[&ServiceMigrations]) -> Result<(), MigrateError> {
        migrate::run(&self.migrate_config(), services).await
    }

    /// What the operator gives to the migration.
    #[must_use]
    pub fn migrate_config(&self) -> MigrateConfig {
        MigrateConfig {
            platform: self.platform.clone(),
            database: self.database_config("owner"),
            roles: Workload::ALL
                .map(|workload| ServiceRole {
                    workload,
                    username_file: self.file(workload.name()).join("username"),
                    password_file: self.file(workload.name()).join("password"),
                })
                .into(),
            log_level: LogLevel::Info,
        }
    }

    /// What the operator gives to a service; ports are chosen by the system.
    #[must_use]
    pub fn config(&self, workload: Workload) -> ServiceConfig {
        let any_port = || Listener {
            listen: ([127, 0, 0, 1], 0).into(),
        };
        ServiceConfig {
            platform: self.platform.clone(),
            workload,
            grpc: any_port(),
            admin: any_port(),
            control: any_port(),
            database: self.database_config(workload.name()),
            kafka: self.kafka_config(workload),
            schema_registry: SchemaRegistry {
                url: self
                    .registry
                    .map_or_else(|| format!("http://{ABSENT}"), |registry| registry.url.clone()),
                tls: plain(),
                credentials: None,
                encoding: Encoding::default(),
            },
            auth: Auth {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                jwks_file: self.file("jwks.json"),
            },
            otlp: None,
            cache: self.cache.clone().filter(|_| workload == Workload::Tracking),
            streams: Streams::default(),
            log_level: LogLevel::Info,
        }
    }

    /// The frame of a service of this platform; it stops without a lame duck phase.
    pub async fn chassis(
        &self,
        workload: Workload,
        instance: &str,
        migrations: &ServiceMigrations,
    ) -> Result<Chassis, RunError> {
        let process = ProcessIdentity {
            component: workload.name(),
            namespace: self.platform.namespace.clone(),
            platform: self.platform.name.clone(),
            instance: instance.to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            revision: "test".to_owned(),
        };
        let shutdown = Shutdown::with_lame_duck(Duration::ZERO);
        Chassis::start(self.config(workload), process, shutdown, migrations).await
    }

    /// The name of a service's database role.
    #[must_use]
    pub fn role(&self, workload: Workload) -> String {
        format!("{}-{workload}", self.database.name)
    }

    /// Runs SQL in the database as superuser; rows as lines, columns divided by `|`.
    pub async fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.execute(&self.database.name, sql).await
    }

    /// The value of an `authorization` header for this caller.
    pub fn bearer(&self, subject: &str, roles: &[&str], account: &str) -> Result<MetadataValue<Ascii>> {
        bearer(&self.issuer.token(subject, roles, account)?)
    }

    /// The event log.
    pub fn log(&self) -> Result<&Log> {
        self.log.as_ref().context("this testbed has no event log")
    }

    /// Makes the topics and the subjects on the servers that the tests share, and uses them.
    pub async fn use_shared_servers(&mut self) -> Result<()> {
        let (kafka, registry) =
            tokio::try_join!(dev_rig::shared::kafka(), dev_rig::shared::schema_registry())?;
        self.use_log(&kafka.bootstrap_servers).await?;
        self.use_registry(registry).await
    }

    /// Makes the subjects in this registry, and uses it.
    pub async fn use_registry(&mut self, registry: &'static dev_rig::SchemaRegistry) -> Result<()> {
        registry::register(&registry.url, &self.topic_prefix).await?;
        self.registry = Some(registry);
        Ok(())
    }

    /// Makes the topics on these brokers, and uses them.
    pub async fn use_log(&mut self, bootstrap_servers: &str) -> Result<()> {
        let log = Log {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic_prefix: self.topic_prefix.clone(),
        };
        log.create(&topics::ALL, PARTITIONS).await?;
        self.log = Some(log);
        Ok(())
    }

    /// The path of a file of this testbed, for example `jwks.json` or `shipment/password`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database_config(&self, who: &str) -> Database {
        Database {
            host: self.postgres.host.clone(),
            port: self.postgres.port,
            name: self.database.name.clone(),
            tls: Tls {
                mode: TlsMode::Verify,
                ca_file: Some(self.postgres.ca_file.clone()),
            },
            username_file: self.file(who).join("username"),
            password_file: self.file(who).join("password"),
            max_connections: 8,
        }
    }

    fn write_credentials(&self, who: &str, username: &str, password: &str) -> Result<()> {
        std::fs::create_dir_all(self.file(who))?;
        self.write(Path::new(who).join("username"), username)?;
        self.write(Path::new(who).join("password"), password)
    }

    fn write(&self, name: impl AsRef<Path>, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// The value of an `authorization` header with this token.
pub fn bearer(token: &str) -> Result<MetadataValue<Ascii>> {
    Ok(format!("Bearer {token}").parse()?)
}

/// Asks again until `probe` gives a value; fails after a minute with what was waited for.
pub async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let waited = async {
        loop {
            if let Some(value) = probe().await? {
                return Ok(value);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waited)
        .await
        .with_context(|| format!("waited a minute for: {what}"))?
}

const fn plain() -> Tls {
    Tls {
        mode: TlsMode::Disabled,
        ca_file: None,
    }
}
