//! What the cache keeps of a child, in bytes of heap: a gate, so that memory does not grow unnoticed.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, ensure};
use kube::core::DynamicObject;
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::child::{ChildKind, Live};
use logistics_operator::desire::offline;
use logistics_operator::names::MANAGER;
use logistics_operator::observe::Cache;
use logistics_operator::validate::validate;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Platforms that are loaded.
const PLATFORMS: usize = 40;

/// How much more than what is recorded is an alert, in per cent.
const ALERT: usize = 110;

/// The figures that were reviewed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recorded {
    bytes_per_child: usize,
    bytes_per_platform: usize,
}

/// An identifier as random as a real one, and the same in each run.
fn uid(of: impl Hash) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &of).hash(&mut hasher);
        hasher.finish()
    };
    let (high, low) = (half(0), half(1));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// The fields that a field manager owns after it applied an object.
fn owned(value: &Value) -> Value {
    let Some(fields) = value.as_object() else {
        return json!({});
    };
    let owned = |(key, value): (&String, &Value)| (format!("f:{key}"), owned(value));
    Value::Object(fields.iter().map(owned).collect::<Map<_, _>>())
}

/// An object as the API server shows it.
fn shown(platform: &str, object: &Value, version: usize) -> Result<DynamicObject> {
    let mut shown = object.clone();
    let kind = object["kind"].as_str().context("no kind")?;
    let name = object["metadata"]["name"].as_str().context("no name")?;
    let time = "2026-01-02T03:04:05Z";
    let metadata = &mut shown["metadata"];
    metadata["uid"] = uid((platform, kind, name)).into();
    metadata["resourceVersion"] = version.to_string().into();
    metadata["creationTimestamp"] = time.into();
    metadata["generation"] = 1.into();
    metadata["managedFields"] = json!([
        {"manager": MANAGER, "operation": "Apply", "apiVersion": object["apiVersion"], "time": time,
         "fieldsType": "FieldsV1", "fieldsV1": owned(object)},
        {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": object["apiVersion"],
         "time": time, "fieldsType": "FieldsV1", "subresource": "status",
         "fieldsV1": {"f:status": {"f:availableReplicas": {}, "f:conditions": {}}}},
    ]);
    let condition = |kind| {
        json!({"type": kind, "status": "True", "reason": "AsExpected", "message": "as expected",
               "lastTransitionTime": time, "lastUpdateTime": time})
    };
    shown["status"] = json!({
        "observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
        "conditions": [condition("Available"), condition("Progressing")],
    });
    Ok(serde_json::from_value(shown)?)
}

/// The children of a platform.
fn children(number: usize) -> Result<Vec<(ChildKind, DynamicObject)>> {
    let sample = include_str!("../../charts/samples/acme.yaml");
    let mut platform: LogisticsPlatform = serde_norway::from_str(sample)?;
    let name = format!("platform-{number:04}");
    platform.metadata.name = Some(name.clone());
    platform.metadata.namespace = Some(format!("team-{:03}", number / 10));
    platform.metadata.uid = Some(uid(&name));
    platform.metadata.generation = Some(1);
    let valid = validate(&platform).map_err(|invalid| anyhow::anyhow!("{invalid:?}"))?;
    let objects = offline(&valid);
    let child = |(index, object): (usize, &Value)| {
        let kind = ChildKind::ALL
            .into_iter()
            .find(|kind| object["kind"] == kind.name());
        let kind = kind.with_context(|| format!("{} is no child", object["kind"]))?;
        Ok((kind, shown(&name, object, 1000 * number + index)?))
    };
    objects.iter().enumerate().map(child).collect()
}

#[test]
fn what_the_cache_keeps_of_a_child_has_not_grown() -> Result<()> {
    let recorded: Recorded = serde_norway::from_str(include_str!("cache_memory.yaml"))?;
    let platforms: Vec<_> = (0..=PLATFORMS).map(children).collect::<Result<_>>()?;
    let in_one = platforms[1].len();
    let _profiler = dhat::Profiler::builder()
        .testing()
        .trim_backtraces(Some(1))
        .build();
    let cache = Cache::default();
    let mut before = 0;
    for (number, children) in platforms.iter().enumerate() {
        for (kind, object) in children {
            cache.seen(&Live::new(*kind, object.clone()));
        }
        // The first platform's objects are what all others are compressed against.
        if number == 0 {
            before = dhat::HeapStats::get().curr_bytes;
        }
    }
    let kept = dhat::HeapStats::get().curr_bytes - before;
    // It is kept as a whole: what comes out is what a plan compares.
    let all = cache.children("team-000", &uid("platform-0001"), "platform-0001");
    assert_eq!(all.len(), in_one);

    let (per_platform, per_child) = (kept / PLATFORMS, kept / (PLATFORMS * in_one));
    println!("{per_child} bytes a child, {per_platform} bytes a platform with {in_one} children");
    for (what, found, recorded) in [
        ("child", per_child, recorded.bytes_per_child),
        ("platform", per_platform, recorded.bytes_per_platform),
    ] {
        ensure!(
            found * 100 <= recorded * ALERT,
            "the cache keeps {found} bytes of a {what}, {recorded} are recorded in operator/tests/cache_memory.yaml: \
             keep less, or record the new figure and say why it is worth it"
        );
    }
    Ok(())
}
