//! The support bundle of a platform: what is in it, what could not be read, and that no secret is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::kubelet::{self, pod};
use crate::site::{Site, labels, template};

/// Values that must be in no file: each is planted in another place.
const PLANTED: [&str; 12] = [
    "sesame-secret-1",
    "c2VzYW1lLXNlY3JldC0x",
    "sesame-applied-2",
    "sesame-variable-3",
    "sesame-argument-4",
    "sesame-annotation-5",
    "sesame-log-password-6",
    "sesame-log-bearer-7",
    "sesame-log-url-8",
    "sesame-message-9",
    "sesame-config-10",
    "sesame-event-11",
];

fn files(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(path)?));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut content = String::new();
        entry.read_to_string(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}

async fn plant(site: &Site) -> Result<()> {
    let applied = json!({"kind": "Secret", "stringData": {"password": "sesame-applied-2"}}).to_string();
    site.make(
        "/api/v1/namespaces/NS/secrets",
        json!({
            "metadata": {
                "name": "acme-shipment-db", "labels": labels("shipment", "r1"),
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied, "example.org/api-token": "sesame-annotation-5"},
            },
            "stringData": {"password": "sesame-secret-1"},
        }),
    )
    .await?;
    site.make(
        "/api/v1/namespaces/NS/configmaps",
        json!({"metadata": {"name": "acme-shipment-config-1", "labels": labels("shipment", "r1")}, "data": {"config.yaml": "x: sesame-config-10"}}),
    )
    .await?;
    let mut template = template("shipment", "r1");
    let container = &mut template["spec"]["containers"][0];
    container["env"] = json!([{"name": "ANYTHING", "value": "sesame-variable-3"}, {"name": "LOGISTICS_CONFIG", "value": "/etc/logistics/config/config.yaml"}]);
    container["args"] = json!(["--api-token", "sesame-argument-4"]);
    let containers = template["spec"]["containers"].clone();
    site.make(
        "/apis/apps/v1/namespaces/NS/deployments",
        json!({
            "metadata": {"name": "acme-shipment-r1", "labels": labels("shipment", "r1")},
            "spec": {"selector": {"matchLabels": labels("shipment", "r1")}, "template": template},
        }),
    )
    .await?;
    let ended = json!({"terminated": {"exitCode": 1, "message": "db_password=sesame-message-9 was refused"}});
    let status = json!({"phase": "Running", "containerStatuses": [{
        "name": "shipment", "image": "i", "imageID": "", "ready": false, "restartCount": 1,
        "state": {"running": {}}, "lastState": ended,
    }]});
    let pods = "/api/v1/namespaces/NS/pods";
    site.make(
        pods,
        pod(
            "acme-shipment-r1-a",
            &labels("shipment", "r1"),
            "node-of-bundle",
            &containers,
            &status,
        ),
    )
    .await?;
    site.make(
        "/api/v1/namespaces/NS/events",
        json!({
            "metadata": {"name": "acme.1"}, "type": "Warning", "reason": "Failed",
            "involvedObject": {"kind": "Pod", "namespace": site.namespace, "name": "acme-shipment-r1-a"},
            "message": "cannot reach postgres://owner:sesame-event-11@db/acme",
        }),
    )
    .await?;
    Ok(())
}

/// An operator that looks after platforms, with its Lease.
async fn operator(site: &Site) -> Result<()> {
    let labels = json!({"app.kubernetes.io/name": "logistics-operator", "app.kubernetes.io/instance": "logistics-operator"});
    let containers = json!([{"name": "operator", "image": "localhost/logistics/operator:0.1.0"}]);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    site.make(
        "/apis/apps/v1/namespaces/NS/deployments",
        json!({"metadata": {"name": "logistics-operator", "labels": labels}, "spec": {"selector": {"matchLabels": labels}, "template": template}}),
    )
    .await?;
    let status = json!({"phase": "Running", "podIP": "127.0.0.1"});
    let pods = "/api/v1/namespaces/NS/pods";
    site.make(
        pods,
        pod(
            "logistics-operator-a",
            &labels,
            "node-of-bundle",
            &containers,
            &status,
        ),
    )
    .await?;
    let lease = json!({"metadata": {"name": "logistics-operator"}, "spec": {"holderIdentity": "logistics-operator-a"}});
    site.make("/apis/coordination.k8s.io/v1/namespaces/NS/leases", lease)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_what_helps_and_no_secret() -> Result<()> {
    let site = Site::new("bundle").await?;
    let logs = [
        (
            "acme-shipment-r1-a/shipment",
            "starts\npassword=sesame-log-password-6\nAuthorization: Bearer sesame-log-bearer-7\nthe value sesame-variable-3 again\n",
        ),
        (
            "acme-shipment-r1-a/shipment/previous",
            "reads postgres://owner:sesame-log-url-8@db/acme and fails\n",
        ),
        ("logistics-operator-a/operator", "the operator starts\n"),
    ];
    kubelet::start(&site, "node-of-bundle", logs.into()).await?;
    plant(&site).await?;
    operator(&site).await?;
    site.platform(json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Deploying", "message": "waits", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})).await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("acme.tar.gz");
    let file = path.display().to_string();
    let made = site.run(&["support-bundle", "acme", "-o", &file]).await?;
    ensure!(made.code == Some(0), "{}", made.err);
    ensure!(
        made.out.contains(&format!("{file}: ")) && made.out.contains("look through it"),
        "{}",
        made.out
    );

    let files = files(&path)?;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let operator = format!("operator/{}", site.namespace);
    for expected in [
        "manifest.json",
        "platform.yaml",
        "status.txt",
        "versions.yaml",
        "definition.yaml",
        "events.yaml",
        "children/Secret/acme-shipment-db.yaml",
        "children/ConfigMap/acme-shipment-config-1.yaml",
        "children/Deployment/acme-shipment-r1.yaml",
        "pods/Pod/acme-shipment-r1-a.yaml",
        "pods/logs/acme-shipment-r1-a/shipment.log",
        "pods/logs/acme-shipment-r1-a/shipment.previous.log",
        "namespace/Namespace.yaml",
        &format!("{operator}/Deployment/logistics-operator.yaml"),
        &format!("{operator}/Lease/logistics-operator.yaml"),
        &format!("{operator}/logs/logistics-operator-a/operator.log"),
    ] {
        ensure!(names.contains(&expected), "{expected} is not in {names:#?}");
    }
    for (name, content) in &files {
        for value in PLANTED {
            ensure!(!content.contains(value), "{name} holds {value}:\n{content}");
        }
        ensure!(!content.contains("managedFields:"), "{name} holds managedFields");
    }
    let deployment = &files["children/Deployment/acme-shipment-r1.yaml"];
    ensure!(
        deployment.contains("/etc/logistics/config/config.yaml"),
        "{deployment}"
    );
    let log = &files["pods/logs/acme-shipment-r1-a/shipment.log"];
    ensure!(
        log.contains("starts") && log.contains("the value <redacted> again"),
        "{log}"
    );
    ensure!(
        files["status.txt"].contains("Pod acme-shipment-r1-a NotReady"),
        "{}",
        files["status.txt"]
    );

    // The API server reaches no pod here: that is told, and hides nothing else.
    let manifest: Value = serde_json::from_str(&files["manifest.json"])?;
    let listed: Vec<_> = manifest["files"]
        .as_array()
        .context("files")?
        .iter()
        .filter_map(|file| file["path"].as_str())
        .collect();
    ensure!(listed.len() + 1 == files.len(), "{listed:?}");
    let unreadable = manifest["unreadable"].to_string();
    ensure!(
        unreadable.contains(&format!("metrics of {}/logistics-operator-a", site.namespace)),
        "{unreadable}"
    );
    ensure!(made.err.contains("not in the bundle: metrics of"), "{}", made.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_not_written_over_and_needs_a_platform() -> Result<()> {
    let site = Site::new("nobundle").await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.tar.gz");
    let file = path.display().to_string();
    let none = site.run(&["support-bundle", "acme", "-o", &file]).await?;
    ensure!(none.code == Some(1) && !path.exists(), "{}", none.err);
    ensure!(
        none.err
            .contains("there is no LogisticsPlatform acme in the namespace"),
        "{}",
        none.err
    );
    site.platform(json!({"revision": "r1"})).await?;
    std::fs::write(&path, "mine")?;
    let refused = site.run(&["support-bundle", "acme", "-o", &file]).await?;
    ensure!(
        refused.code == Some(1) && refused.err.contains("choose another file with -o"),
        "{}",
        refused.err
    );
    ensure!(std::fs::read_to_string(&path)? == "mine");
    Ok(())
}
