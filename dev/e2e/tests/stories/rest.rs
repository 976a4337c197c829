//! A reconcile that has nothing to do asks the API server for nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev_e2e::audit::Mark;
use dev_e2e::stage::{MAIN, Stage};
use dev_e2e::{children, wait};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use logistics_operator::child::ChildKind;

const REST: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_mins(1);
const REQUESTS: &str = "logistics_operator_kubernetes_requests_total";
const RECONCILES: &str = "logistics_operator_reconciles_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_without_work_sends_no_request() -> Result<()> {
    let stage = Stage::ready().await?;
    // What is counted is seen by a repair, which is a request.
    let before = stage.operator.counter(REQUESTS).await?;
    let name = format!("{}-shipment", MAIN.name);
    children::api(&stage.client, MAIN.namespace, ChildKind::Service)
        .delete(&name, &DeleteParams::default())
        .await?;
    wait::until("the count of a repair", LIMIT, || async {
        Ok((stage.operator.counter(REQUESTS).await? > before).then_some(()))
    })
    .await?;
    // Watches that an earlier story has broken are opened anew by a list.
    wait::until("the operator at rest", LIMIT, || async {
        let mark = Mark::now(&stage.facts.audit_log)?;
        tokio::time::sleep(2 * REST).await;
        Ok(mark.operator_at_work()?.is_empty().then_some(()))
    })
    .await?;
    let requests = stage.operator.counter(REQUESTS).await?;
    let reconciles = stage.operator.counter(RECONCILES).await?;
    let mark = Mark::now(&stage.facts.audit_log)?;

    // Each of these wakes the platform, and changes nothing that it wants.
    let children = children::all(&stage.client, MAIN).await?;
    let deployment = children
        .iter()
        .find(|((kind, _), _)| *kind == ChildKind::Deployment);
    let name = deployment.map(|(_, child)| child.name_any()).unwrap_or_default();
    let mut expected = reconciles;
    for (kind, name) in [("logisticsplatforms", MAIN.name), ("deployments", name.as_str())] {
        for value in ["example.org/look=here", "example.org/look-"] {
            stage
                .kubectl
                .run(&["annotate", "-n", MAIN.namespace, kind, name, value])
                .await?;
            expected += 1.0;
            wait::until("the reconcile that was provoked", LIMIT, || async {
                Ok((stage.operator.counter(RECONCILES).await? >= expected).then_some(()))
            })
            .await?;
        }
    }
    tokio::time::sleep(REST).await;
    let asked = mark.operator_at_work()?;
    ensure!(
        asked.is_empty(),
        "the audit log has requests of a reconcile without work: {asked:?}"
    );
    let more = stage.operator.counter(REQUESTS).await? - requests;
    ensure!(
        more == 0.0,
        "the operator has counted {more} requests of a reconcile without work"
    );
    let made = stage.operator.counter(RECONCILES).await? - reconciles;
    println!("{made} reconciles without work, no request");
    Ok(())
}
