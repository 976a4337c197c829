//! Whatever people do to a child by hand is repaired in under two seconds with one write, and nothing else is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::{Mark, Write};
use dev_e2e::children::{self, Id};
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::wait;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use logistics_operator::child::ChildKind;
use logistics_operator::names::MANAGED_BY;
use serde_json::Value;
use tokio::sync::Semaphore;

const LIMIT: Duration = Duration::from_secs(2);
/// After a repair, nothing may be written for this long.
const QUIET: Duration = Duration::from_secs(1);
/// The operator must come to rest within this time.
const REST_LIMIT: Duration = Duration::from_secs(20);
const MIGRATION_LIMIT: Duration = Duration::from_mins(1);
/// People who act at once. More would only wait for a core.
const HANDS: usize = 2;

/// What somebody does with an object by `kubectl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    /// `kubectl edit`: another value in one of our labels.
    Edit,
    /// `kubectl label`: one of ours is taken away.
    Unlabel,
    /// `kubectl label`: the one by which the operator finds its children.
    Hide,
    /// `kubectl patch` of something that matters, where the API lets it.
    Patch,
    /// `kubectl scale`.
    Scale,
    /// `kubectl delete`.
    Delete,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_any_kind_changed_by_hand_is_repaired_with_one_write_each() -> Result<()> {
    let stage = Stage::ready().await?;
    for hand in [Hand::Edit, Hand::Unlabel, Hand::Hide, Hand::Patch, Hand::Scale] {
        let children = children::one_of_each(&stage.client, MAIN).await?;
        let chosen = children.into_iter().filter(|(id, _)| takes(hand, id.0)).collect();
        all_at_once(&stage, hand, chosen, &[]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_child_of_any_kind_is_made_again_with_one_write_each() -> Result<()> {
    let stage = Stage::ready().await?;
    let children = children::one_of_each(&stage.client, MAIN).await?;
    // New credentials are a new password of the role, which only another migration can set.
    let (secret, others): (BTreeMap<_, _>, _) = children
        .into_iter()
        .partition(|(id, _)| id.0 == ChildKind::Secret);
    all_at_once(&stage, Hand::Delete, others, &[]).await?;
    stage.wait_ready().await?;
    all_at_once(&stage, Hand::Delete, secret, &["jobs"]).await?;
    stage.wait_ready().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_note_on_a_child_stays_and_costs_no_write() -> Result<()> {
    let stage = Stage::ready().await?;
    let chosen = children::one_of_each(&stage.client, MAIN).await?;
    // A migration that an earlier story made necessary is told when it is over.
    stage
        .wait_condition(MAIN, "DatabaseReady", MIGRATION_LIMIT, |condition| {
            condition.status == "True"
        })
        .await?;
    Mark::now(&stage.facts.audit_log)?
        .operator_writes_at_rest(MAIN.namespace, 2 * QUIET, REST_LIMIT)
        .await?;
    let mark = Mark::now(&stage.facts.audit_log)?;
    for id in chosen.keys() {
        let kind = id.0.name();
        let label = [
            "label",
            "-n",
            MAIN.namespace,
            kind,
            &id.1,
            "example.org/team=blue",
        ];
        stage.kubectl.run(&label).await?;
        let note = [
            "annotate",
            "-n",
            MAIN.namespace,
            kind,
            &id.1,
            "example.org/note=kept",
        ];
        stage.kubectl.run(&note).await?;
    }
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    ensure!(
        writes.is_empty(),
        "foreign labels and annotations were answered by {writes:?}"
    );

    // They outlive a repair too.
    all_at_once(&stage, Hand::Edit, chosen.clone(), &[]).await?;
    let api = |id: &Id| children::api(&stage.client, MAIN.namespace, id.0);
    for id in chosen.keys() {
        let child = api(id).get(&id.1).await?;
        let kept = child.labels().get("example.org/team").map(String::as_str) == Some("blue")
            && child.annotations().get("example.org/note").map(String::as_str) == Some("kept");
        ensure!(kept, "{id:?} lost what others noted on it: {:?}", child.metadata);
        let kind = id.0.name();
        let clean = ["label", "-n", MAIN.namespace, kind, &id.1, "example.org/team-"];
        stage.kubectl.run(&clean).await?;
        let clean = ["annotate", "-n", MAIN.namespace, kind, &id.1, "example.org/note-"];
        stage.kubectl.run(&clean).await?;
    }
    println!("{} children kept foreign labels and annotations", chosen.len());
    Ok(())
}

/// Whether it can be done to a kind.
const fn takes(hand: Hand, kind: ChildKind) -> bool {
    match hand {
        Hand::Patch => patch(kind).is_some(),
        Hand::Scale => matches!(kind, ChildKind::Deployment),
        _ => true,
    }
}

/// What somebody might change that matters; not where the API never lets it, nor where it makes other work necessary.
const fn patch(kind: ChildKind) -> Option<&'static str> {
    match kind {
        ChildKind::Deployment => Some(r#"{"spec": {"minReadySeconds": 0, "progressDeadlineSeconds": 5}}"#),
        ChildKind::Service => Some(r#"{"spec": {"selector": {"app.kubernetes.io/component": "elsewhere"}}}"#),
        ChildKind::ServiceAccount => Some(r#"{"automountServiceAccountToken": true}"#),
        ChildKind::HorizontalPodAutoscaler => Some(r#"{"spec": {"maxReplicas": 9}}"#),
        ChildKind::PodDisruptionBudget => Some(r#"{"spec": {"maxUnavailable": 2}}"#),
        ChildKind::NetworkPolicy => Some(r#"{"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}"#),
        ChildKind::Secret
        | ChildKind::ConfigMap
        | ChildKind::ControllerRevision
        | ChildKind::Job
        | ChildKind::PodMonitor => None,
    }
}

/// Acts on every child, a few at once; checks that each is as it was in time, and was written once and alone.
async fn all_at_once(
    stage: &Stage,
    hand: Hand,
    children: BTreeMap<Id, DynamicObject>,
    follows: &[&str],
) -> Result<()> {
    ensure!(!children.is_empty(), "{hand:?}: no child takes it");
    let mark = Mark::now(&stage.facts.audit_log)?;
    let hands = Arc::new(Semaphore::new(HANDS));
    let acts = children.iter().map(|(id, child)| {
        let hands = hands.clone();
        async move {
            let _hand = hands.acquire().await?;
            act(stage, hand, id).await?;
            repaired(stage, hand, id, child).await
        }
    });
    let results = futures::future::join_all(acts).await;
    let mut slowest = Duration::ZERO;
    for (result, id) in results.into_iter().zip(children.keys()) {
        slowest = slowest.max(result.with_context(|| format!("{hand:?} of {id:?}"))?);
    }
    let ids: Vec<&Id> = children.keys().collect();
    once_each(&mark, hand, &ids, follows).await?;
    println!(
        "{hand:?}: {} children repaired with one write each, the slowest after {slowest:.1?}",
        ids.len()
    );
    Ok(())
}

async fn act(stage: &Stage, hand: Hand, (kind, name): &Id) -> Result<()> {
    let object = ["-n", MAIN.namespace, kind.name(), name];
    let with = |verb: &'static str, more: &[&'static str]| -> Vec<String> {
        let words = [verb].into_iter().chain(object).chain(more.iter().copied());
        words.map(str::to_owned).collect()
    };
    let hidden: &'static str = "app.kubernetes.io/managed-by-";
    debug_assert_eq!(hidden.trim_end_matches('-'), MANAGED_BY);
    let words = match hand {
        Hand::Edit => {
            // The indentation is that of the object's own labels, not of a template's.
            let label = format!("    app.kubernetes.io/part-of: {}", MAIN.name);
            let expression = format!("s#^{label}$#    app.kubernetes.io/part-of: elsewhere#");
            return stage.kubectl.edit(&object, &expression).await.map(drop);
        }
        Hand::Unlabel => with("label", &["app.kubernetes.io/name-"]),
        Hand::Hide => with("label", &[hidden]),
        Hand::Patch => with("patch", &["--type=merge", "-p", patch(*kind).unwrap_or_default()]),
        Hand::Scale => with("scale", &["--replicas=3"]),
        Hand::Delete => with("delete", &["--wait=false"]),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.kubectl.run(&words).await.map(drop)
}

/// Waits until the object is as it was, within the limit.
async fn repaired(stage: &Stage, hand: Hand, id: &Id, before: &DynamicObject) -> Result<Duration> {
    let api = children::api(&stage.client, MAIN.namespace, id.0);
    let wanted = children::applied(id.0, before);
    ensure!(wanted != Value::Null, "{id:?} was never applied by the operator");
    let good = |now: &DynamicObject| {
        let another = hand == Hand::Delete;
        children::applied(id.0, now) == wanted && (now.uid() != before.uid()) == another
    };
    let ((), took) = wait::until("repair", LIMIT, || async {
        let now = api.get_opt(&id.1).await?;
        Ok(now.is_some_and(|now| good(&now)).then_some(()))
    })
    .await?;
    Ok(took)
}

/// Checks that the operator has written each of these objects once, its platform's status and nothing else, and has
/// come to rest.
async fn once_each(mark: &Mark, hand: Hand, ids: &[&Id], follows: &[&str]) -> Result<()> {
    let writes = mark
        .operator_writes_at_rest(MAIN.namespace, QUIET, REST_LIMIT)
        .await?;
    let is = |write: &Write, id: &Id| write.resource == id.0.resource().plural && write.name == id.1;
    for id in ids {
        let count = writes.iter().filter(|write| is(write, id)).count();
        ensure!(
            count == 1,
            "{hand:?}: {id:?} was written {count} times: {writes:?}"
        );
    }
    let allowed = |write: &Write| {
        ids.iter().any(|id| is(write, id))
            || write.resource == "logisticsplatforms/status"
            || follows.contains(&write.resource.as_str())
    };
    let more: Vec<_> = writes.iter().filter(|write| !allowed(write)).collect();
    ensure!(more.is_empty(), "{hand:?}: besides {ids:?} were written {more:?}");
    Ok(())
}
