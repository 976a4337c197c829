//! Apache Kafka: one node, broker and controller in one (`KRaft`), plain text on loopback.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::proxy::Proxy;
use crate::{scratch, tool, wait};

/// A running broker. Topics are not created by use.
#[derive(Debug)]
pub struct Kafka {
    /// `host:port`, plain text.
    pub bootstrap_servers: String,
    /// Other ways to the broker, each a proxy of its own: a client that begins at one stays with it.
    pub doors: Vec<Proxy>,
    port: u16,
    process: Process,
    _folder: TempDir,
}

/// Starts a broker of its own; see [`crate::shared::kafka`] for one that costs its start only once.
pub async fn kafka() -> Result<Kafka> {
    kafka_with_doors(0).await
}

/// Starts a broker of its own with as many [`Kafka::doors`].
pub async fn kafka_with_doors(doors: usize) -> Result<Kafka> {
    let folder = scratch::folder("kafka")?;
    let (port, controller) = (scratch::free_port()?, scratch::free_port()?);
    let mut behind = Vec::with_capacity(doors);
    for _ in 0..doors {
        let inner = scratch::free_port()?;
        behind.push((inner, Proxy::start(inner).await?));
    }
    let properties = folder.path().join("server.properties");
    let data = folder.path().join("data");
    std::fs::write(
        &properties,
        settings(port, controller, &behind, &data.to_string_lossy()),
    )?;

    let libraries = tool::kafka_libraries()?;
    let java = |class: &str, args: &[&str]| -> Result<Spec> {
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
            log: folder.path().join("kafka.log"),
        })
    };
    let properties = properties.to_string_lossy();
    let id = cluster_id();
    java(
        "kafka.tools.StorageTool",
        &["format", "--cluster-id", &id, "--config", &properties],
    )?
    .run()
    .await?;
    let process = Process::start(java("kafka.Kafka", &[&properties])?)?;
    let kafka = Kafka {
        bootstrap_servers: format!("127.0.0.1:{port}"),
        doors: behind.into_iter().map(|(_, door)| door).collect(),
        port,
        process,
        _folder: folder,
    };
    kafka.ready().await?;
    Ok(kafka)
}

impl Kafka {
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

fn settings(port: u16, controller: u16, doors: &[(u16, Proxy)], data: &str) -> String {
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
        ("log.dirs", data),
    ] {
        let _ = writeln!(text, "{key}={value}");
    }
    let _ = writeln!(text, "controller.quorum.voters=1@127.0.0.1:{controller}");
    let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned();
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
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
