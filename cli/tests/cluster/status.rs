//! `status` of platforms in each state, made by the test on a real API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::guide::block;
use crate::kubelet::pod;
use crate::site::{Site, labels, template};

const TIME: &str = "2026-01-01T00:00:00Z";

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": TIME})
}

fn workloads(ready: i32) -> Value {
    let workload = |name: &str| {
        json!({"name": name, "revision": "r1", "version": "0.1.0", "replicas": 2, "readyReplicas": ready,
            "endpoint": format!("acme-{name}.NS.svc:8080")})
    };
    json!([workload("shipment"), workload("tracking"), workload("analytics")])
}

fn ready() -> Value {
    json!({
        "observedGeneration": 1, "revision": "a1b2c3d4", "version": "0.1.0", "workloads": workloads(2),
        "conditions": [
            condition("Ready", "True", "Ready", "all workloads of the release take calls"),
            condition("Degraded", "False", "AsExpected", "nothing is wrong"),
            condition("KafkaReady", "True", "TopicsReady", "7 topics are as wanted"),
        ],
        "topics": [{"name": "shipment.created", "partitions": 6}],
        "subjects": [{"name": "shipment.created-value", "id": 3, "version": 1}],
    })
}

async fn deployment(site: &Site, component: &str, ready: i32) -> Result<()> {
    let status = json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": ready, "updatedReplicas": 2, "availableReplicas": ready});
    site.make(
        "/apis/apps/v1/namespaces/NS/deployments",
        json!({
            "metadata": {"name": format!("acme-{component}-r1"), "labels": labels(component, "r1")},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels(component, "r1")}, "template": template(component, "r1")},
            "status": status,
        }),
    )
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_ready_is_a_tree_of_good_marks() -> Result<()> {
    let site = Site::new("ready").await?;
    site.platform(ready()).await?;
    for component in ["shipment", "tracking", "analytics"] {
        deployment(&site, component, 2).await?;
    }
    let shown = site.run(&["status", "acme"]).await?;
    ensure!(shown.code == Some(0), "{}{}", shown.out, shown.err);
    let namespace = &site.namespace;
    let expected = format!(
        "\
✓ LogisticsPlatform {namespace}/acme Ready: version 0.1.0, revision a1b2c3d4; all workloads of the release take calls
├─ ✓ Condition Degraded AsExpected: nothing is wrong
├─ ✓ Condition KafkaReady TopicsReady: 7 topics are as wanted
├─ ✓ Workload shipment: 2 of 2 pods ready, version 0.1.0, at acme-shipment.{namespace}.svc:8080
│  └─ ✓ Revision r1: takes calls
│     └─ ✓ Deployment acme-shipment-r1: 2 of 2 ready
├─ ✓ Workload tracking: 2 of 2 pods ready, version 0.1.0, at acme-tracking.{namespace}.svc:8080
│  └─ ✓ Revision r1: takes calls
│     └─ ✓ Deployment acme-tracking-r1: 2 of 2 ready
├─ ✓ Workload analytics: 2 of 2 pods ready, version 0.1.0, at acme-analytics.{namespace}.svc:8080
│  └─ ✓ Revision r1: takes calls
│     └─ ✓ Deployment acme-analytics-r1: 2 of 2 ready
├─ · Topics 1
│  └─ · Topic shipment.created: 6 partitions
└─ · Subjects 1
   └─ · Subject shipment.created-value: schema 3, version 1
"
    );
    ensure!(shown.out == expected, "{}\nis not\n{expected}", shown.out);
    let json = site.run(&["status", "acme", "-o", "json"]).await?;
    let json: Value = serde_json::from_str(&json.out)?;
    ensure!(
        json["platforms"][0]["ready"] == true && json["platforms"][0]["state"] == "ok",
        "{json}"
    );
    let yaml = site.run(&["status", "-o", "yaml"]).await?;
    ensure!(
        yaml.code == Some(0) && yaml.out.starts_with("platforms:\n"),
        "{}",
        yaml.out
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_unhappy_node_says_why_and_what_to_do() -> Result<()> {
    let site = Site::new("unhappy").await?;
    let mut status = ready();
    status["workloads"][1]["readyReplicas"] = json!(1);
    status["conditions"] = json!([
        condition("Ready", "False", "MigrationFailed", "Job acme-migrate-1 failed"),
        condition("Degraded", "True", "MigrationFailed", "Job acme-migrate-1 failed"),
        condition("KafkaReady", "False", "Unreachable", "kafka:9093 does not answer"),
        condition(
            "SchemasReady",
            "True",
            "SubjectsReady",
            "3 schemas are registered"
        ),
    ]);
    site.platform(status).await?;
    for component in ["shipment", "analytics"] {
        deployment(&site, component, 2).await?;
    }
    deployment(&site, "tracking", 1).await?;
    let containers = template("tracking", "r1")["spec"]["containers"].clone();
    let crashed = json!({"phase": "Running", "containerStatuses": [{
        "name": "tracking", "image": "i", "imageID": "", "ready": false, "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": "{\"fields\":{\"message\":\"cannot reach the database\"}}"}},
    }]});
    let pods = "/api/v1/namespaces/NS/pods";
    site.make(
        pods,
        pod(
            "acme-tracking-r1-a",
            &labels("tracking", "r1"),
            "none",
            &containers,
            &crashed,
        ),
    )
    .await?;
    let good = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    site.make(
        pods,
        pod(
            "acme-tracking-r1-b",
            &labels("tracking", "r1"),
            "none",
            &containers,
            &good,
        ),
    )
    .await?;
    let mut job_template = template("migrate", "1");
    job_template["spec"]["restartPolicy"] = json!("Never");
    let failed = |kind: &str| json!({"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed 3 times", "lastTransitionTime": TIME});
    site.make(
        "/apis/batch/v1/namespaces/NS/jobs",
        json!({
            "metadata": {"name": "acme-migrate-1", "labels": labels("migrate", "1")}, "spec": {"template": job_template},
            "status": {"failed": 3, "startTime": TIME, "conditions": [failed("FailureTarget"), failed("Failed")]},
        }),
    )
    .await?;
    site.make(
        "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
        json!({
            "metadata": {"name": "acme-tracking", "labels": labels("tracking", "r1")},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"x": "y"}}},
            "status": {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 2, "disruptionsAllowed": 0},
        }),
    )
    .await?;
    for (name, about) in [("w.1", "acme-tracking-r1-a"), ("w.2", "another-pod")] {
        site.make(
            "/api/v1/namespaces/NS/events",
            json!({
                "metadata": {"name": name}, "type": "Warning", "reason": "BackOff", "message": format!("restarting {about}"), "count": 12,
                "involvedObject": {"kind": "Pod", "namespace": site.namespace, "name": about},
            }),
        )
        .await?;
    }
    let shown = site.run(&["status", "acme"]).await?;
    ensure!(shown.code == Some(3), "{}", shown.err);
    // The guide shows this very platform.
    let ago = regex::Regex::new(r"\d+ (s|min) ago")?;
    let told = ago
        .replace_all(&shown.out, "4 s ago")
        .replace(&site.namespace, "logistics");
    let told = format!("$ kubectl logistics status acme -n logistics\n{told}");
    let expected = block("$ kubectl logistics status acme -n logistics");
    ensure!(told == expected, "docs/cli.md should show\n{told}");
    ensure!(!shown.out.contains('\x1b'), "colours are for terminals");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_operator_has_not_seen_is_not_ready() -> Result<()> {
    let site = Site::new("outdated").await?;
    let mut status = ready();
    status["observedGeneration"] = json!(0);
    site.platform(status).await?;
    let shown = site.run(&["status", "acme"]).await?;
    ensure!(shown.code == Some(3), "{}", shown.out);
    ensure!(
        shown
            .out
            .contains("acme Outdated: the operator has not yet seen the newest change"),
        "{}",
        shown.out
    );
    ensure!(
        shown
            .out
            .contains("→ if it stays so, see whether the operator runs: kubectl get pods"),
        "{}",
        shown.out
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() -> Result<()> {
    let site = Site::new("errors").await?;
    let none = site.run(&["status", "acme"]).await?;
    ensure!(
        none.code == Some(1) && none.err.contains("there is none at all; try -n NAMESPACE or -A"),
        "{}",
        none.err
    );
    let empty = site.run(&["status"]).await?;
    ensure!(
        empty.code == Some(0)
            && empty
                .err
                .contains("there is no LogisticsPlatform in the namespace"),
        "{}",
        empty.err
    );
    site.platform(ready()).await?;
    let other = site.run(&["status", "acne"]).await?;
    ensure!(other.err.contains("there is acme"), "{}", other.err);
    let context = site.run(&["status", "--context", "prod"]).await?;
    ensure!(
        context.code == Some(1) && context.err.contains("no context \"prod\"; it has rig"),
        "{}",
        context.err
    );
    let usage = site.run(&["status", "-A"]).await?;
    ensure!(
        usage.code == Some(2),
        "-A and -n contradict each other: {}",
        usage.err
    );
    let mut nowhere = tokio::process::Command::new(env!("CARGO_BIN_EXE_kubectl-logistics"));
    let nowhere = nowhere
        .args(["status", "--kubeconfig", "/nowhere"])
        .output()
        .await?;
    let told = String::from_utf8(nowhere.stderr)?;
    ensure!(
        told.contains("no cluster") && told.contains("/nowhere") && told.contains("--kubeconfig"),
        "{told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_each_change() -> Result<()> {
    let site = Site::new("watch").await?;
    let mut status = ready();
    status["conditions"][0] = condition("Ready", "False", "Deploying", "waits");
    site.platform(status).await?;
    let mut child = site
        .command(&["status", "acme", "--watch", "-o", "json"])
        .await?
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await??;
        let json: Value = serde_json::from_str(&line.context("the program ended")?)?;
        anyhow::Ok(json["platforms"][0]["ready"].clone())
    };
    ensure!(next().await? == false);
    let path = "/apis/logistics-platform.io/v1alpha1/namespaces/NS/logisticsplatforms/acme/status";
    site.send("PATCH", path, &json!({"status": ready()})).await?;
    ensure!(next().await? == true);
    child.kill().await?;
    Ok(())
}
