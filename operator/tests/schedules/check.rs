//! What must be so in the end: what is there is what the platform asks for, and the status says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::apply::Applied;
use logistics_operator::backend::{Reading, registry};
use logistics_operator::child::{ChildKind, Live};
use logistics_operator::credential::Credentials;
use logistics_operator::desire::desire;
use logistics_operator::names::Names;
use logistics_operator::observe::{Children, Observed};
use logistics_operator::plan::plan;
use logistics_operator::release::decide;
use logistics_operator::status::{Facts, status};
use logistics_operator::validate::validate;
use serde_json::Value;

use crate::acts::Others;
use crate::api::Kind;
use crate::outside::Systems;
use crate::wire::World;

/// Checks everything.
pub(crate) fn all(world: &World, systems: &Systems, others: &Others) {
    for name in &others.platforms {
        platform(world, systems, name);
    }
    for touched in others.touched() {
        world.monitor.find(touched);
    }
    unreferred(world, others);
    let (jobs, needed) = (world.monitor.jobs(), others.migrations());
    let failed = world
        .monitor
        .trace()
        .iter()
        .filter(|line| line.ends_with(" fails"))
        .count();
    if jobs > needed + failed {
        world.monitor.find(format_args!(
            "{jobs} migrations, and only {needed} were needed, {failed} failed"
        ));
    }
}

fn children(world: &World, uid: &str, name: &str) -> Children {
    let mut children = Children::new();
    for kind in ChildKind::ALL {
        for (_, object) in world.store.all(&Kind::of(kind).plural) {
            let object = serde_json::from_value(Value::clone(&object)).expect("objects have metadata");
            let live = Live::new(kind, object);
            if live.belongs_to(uid, name) {
                children.insert(live.id.clone(), live);
            }
        }
    }
    children
}

fn platform(world: &World, systems: &Systems, name: &str) {
    let find = |what: String| world.monitor.find(format_args!("{name}: {what}"));
    let Some(live) = world.store.get(&Others::key("logisticsplatforms", name)) else {
        return find("the platform is not there".into());
    };
    let object: LogisticsPlatform = match serde_json::from_value(Value::clone(&live)) {
        Ok(object) => object,
        Err(error) => return find(format!("the platform cannot be read: {error}")),
    };
    let valid = match validate(&object) {
        Ok(valid) => valid,
        Err(error) => return find(format!("the platform is invalid: {error}")),
    };
    let subjects = systems.subjects(&registry::wanted(&valid));
    let observed = Observed {
        children: children(world, &valid.uid, name),
        missing: Vec::new(),
        looked_up: true,
        kafka: Reading::Seen(Arc::new(systems.topics())),
        registry: Reading::Seen(Arc::new(subjects)),
        postgres: Reading::Seen(Arc::default()),
        optional: BTreeSet::new(),
        accepted: BTreeMap::new(),
        fights: BTreeMap::new(),
        lost: BTreeMap::new(),
        now: Timestamp::now(),
    };
    let names = Names(&valid.identity);
    let credentials = Credentials::observed_or(&observed, names, &Credentials::fixed("lost"));
    let release = decide(&valid, &observed, &credentials);
    let plan = plan(&desire(&valid, &observed, &release, &credentials), &observed);
    for change in &plan.children {
        find(format!("left to do: {change}"));
    }
    for change in &plan.kafka.changes {
        find(format!("left to do: {change}"));
    }
    for change in &plan.registry.changes {
        find(format!("left to do: {change}"));
    }
    for blocked in &plan.blocked {
        find(format!("blocked: {}", blocked.message));
    }
    if !release.settled() {
        find(format!("the release is not settled: {:?}", release.workloads));
    }
    let former = object.status.clone().unwrap_or_default();
    let applied = Applied::default();
    let facts = Facts {
        valid: &valid,
        observed: &observed,
        release: &release,
        applied: &applied,
    };
    let truth = status(facts, &former);
    if truth != former {
        find(format!(
            "the status is not true; it says {former:?}, and the truth is {truth:?}"
        ));
    }
    let ready = former
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready");
    if ready.is_none_or(|ready| ready.status != "True") {
        find(format!("not ready: {ready:?}"));
    }
    if former.observed_generation != object.metadata.generation {
        find("the newest generation is not observed".into());
    }
}

/// Nothing of a platform that is gone is left, and nothing is half deleted.
fn unreferred(world: &World, others: &Others) {
    let platforms = world.store.all("logisticsplatforms");
    let uids: BTreeSet<_> = platforms
        .iter()
        .filter_map(|(_, p)| p["metadata"]["uid"].as_str())
        .collect();
    for (key, object) in others.children() {
        let meta = &object["metadata"];
        let owner = meta["ownerReferences"][0]["uid"].as_str().unwrap_or_default();
        if !uids.contains(owner) {
            world
                .monitor
                .find(format_args!("{key} belongs to a platform that is gone"));
        }
        if !meta["deletionTimestamp"].is_null() {
            world.monitor.find(format_args!("{key} is half deleted"));
        }
    }
}
