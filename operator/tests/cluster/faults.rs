//! The operator ends at any write; the next one reaches the same end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Result;
use http::{Method, Request};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use logistics_operator::child::ChildKind;

use crate::support::{Operator, Site, eventually, operator_config};

/// A client that lets some writes through. Later ones never come back, as in a process that was killed.
async fn dying(writes: i64) -> Result<(Client, Arc<AtomicI64>)> {
    let left = Arc::new(AtomicI64::new(writes));
    let counter = left.clone();
    let layer = tower::layer::layer_fn(move |inner| {
        let left = counter.clone();
        tower::filter::AsyncFilter::new(
            tower::buffer::Buffer::new(inner, 1024),
            move |request: Request<Body>| {
                let write = request.method() != Method::GET;
                let alive = !write || left.fetch_sub(1, Ordering::SeqCst) > 0;
                async move {
                    if !alive {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, std::convert::Infallible>(request)
                }
            },
        )
    });
    let config = operator_config().await?;
    Ok((ClientBuilder::try_from(config)?.with_layer(&layer).build(), left))
}

/// What exists, with names that follow from random passwords made comparable.
async fn shape(site: &Site) -> Result<BTreeSet<String>> {
    let children = site.children().await?.into_keys();
    let name = |name: String| name.replace(&site.namespace, "NAMESPACE");
    Ok(children
        .map(|id| {
            if id.kind == ChildKind::Job {
                "the Job".into()
            } else {
                name(id.to_string())
            }
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_the_end_is_the_same() -> Result<()> {
    // A platform takes about forty writes, Events among them.
    for writes in [0, 1, 3, 5, 8, 12, 17, 23, 30] {
        let site = Site::new("killed").await?;
        let (client, left) = dying(writes).await?;
        let first = Operator::start(client, &site.namespace);
        site.create(&site.sample().await?).await?;
        eventually("the operator is killed", || async {
            site.migrate().await?;
            site.start().await?;
            let ready = site.condition("Ready").await?.0.starts_with("True");
            Ok((ready || left.load(Ordering::SeqCst) < 0).then_some(()))
        })
        .await?;
        first.kill().await;
        let second = Operator::new(&site).await?;
        site.until_ready().await?;
        site.until_idle(&second).await?;
        let found = shape(&site).await?;
        let count = |kind: &str| found.iter().filter(|id| id.starts_with(kind)).count();
        let counts = [
            "ServiceAccount ",
            "Secret ",
            "ConfigMap ",
            "ControllerRevision ",
            "NetworkPolicy ",
            "Service ",
            "PodDisruptionBudget ",
            "Deployment ",
        ]
        .map(count);
        assert_eq!(
            counts,
            [4, 3, 4, 3, 4, 9, 3, 3],
            "after {writes} writes: {found:?}"
        );
        assert_eq!(
            site.names(ChildKind::Job).await?.len(),
            1,
            "after {writes} writes"
        );
        second.stop().await?;
    }
    Ok(())
}
