//! What a whole run has shown, looked at when all stories are over: the operator has the rights that it needs and no
//! other, and no secret value is where it must not be. It means nothing without the stories before it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use dev_cluster::Cluster;
use dev_e2e::audit::{Mark, Request};
use dev_e2e::operator::metrics;
use dev_e2e::rights;
use dev_e2e::scan::Needles;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{crash, etcd, logs, secrets};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use logistics_operator::names::ADMIN_PORT;

/// Rights that no run of the tests can use, each with its reason.
const EXCUSED: &str = include_str!("rights-without-use.txt");
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// What a Secret holds that everybody may know.
const PUBLIC: [&str; 4] = ["username", "tls.crt", "ca.crt", "jwks.json"];

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_has_the_rights_that_it_needs_and_no_other() -> Result<()> {
    let stage = Stage::ready().await?;
    let log = Mark::start(&stage.facts.audit_log);
    let requests = log.operator_requests()?;
    // While it is being uninstalled, its last requests come after its role has gone.
    let absences = log.without_rights()?;
    let excused = |request: &Request| {
        let at = &request.request_received_timestamp;
        absences
            .iter()
            .any(|(from, to)| at >= from && to.as_ref().is_none_or(|to| at <= to))
    };
    let asked = |request: &Request| format!("{} {:?}", request.verb, request.object_ref);
    // An API server that has just started refuses everybody until it has read the roles: what it allows at another time is
    // no right that is missing.
    let granted: BTreeSet<String> = requests
        .iter()
        .filter(|request| request.code() < 400)
        .map(asked)
        .collect();
    let refused: BTreeSet<String> = requests
        .iter()
        .filter(|request| request.code() == 403 && !excused(request))
        // A namespace that is being deleted takes nothing new: that is no matter of rights.
        .filter(|request| !request.reason().contains("terminat"))
        .map(asked)
        .filter(|asked| !granted.contains(asked))
        .collect();
    ensure!(refused.is_empty(), "the operator lacks rights: {refused:#?}");

    let granted = rights::granted(&stage.client).await?;
    let used = rights::used(&requests);
    let excused = rights::excused(EXCUSED)?;
    let unused: Vec<String> = granted
        .iter()
        .filter(|(right, _)| !used.contains(right) && !excused.contains_key(right))
        .map(|(right, role)| format!("{right} ({role})"))
        .collect();
    ensure!(
        unused.is_empty(),
        "{} of {} rights were never used; take them out of the chart, add a story that uses them, or write the reason \
         into dev/e2e/tests/rights-without-use.txt: {unused:#?}",
        unused.len(),
        granted.len()
    );
    let outdated: Vec<String> = excused
        .iter()
        .filter(|(right, excuse)| (used.contains(right) && !excuse.by_chance) || !granted.contains_key(right))
        .map(|(right, _)| right.to_string())
        .collect();
    ensure!(
        outdated.is_empty(),
        "rights-without-use.txt excuses what is used, or not granted: {outdated:#?}"
    );
    println!(
        "{} requests used {} of {} rights, {} are excused",
        requests.len(),
        granted.keys().filter(|right| used.contains(right)).count(),
        granted.len(),
        excused.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_value_is_where_it_must_not_be() -> Result<()> {
    let stage = Stage::ready().await?;
    let cluster = Cluster::locate()?;
    let mut pods = stage.workload_pods(MAIN).await?;
    pods.extend(stage.operator.pods().await?);
    let needles = needles(&stage, &cluster).await?;
    let mut finder = needles.finder()?;

    for log in logs::kept()? {
        finder.look_file(&log)?;
    }
    for entry in std::fs::read_dir(cluster.logs())?.flatten() {
        finder.look_file(&entry.path())?;
    }
    finder.look_file(&stage.facts.audit_log)?;
    for pod in &pods {
        let text = metrics(&stage.client, pod, ADMIN_PORT).await?;
        ensure!(text.contains("# TYPE"), "{} has no metrics", pod.name_any());
        finder.look(&format!("metrics of {}", pod.name_any()), text.as_bytes());
        for words in crash::words(pod)? {
            let place = format!("command line or environment of {}", pod.name_any());
            finder.look(&place, &words);
        }
    }
    // With it all statuses and Events.
    let mut looked = BTreeSet::new();
    let mut control = needles.finder()?;
    for entry in etcd::read(&cluster)? {
        let kind = entry.key.split('/').nth(2).unwrap_or_default().to_owned();
        let place = if kind == "secrets" {
            &mut control
        } else {
            &mut finder
        };
        place.look(&entry.key, &entry.value);
        looked.insert(kind);
    }
    ensure!(
        control.found().len() > 5,
        "the search finds no secret value even in Secrets: {:?}",
        control.found()
    );
    for kind in ["logistics-platform.io", "events", "configmaps", "secrets", "pods"] {
        ensure!(looked.contains(kind), "etcd has no {kind}: {looked:?}");
    }
    println!(
        "{} secret values were looked for in {} MiB",
        needles.len(),
        finder.bytes() >> 20
    );
    ensure!(
        finder.found().is_empty(),
        "secret values were found in {:#?}",
        finder.found()
    );
    Ok(())
}

/// Every secret value of the run: those that were noted, those of all Secrets, and the tokens and keys in files.
async fn needles(stage: &Stage, cluster: &Cluster) -> Result<Needles> {
    let mut needles = Needles::default();
    for value in secrets::noted()? {
        needles.add(&value);
    }
    let everything: Api<Secret> = Api::all(stage.client.clone());
    for secret in everything.list(&ListParams::default()).await? {
        // A release holds the rendered chart, compressed.
        if secret.type_.as_deref() == Some("helm.sh/release.v1") {
            continue;
        }
        for (key, value) in secret.data.unwrap_or_default() {
            if !PUBLIC.contains(&key.as_str()) {
                let text = String::from_utf8_lossy(&value.0).into_owned();
                if key == "password" {
                    needles.add(&text);
                }
                needles.add_text(&text);
            }
        }
    }
    let issuer = std::fs::read_to_string(cluster.issuer_key()).context("read the issuer's key")?;
    needles.add_text(&issuer);
    for pod in stage.operator.pods().await? {
        let of = |pod: &Pod| crash::read_file(pod, TOKEN);
        needles.add(&of(&pod)?);
    }
    Ok(needles)
}
