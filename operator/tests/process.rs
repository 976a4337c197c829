//! The operator's program: its command line, logs, spans, metrics, health and end.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use logistics_operator::api::{self, LogisticsPlatform};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logistics-operator"));
    command.env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    command
}

fn run(arguments: &[&str]) -> Result<Output> {
    Ok(program().args(arguments).output()?)
}

#[test]
fn help_shows_an_example_and_every_option() -> Result<()> {
    let help = String::from_utf8(run(&["--help"])?.stdout)?;
    assert!(
        help.contains("Example:") && help.contains("logistics-operator crd | kubectl apply"),
        "{help}"
    );
    let help = String::from_utf8(run(&["run", "--help"])?.stdout)?;
    for option in [
        "--watch-namespace",
        "--namespace",
        "--lease-name",
        "--settings",
        "--webhook-listen",
        "--webhook-service",
        "--webhook-configuration",
        "--admin-listen",
        "--otlp-endpoint",
        "--log-level",
    ] {
        assert!(help.contains(option), "{option} is not in {help}");
    }
    Ok(())
}

#[test]
fn the_definition_is_printed() -> Result<()> {
    let output = run(&["crd"])?;
    ensure!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout)?, api::to_yaml()?);
    Ok(())
}

#[test]
fn wrong_options_are_refused_with_a_remedy() -> Result<()> {
    for (arguments, expected) in [
        (["run", "--log-level", "=,="], "write for example info"),
        (["run", "--admin-listen", "9090"], "--admin-listen"),
        (
            ["run", "--watch-namespace", "team-a,Team_B"],
            "\"Team_B\" is not a namespace",
        ),
        (
            ["run", "--settings", "/nonexistent.yaml"],
            "name a file that the operator may read",
        ),
        (["run", "--webhook-listen", "[::]:0"], "--webhook-service"),
        (
            ["run", "--log-level", "info"],
            "set KUBECONFIG, or run inside one",
        ),
    ] {
        let output = run(&arguments)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(expected),
            "{arguments:?}: {text}"
        );
    }
    Ok(())
}

/// A running program with its log lines; it is killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Asks it to end; gives all its log lines.
    fn stop(mut self) -> Result<Vec<String>> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no pid")?;
        kill_process(pid, Signal::TERM)?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        ensure!(self.child.wait()?.success(), "{:?}", self.child.wait());
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(url: &str) -> Result<(u16, String)> {
    let answer = reqwest::get(url).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_is_one_trace_and_its_logs_carry_the_id() -> Result<()> {
    let server = dev_rig::shared::api_server().await?;
    let client = server.client().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let (name, parameters) = (
        "logisticsplatforms.logistics-platform.io",
        PatchParams::apply("test"),
    );
    definitions
        .patch(name, &parameters, &Patch::Apply(&api::definition()))
        .await?;
    let namespace = server.make_namespace("process").await?;
    let spans = dev_rig::otlp::receiver("127.0.0.1:0".parse()?).await?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let running = Running::start(
        program()
            .env("KUBECONFIG", &server.kubeconfig)
            .args(["run", "--watch-namespace", &namespace, "--admin-listen", &listen])
            .args(["--otlp-endpoint", &spans.endpoint()]),
    )?;
    until("it is ready", || async {
        let answer = get(&format!("http://{listen}/readyz")).await;
        Ok(answer.is_ok_and(|(status, _)| status == 200))
    })
    .await?;

    let sample = include_str!("../../charts/samples/acme.yaml");
    let mut platform: LogisticsPlatform = serde_norway::from_str(sample)?;
    platform.metadata.namespace = Some(namespace.clone());
    let platforms: Api<LogisticsPlatform> = Api::namespaced(client, &namespace);
    until("the definition is served", || async {
        Ok(platforms.create(&PostParams::default(), &platform).await.is_ok())
    })
    .await?;
    let steps = ["validate", "observe", "plan", "apply", "status"];
    let of_one = |spans: &[dev_rig::otlp::Span]| {
        let reconciles = spans.iter().filter(|span| span.name == "reconcile");

        reconciles.map(|root| root.trace_id.clone()).find(|trace| {
            steps.iter().all(|step| {
                spans
                    .iter()
                    .any(|span| span.trace_id == *trace && span.name == *step)
            })
        })
    };
    let received = spans.wait_for(|spans| of_one(spans).is_some(), PATIENCE).await?;
    let trace = of_one(&received).context("no trace")?;
    assert!(received.iter().all(|span| span.service == "logistics-operator"));

    let (status, metrics) = get(&format!("http://{listen}/metrics")).await?;
    assert_eq!(status, 200);
    for metric in [
        "logistics_operator_reconciles_total",
        "logistics_operator_reconcile_duration_seconds_bucket",
        "logistics_operator_kubernetes_requests_total{verb=\"create\",kind=\"ServiceAccount\"} 4",
        "logistics_operator_platforms 1",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
    assert_eq!(get(&format!("http://{listen}/livez")).await?.0, 200);

    let lines = running.stop()?;
    for line in &lines {
        let parsed: Value = serde_json::from_str(line).with_context(|| line.clone())?;
        assert!(
            parsed["level"].is_string() && parsed["message"].is_string(),
            "{line}"
        );
    }
    assert!(
        lines.iter().any(|line| line.contains(&trace)),
        "no log line has the trace id {trace}: {lines:#?}"
    );
    Ok(())
}

async fn until<F: Future<Output = Result<bool>>>(what: &str, mut ask: impl FnMut() -> F) -> Result<()> {
    let start = Instant::now();
    while !ask().await? {
        if start.elapsed() > PATIENCE {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
