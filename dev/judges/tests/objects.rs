//! Everything that is rendered and shipped as Kubernetes objects, before the judges. No cluster is needed.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dev_judges::{Finding, Rendered, Schemas, chart, documents, kube_score, kubeconform, review, samples};
use dev_tools::Toolbox;
use serde_json::{Value, json};

/// The chart with all values, the samples, and what the operator makes of them.
fn everything(tools: &Toolbox) -> Result<Vec<Rendered>> {
    let mut all = samples::rendered()?;
    for (name, values) in chart::values()? {
        all.push(chart::template(tools, &name, &values)?);
    }
    Ok(all)
}

/// Schemas of the pinned API server, our own custom resource and the Prometheus operator's.
async fn schemas(tools: &Toolbox, rendered: &[Rendered]) -> Result<Schemas> {
    let server = dev_rig::shared::api_server().await?;
    let answer = Command::new(tools.kubectl())
        .arg("--kubeconfig")
        .arg(&server.kubeconfig)
        .args(["get", "--raw", "/openapi/v2"])
        .output()?;
    let openapi: Value = serde_json::from_slice(&answer.stdout).with_context(|| {
        format!(
            "the API server's schemas: {}",
            String::from_utf8_lossy(&answer.stderr)
        )
    })?;
    let mut definitions = documents(&dev_judges::read("crds/logisticsplatforms.yaml")?)?;
    for entry in tools.prometheus_operator_crds().read_dir()? {
        definitions.extend(documents(&std::fs::read_to_string(entry?.path())?)?);
    }
    Schemas::write(&openapi, &definitions, rendered.iter().flat_map(|r| &r.objects))
}

#[tokio::test]
async fn every_field_is_known_and_has_its_type() -> Result<()> {
    let tools = dev_judges::tools()?;
    let all = everything(&tools)?;
    let schemas = schemas(&tools, &all).await?;
    let mut findings = Vec::new();
    for rendered in &all {
        findings.extend(kubeconform::judge(&tools, &schemas, rendered)?);
    }
    review(kubeconform::NAME, &findings)
}

/// A judge that finds nothing anywhere would pass too.
#[tokio::test]
async fn wrong_fields_are_found() -> Result<()> {
    let tools = dev_judges::tools()?;
    let all = samples::rendered()?;
    let schemas = schemas(&tools, &all).await?;
    let spoilt = |kind: &str, pointer: &str, field: &str, value: Value| -> Result<Vec<Finding>> {
        let object = all.iter().flat_map(|r| &r.objects).find(|o| o["kind"] == kind);
        let mut object = object.with_context(|| format!("no {kind}"))?.clone();
        object.pointer_mut(pointer).with_context(|| pointer.to_owned())?[field] = value;
        let rendered = Rendered::parse("spoilt", serde_norway::to_string(&object)?)?;
        kubeconform::judge(&tools, &schemas, &rendered)
    };
    for (kind, pointer, field, value) in [
        ("Deployment", "/spec", "replica", json!(1)),
        (
            "Deployment",
            "/spec/template/spec/containers/0",
            "image",
            json!(7),
        ),
        ("Service", "/spec/ports/0", "ports", json!(1)),
        (
            "LogisticsPlatform",
            "/spec/kafka",
            "bootstrapServer",
            json!("a:1"),
        ),
        ("LogisticsPlatform", "/spec/database", "port", json!("5432")),
    ] {
        let found = spoilt(kind, pointer, field, value)?;
        ensure!(
            found.len() == 1 && found[0].message.contains(field),
            "{kind}{pointer}/{field}: {found:?}"
        );
    }
    Ok(())
}

#[test]
fn the_rules_of_the_trade_are_kept() -> Result<()> {
    let tools = dev_judges::tools()?;
    let mut findings = Vec::new();
    for rendered in everything(&tools)? {
        findings.extend(kube_score::judge(&tools, &rendered)?);
    }
    review(kube_score::NAME, &findings)
}

#[test]
fn the_chart_is_free_of_lint() -> Result<()> {
    let tools = dev_judges::tools()?;
    let mut findings = Vec::new();
    for (_, values) in chart::values()? {
        findings.extend(chart::lint(&tools, &values)?);
    }
    review(chart::LINT, &findings)
}

/// What an administrator did not ask for is not there, and what was asked for is.
#[test]
fn optional_objects_come_by_their_values() -> Result<()> {
    let tools = dev_judges::tools()?;
    let optional = ["ServiceMonitor", "PrometheusRule"];
    for (name, values) in chart::values()? {
        let rendered = chart::template(&tools, &name, &values)?;
        let dashboard = rendered
            .objects
            .iter()
            .any(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1");
        for kind in optional {
            let present = rendered.objects.iter().any(|object| object["kind"] == kind);
            ensure!(present == (name == "everything"), "{kind} with {name}: {present}");
        }
        ensure!(
            dashboard == (name == "everything"),
            "the dashboard with {name}: {dashboard}"
        );
    }
    Ok(())
}
