//! Apache Kafka: one node, broker and controller in one (`KRaft`), on loopback: plain text for anybody, and TLS for a user.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::pki::Authority;
use crate::process::{Process, Spec};
use crate::proxy::Proxy;
use crate::{scratch, tool, wait};

const USER: &str = "logistics";
const STRANGER: &str = "stranger";
const SETTINGS: &str = "server.properties";
/// Under both the user's password is known.
const SCRAM: [&str; 2] = ["SCRAM-SHA-512", "SCRAM-SHA-256"];

/// A running broker. Topics are not created by use.
#[derive(Debug)]
pub struct Kafka {
    /// `host:port`, plain text.
    pub bootstrap_servers: String,
    /// `host:port` of the same broker: TLS, and only for the user, by SCRAM or PLAIN.
    pub guarded_servers: String,
    /// Name of the user.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// Another user, with the same password under SCRAM, who may do nothing at all.
    pub stranger: String,
    /// PEM file of the authority of the broker's certificate.
    pub ca_file: PathBuf,
    /// Other ways to the broker, each a proxy of its own: a client that begins at one stays with it.
    pub doors: Vec<Proxy>,
    port: u16,
    process: Process,
    folder: TempDir,
}

/// Starts a broker of its own; see [`crate::shared::kafka`] for one that costs its start only once.
pub async fn kafka() -> Result<Kafka> {
    kafka_with_doors(0).await
}

/// Starts a broker of its own with as many [`Kafka::doors`].
pub async fn kafka_with_doors(doors: usize) -> Result<Kafka> {
    let folder = scratch::folder("kafka")?;
    let ports = Ports {
        plain: scratch::free_port()?,
        guarded: scratch::free_port()?,
        controller: scratch::free_port()?,
    };
    let password = scratch::secret();
    let authority = Authority::new("dev-rig Kafka")?;
    let identity = authority.server(&["localhost", "127.0.0.1"])?;
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("ca.crt"), authority.certificate())?;
    std::fs::write(
        file("server.pem"),
        format!("{}{}", identity.key, identity.certificate),
    )?;
    let mut behind = Vec::with_capacity(doors);
    for _ in 0..doors {
        let inner = scratch::free_port()?;
        behind.push((inner, Proxy::start(inner).await?));
    }
    let properties = file(SETTINGS);
    std::fs::write(&properties, settings(&ports, &behind, folder.path(), &password))?;
    let properties = properties.to_string_lossy();
    let id = cluster_id();
    let users = [USER, STRANGER]
        .map(|name| SCRAM.map(|mechanism| format!("{mechanism}=[name={name},password={password}]")));
    let mut format = vec!["format", "--cluster-id", &id, "--config", &properties];
    for user in users.as_flattened() {
        format.extend(["--add-scram", user.as_str()]);
    }
    java(folder.path(), "kafka.tools.StorageTool", &format)?
        .run()
        .await?;
    let process = Process::start(java(folder.path(), "kafka.Kafka", &[&properties])?)?;
    let kafka = Kafka {
        bootstrap_servers: format!("127.0.0.1:{}", ports.plain),
        guarded_servers: format!("127.0.0.1:{}", ports.guarded),
        username: USER.to_owned(),
        stranger: STRANGER.to_owned(),
        ca_file: file("ca.crt"),
        doors: behind.into_iter().map(|(_, door)| door).collect(),
        port: ports.plain,
        password,
        process,
        folder,
    };
    kafka.ready().await?;
    Ok(kafka)
}

/// One of Kafka's programs.
fn java(folder: &Path, class: &str, args: &[&str]) -> Result<Spec> {
    let libraries = tool::kafka_libraries()?;
    let mut all = vec![
        "-Xmx256m".into(),
        "-XX:+UseSerialGC".into(),
        "-XX:TieredStopAtLevel=1".into(),
    ];
    all.push("-Dorg.apache.logging.log4j.level=INFO".into());
    all.extend([
        "-cp".into(),
        format!("{}/*", libraries.display()),
        class.to_owned(),
    ]);
    all.extend(args.iter().map(ToString::to_string));
    Ok(Spec {
        name: "Kafka",
        program: tool::java()?,
        args: all,
        env: vec![("KAFKA_JMX_OPTS", String::new())],
        user: None,
        within: Vec::new(),
        stop: Signal::KILL,
        log: folder.join("kafka.log"),
    })
}

/// Where a broker listens.
struct Ports {
    plain: u16,
    guarded: u16,
    controller: u16,
}

impl Kafka {
    /// Gives the user another password, for PLAIN only, and starts the broker again: connections are cut.
    pub async fn start_again_with_another_password(&self) -> Result<String> {
        let password = scratch::secret();
        let path = self.folder.path().join(SETTINGS);
        let settings = std::fs::read_to_string(&path)?;
        self.kill();
        std::fs::write(&path, settings.replace(&self.password, &password))?;
        self.start_again().await?;
        Ok(password)
    }

    /// Kills the broker, as a crash does.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the broker again after [`Self::kill`], with its data and at the same address.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Has the broker stand still, as on a machine that hangs, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Has the broker go on after [`Self::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    async fn ready(&self) -> Result<()> {
        wait::until_ready(&self.process, || async {
            // ApiVersions v0, correlation id 1, client id null: answered only once the broker takes requests.
            let request = vec![0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
            let answer = wait::exchange(self.port, request, 10).await?;
            ensure!(
                answer.get(4..10) == Some(&[0, 0, 0, 1, 0, 0]),
                "the broker does not take requests yet"
            );
            Ok(())
        })
        .await
    }
}

/// Kafka's form of a UUID: 22 characters. These are safe in it whatever their meaning.
fn cluster_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(20);
    id.push_str("AA");
    id
}

fn settings(ports: &Ports, doors: &[(u16, Proxy)], folder: &Path, password: &str) -> String {
    let Ports {
        plain,
        guarded,
        controller,
    } = ports;
    let mut text = String::new();
    for (key, value) in [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("auto.create.topics.enable", "false"),
        ("delete.topic.enable", "true"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "3"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.num.partitions", "3"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("ssl.keystore.type", "PEM"),
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        // Whoever need not say who they are, and the user.
        ("super.users", "User:ANONYMOUS;User:logistics"),
        (
            "listener.name.guarded.sasl.enabled.mechanisms",
            "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        ),
    ] {
        let _ = writeln!(text, "{key}={value}");
    }
    let _ = writeln!(text, "controller.quorum.voters=1@127.0.0.1:{controller}");
    let _ = writeln!(text, "log.dirs={}", folder.join("data").display());
    let _ = writeln!(
        text,
        "ssl.keystore.location={}",
        folder.join("server.pem").display()
    );
    let jaas = "sasl.jaas.config=org.apache.kafka.common.security";
    for mechanism in SCRAM.map(str::to_lowercase) {
        let _ = writeln!(
            text,
            "listener.name.guarded.{mechanism}.{jaas}.scram.ScramLoginModule required;"
        );
    }
    let _ = writeln!(
        text,
        "listener.name.guarded.plain.{jaas}.plain.PlainLoginModule required user_{USER}=\"{password}\";"
    );
    let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_SSL".to_owned();
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{plain},GUARDED://127.0.0.1:{guarded}");
    let mut listeners = format!("{advertised},CONTROLLER://127.0.0.1:{controller}");
    for (at, (inner, door)) in doors.iter().enumerate() {
        let _ = write!(protocols, ",DOOR{at}:PLAINTEXT");
        let _ = write!(advertised, ",DOOR{at}://{}", door.address());
        let _ = write!(listeners, ",DOOR{at}://127.0.0.1:{inner}");
    }
    let _ = writeln!(text, "listener.security.protocol.map={protocols}");
    let _ = writeln!(text, "listeners={listeners}");
    let _ = writeln!(text, "advertised.listeners={advertised}");
    text
}
