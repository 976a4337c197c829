//! An object that says of itself that it is the platform's child, and is none that the platform wants, is removed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{children, wait};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, PostParams};
use logistics_operator::child::ChildKind;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_secs(1);
const REST_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_child_of_any_kind_is_removed_with_one_write_each() -> Result<()> {
    let stage = Stage::ready().await?;
    let mark = Mark::now(&stage.facts.audit_log)?;
    let originals = children::one_of_each(&stage.client, MAIN).await?;
    let mut slowest = Duration::ZERO;
    let mut expected = Vec::new();
    for ((kind, _), original) in &originals {
        let api = children::api(&stage.client, MAIN.namespace, *kind);
        let copy = copy(*kind, original)?;
        let name = copy.name_any();
        api.create(&PostParams::default(), &copy)
            .await
            .with_context(|| format!("copy {kind} {}", original.name_any()))?;
        let ((), took) = wait::until(&format!("the end of {kind} {name}"), LIMIT, || async {
            Ok(api.get_opt(&name).await?.is_none().then_some(()))
        })
        .await?;
        slowest = slowest.max(took);
        expected.push((kind.resource().plural, name));
    }
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let mut made: Vec<_> = writes
        .iter()
        .filter(|write| write.resource != "logisticsplatforms/status")
        .map(|write| (write.resource.clone(), write.name.clone()))
        .collect();
    made.sort();
    expected.sort();
    ensure!(made == expected, "expected were {expected:?}, made {made:?}");
    ensure!(
        writes
            .iter()
            .all(|write| write.verb == "delete" || write.resource.ends_with("/status")),
        "the operator has not only deleted: {writes:?}"
    );
    println!(
        "{} copies removed, the slowest after {slowest:.1?}",
        originals.len()
    );
    Ok(())
}

/// The same object under another name, without what the API server chose for the original.
fn copy(kind: ChildKind, original: &DynamicObject) -> Result<DynamicObject> {
    let mut copy = json!({
        "apiVersion": kind.api_version(), "kind": kind.name(),
        "metadata": {
            "name": format!("{}-copy", original.name_any()), "labels": original.metadata.labels,
            "ownerReferences": original.metadata.owner_references,
        },
    });
    for (key, value) in original.data.as_object().into_iter().flatten() {
        if key != "status" {
            copy[key] = value.clone();
        }
    }
    let spec = &mut copy["spec"];
    match kind {
        ChildKind::Deployment => spec["replicas"] = json!(0),
        ChildKind::Service => {
            remove(spec, &["clusterIP", "clusterIPs"]);
        }
        ChildKind::Job => {
            remove(spec, &["selector"]);
            remove(&mut spec["template"]["metadata"], &["labels"]);
        }
        _ => {}
    }
    Ok(serde_json::from_value(copy)?)
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| !keys.contains(&key.as_str()));
    }
}
