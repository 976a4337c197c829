//! The operator's alert rules and dashboard, before promtool and a real Prometheus that scrapes the operator's metrics.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dev_judges::{chart, checkout, dashboard, metrics, read, rules};
use logistics_operator::telemetry::{Health, Metrics, serve};
use tokio_util::sync::CancellationToken;

/// Metrics of an operator to which everything has happened that is counted.
fn eventful() -> (Arc<Health>, Arc<Metrics>) {
    let health = Arc::new(Health::default());
    let metrics = Metrics::new();
    health.expect("Deployment");
    health.failed("Deployment");
    for result in ["unchanged", "changed", "error"] {
        metrics.reconciled(result, Duration::from_millis(3));
    }
    metrics.failed("apply");
    metrics.request("apply", "Deployment");
    metrics.poll("kafka", true);
    metrics.poll("kafka", false);
    metrics.circuit("kafka", true);
    metrics.platforms(3);
    metrics.platforms_failing(1);
    metrics.leads(true);
    metrics.lease_transition("acquired");
    metrics.lease_request("patch", true);
    metrics.write_dropped("Deployment");
    metrics.admission("denied");
    // Far enough away for queries that subtract the time of this run.
    metrics.webhook_certificate_ends(4_000_000_000);
    (health, metrics)
}

#[test]
fn the_alert_rules_are_right_for_prometheus() -> Result<()> {
    let tools = dev_judges::tools()?;
    rules::check(&tools, &checkout().join(rules::RULES))
}

/// The template puts the file into the object as it is.
#[test]
fn the_chart_ships_the_same_rules() -> Result<()> {
    let tools = dev_judges::tools()?;
    let (_, values) = chart::values()?
        .into_iter()
        .find(|(name, _)| name == "everything")
        .expect("values with everything on");
    let rendered = chart::template(&tools, "everything", &values)?;
    let object = |kind: &str| rendered.objects.iter().find(|object| object["kind"] == kind);
    let rules = object("PrometheusRule").expect("a PrometheusRule");
    let file = &dev_judges::documents(&read(rules::RULES)?)?[0];
    assert_eq!(rules["spec"]["groups"], file["groups"]);
    let shipped = rendered.objects.iter().find_map(|object| {
        let text = object["data"]["logistics-operator.json"].as_str()?;
        serde_json::from_str::<serde_json::Value>(text).ok()
    });
    assert_eq!(shipped.expect("a dashboard"), dashboard::dashboard()?);
    Ok(())
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() -> Result<()> {
    let tools = dev_judges::tools()?;
    rules::test(&tools)?;
    let alerts: BTreeSet<_> = rules::alerts()?.into_iter().map(|alert| alert.alert).collect();
    let (firing, silent) = rules::tested()?;
    assert_eq!(firing, alerts, "alerts that a test shows firing");
    assert_eq!(silent, alerts, "alerts that a test shows silent");
    Ok(())
}

/// A reader who is woken learns what happened and what to do.
#[test]
fn every_alert_is_explained() -> Result<()> {
    let text = read("docs/operations.md")?;
    for alert in rules::alerts()? {
        ensure!(
            text.contains(&format!("\n### {}\n", alert.alert)),
            "docs/operations.md has no section `### {}`",
            alert.alert
        );
        for annotation in ["summary", "description", "runbook"] {
            ensure!(
                alert.annotations.contains_key(annotation),
                "{} has no {annotation}",
                alert.alert
            );
        }
        let section = format!("docs/operations.md#{}", alert.alert.to_lowercase());
        ensure!(
            alert.annotations["runbook"] == section,
            "{}: runbook",
            alert.alert
        );
        let severity = alert.labels.get("severity").map(String::as_str);
        ensure!(
            matches!(severity, Some("critical" | "warning")),
            "{}: severity {severity:?}",
            alert.alert
        );
        ensure!(
            alert.lasting.ends_with(['m', 'h']),
            "{}: for {}",
            alert.alert,
            alert.lasting
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_metric_that_is_named_is_exported_and_explained() -> Result<()> {
    let (health, metrics) = eventful();
    health.report(&metrics);
    let exposition = metrics.text()?;
    let exported = metrics::series(&exposition);
    for alert in rules::alerts()? {
        for name in metrics::named(&alert.expr) {
            ensure!(exported.contains(&name), "{}: no metric {name}", alert.alert);
        }
    }
    for query in dashboard::queries(&dashboard::dashboard()?) {
        for name in metrics::named(&query.expression) {
            ensure!(exported.contains(&name), "{}: no metric {name}", query.panel);
        }
    }
    let text = read("docs/operations.md")?;
    let documented: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with(metrics::PREFIX))
        .map(|name| name.split('{').next().unwrap_or(name).to_owned())
        .collect();
    assert_eq!(
        documented,
        metrics::documented(&exposition),
        "the table in docs/operations.md"
    );
    Ok(())
}

/// Each query runs in a real Prometheus on what the operator exports, and finds something.
#[tokio::test]
async fn every_query_of_the_dashboard_finds_something() -> Result<()> {
    let (health, metrics) = eventful();
    let stop = CancellationToken::new();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, dev_rig::free_port()?));
    let operator = tokio::spawn(serve(listen, health, metrics.clone(), stop.clone()));
    let prometheus = dev_rig::prometheus(&[listen], &checkout().join(rules::RULES)).await?;
    let queries = dashboard::queries(&dashboard::dashboard()?);
    ensure!(queries.len() > 10, "a dashboard with {} queries", queries.len());
    for query in queries {
        let expression = query.with_everything_selected();
        ensure!(
            !expression.contains('$'),
            "{}: a variable without a value in {expression}",
            query.panel
        );
        let limit = Instant::now() + Duration::from_mins(1);
        // Rates need two scrapes.
        while prometheus.query(&expression).await?.is_empty() {
            ensure!(
                Instant::now() < limit,
                "{}: {expression} finds nothing",
                query.panel
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    for alert in rules::alerts()? {
        prometheus.query(&alert.expr).await?;
    }
    stop.cancel();
    operator.await??;
    Ok(())
}
