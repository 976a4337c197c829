//! A child that is deleted or edited is repaired in under two seconds, and nothing else is written.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dev_e2e::audit::{Mark, Write};
use dev_e2e::children::{self, Id, Kind, REVISION};
use dev_e2e::stage::{NAMESPACE, Stage};
use dev_e2e::wait;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(2);
/// After a repair, nothing may be written for this long.
const QUIET: Duration = Duration::from_secs(1);
/// The operator must come to rest within this time.
const REST_LIMIT: Duration = Duration::from_secs(20);
/// Every kind of child; of Services, those of a revision and the apex.
const WHAT: [(Kind, Option<bool>); 8] = [
    (Kind::Deployment, None),
    (Kind::Service, Some(true)),
    (Kind::Service, Some(false)),
    (Kind::ServiceAccount, None),
    (Kind::ConfigMap, None),
    (Kind::Secret, None),
    (Kind::ControllerRevision, None),
    (Kind::Job, None),
];
const LABEL: &str = "app.kubernetes.io/part-of";

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_child_is_repaired_and_nothing_else_is_written() -> Result<()> {
    let stage = Stage::ready().await?;
    for what in WHAT {
        let (id, child) = pick(&stage, what).await?;
        let mark = Mark::now(&stage.facts.audit_log)?;
        let edit = edit(&id);
        id.0.api(&stage.client)
            .patch(&id.1, &PatchParams::default(), &Patch::Merge(&edit))
            .await?;
        let wanted = children::wanted(id.0, &child);
        let took = repaired(&stage, &id, |now| {
            let label = |object: &DynamicObject| object.labels().get(LABEL).cloned();
            children::wanted(id.0, now) == wanted && label(now) == label(&child)
        })
        .await?;
        println!("{id:?} edited, repaired after {took:.1?}");
        only(&mark, &id, &[]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_child_is_made_again_and_nothing_else_is_written() -> Result<()> {
    let stage = Stage::ready().await?;
    for what in WHAT {
        // Each when its turn comes: a Secret made again has made another migration necessary.
        let (id, child) = pick(&stage, what).await?;
        let mark = Mark::now(&stage.facts.audit_log)?;
        id.0.api(&stage.client)
            .delete(&id.1, &DeleteParams::background())
            .await?;
        let uid = child.uid();
        let wanted = children::wanted(id.0, &child);
        let took = repaired(&stage, &id, |now| {
            now.uid() != uid && children::wanted(id.0, now) == wanted
        })
        .await?;
        println!("{id:?} deleted, made again after {took:.1?}");
        // New credentials are a new password of the role, which only the migration can set.
        let follows: &[&str] = if id.0 == Kind::Secret { &["jobs"] } else { &[] };
        only(&mark, &id, follows).await?;
        stage.wait_ready().await?;
    }
    Ok(())
}

/// A child of this kind; of Services, the one of a revision or the apex.
async fn pick(stage: &Stage, (kind, of_revision): (Kind, Option<bool>)) -> Result<(Id, DynamicObject)> {
    let children = children::all(&stage.client).await?;
    let fits = |id: &Id, child: &DynamicObject| {
        let has_revision = child.labels().contains_key(REVISION);
        id.0 == kind && of_revision.is_none_or(|wanted| wanted == has_revision)
    };
    let child = children.into_iter().find(|(id, child)| fits(id, child));
    child.with_context(|| format!("the platform has no {kind:?}"))
}

/// What somebody might change: something that matters where the API lets it, else a label of ours.
fn edit(id: &Id) -> Value {
    match id.0 {
        Kind::Deployment => json!({"spec": {"replicas": 1}}),
        Kind::Service => json!({"spec": {"selector": {"app.kubernetes.io/component": "elsewhere"}}}),
        Kind::ServiceAccount => json!({"automountServiceAccountToken": true}),
        // Their content is immutable, or drawn by chance.
        Kind::ConfigMap | Kind::ControllerRevision | Kind::Secret | Kind::Job => {
            json!({"metadata": {"labels": {LABEL: "elsewhere"}}})
        }
    }
}

/// Waits until the object is as it should be, within the limit.
async fn repaired(stage: &Stage, id: &Id, good: impl Fn(&DynamicObject) -> bool) -> Result<Duration> {
    let api = id.0.api(&stage.client);
    let ((), took) = wait::until(&format!("repair of {id:?}"), LIMIT, || async {
        Ok(api
            .get_opt(&id.1)
            .await?
            .is_some_and(|now| good(&now))
            .then_some(()))
    })
    .await?;
    Ok(took)
}

/// Checks that the operator has written this object, its platform's status and nothing else, and has come to rest.
async fn only(mark: &Mark, id: &Id, follows: &[&str]) -> Result<()> {
    let resource = id.0.resource().plural;
    let foreign = |writes: &[Write]| -> Vec<Write> {
        let ours = |write: &Write| {
            let same = write.resource == resource && (write.name == id.1 || write.name.is_empty());
            same || write.resource == "logisticsplatforms/status"
                || follows.contains(&write.resource.as_str())
        };
        writes.iter().filter(|write| !ours(write)).cloned().collect()
    };
    let writes = mark.operator_writes_at_rest(NAMESPACE, QUIET, REST_LIMIT).await?;
    let own = writes.iter().filter(|write| write.resource == resource).count();
    ensure!(
        foreign(&writes).is_empty(),
        "besides {id:?} were written {:?}",
        foreign(&writes)
    );
    ensure!(own == 1, "{id:?} was written {own} times: {writes:?}");
    Ok(())
}
