//! The controllers of a real cluster, played: pods become available, Jobs end, what has lost its owner goes.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::Key;
use crate::dice::Dice;
use crate::wire::World;

/// Plays until it is aborted. In a cluster where nothing changes it does nothing.
pub(crate) async fn play(world: Arc<World>, seed: u64) {
    let mut dice = Dice::new(seed, "controllers");
    let mut changes = world.store.work();
    loop {
        tokio::time::sleep(dice.millis(20, 2500)).await;
        changes.borrow_and_update();
        let mut busy = world.store.collect_garbage();
        for (key, live) in world.store.all("deployments") {
            busy |= roll(&world, &key, &live, &mut dice);
        }
        for (key, live) in world.store.all("jobs") {
            busy |= work(&world, &key, &live, &mut dice);
        }
        if !busy && changes.changed().await.is_err() {
            return;
        }
    }
}

fn report(world: &World, key: &Key, status: Value) -> bool {
    let before = world.store.version();
    let written = world.store.replace("kube-controller-manager", key, true, |live| {
        let mut object = live.clone();
        object["status"] = status;
        Ok(object)
    });
    written.is_ok() && world.store.version() != before
}

/// A Deployment gets nearer to what it should be; tells whether it is not there yet.
fn roll(world: &World, key: &Key, live: &Value, dice: &mut Dice) -> bool {
    let replicas = live["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = if !world.faults.over() && dice.per_mille(300) {
        replicas / 2
    } else {
        replicas
    };
    let mut status = json!({
        "observedGeneration": live["metadata"]["generation"], "replicas": replicas, "updatedReplicas": replicas,
    });
    if ready > 0 {
        status["readyReplicas"] = ready.into();
        status["availableReplicas"] = ready.into();
    }
    if live["status"] == status && ready == replicas {
        return false;
    }
    report(world, key, status);
    ready != replicas
}

/// A Job ends; tells whether it has not yet.
fn work(world: &World, key: &Key, live: &Value, dice: &mut Dice) -> bool {
    if !live["status"]["conditions"].is_null() {
        return false;
    }
    if !world.faults.over() && dice.per_mille(400) {
        return true;
    }
    let condition = if !world.faults.over() && dice.per_mille(150) {
        // Long enough ago to be tried again at once: the clock of statuses does not pass in a schedule.
        let time = Timestamp::now() - SignedDuration::from_mins(10);
        world.monitor.note(format_args!("{key} fails"));
        json!({"type": "Failed", "status": "True", "lastTransitionTime": time.to_string(), "message": "it failed"})
    } else {
        json!({"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    report(world, key, json!({"conditions": [condition]}));
    false
}
