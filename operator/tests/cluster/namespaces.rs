//! What the operator watches, with exactly the rights that the chart gives for it.

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use logistics_operator::child::ChildKind;
use logistics_operator::controller::Parts;
use logistics_operator::observe::Scope;
use serde_json::json;

use crate::support::{Operator, Release, Site, eventually};

async fn is_forbidden<K>(api: &Api<K>) -> Result<bool>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.list(&ListParams::default().limit(1)).await {
        Err(kube::Error::Api(answer)) if answer.code == 403 => Ok(true),
        answer => Ok(answer.map(|_| false)?),
    }
}

/// All tests here run with the chart's rights; this one shows that they are no more than that.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_for_all_namespaces_has_the_rights_of_the_chart_only() -> Result<()> {
    let site = Site::new("rights").await?;
    let release = Release::install(&site.namespace, &json!({})).await?;
    let nodes: Api<Node> = Api::all(release.client().await?);
    assert!(is_forbidden(&nodes).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn some_namespaces_are_watched_with_rights_in_these_only() -> Result<()> {
    let (home, one, two, other) = (
        Site::new("home").await?,
        Site::new("one").await?,
        Site::new("two").await?,
        Site::new("other").await?,
    );
    let values = json!({
        "watchNamespaces": [one.namespace, two.namespace], "webhook": {"enabled": false},
    });
    let release = Release::install(&home.namespace, &values).await?;
    assert_eq!(
        release.of_kind("ClusterRole").count(),
        0,
        "nothing is cluster-wide"
    );
    assert_eq!(release.of_kind("ClusterRoleBinding").count(), 0);

    let client = release.client().await?;
    let mut namespaces = Vec::new();
    for object in release.of_kind("Deployment") {
        let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        let given = env.as_array().into_iter().flatten();
        let given = given.filter(|variable| variable["name"] == "LOGISTICS_WATCH_NAMESPACE");
        namespaces.extend(given.filter_map(|variable| variable["value"].as_str()));
    }
    let scope = Scope::new(namespaces.concat().split(',').map(str::to_owned))?;
    let operator = Operator::run(Parts {
        scope,
        election: Some(release.election("only")),
        ..Parts::new(client.clone())
    });
    other.create(&other.sample().await?).await?;
    for site in [&one, &two] {
        site.create(&site.sample().await?).await?;
    }
    for site in [&one, &two] {
        site.until_ready().await?;
    }
    // One platform goes, and its namespace alone is concerned.
    one.platforms()
        .delete("acme", &kube::api::DeleteParams::default())
        .await?;
    eventually("one platform is left", || async {
        Ok((operator.metric("platforms") == 1).then_some(()))
    })
    .await?;
    two.api(ChildKind::ServiceAccount)
        .delete("acme-shipment", &kube::api::DeleteParams::default())
        .await?;
    two.until_ready().await?;
    assert!(other.children().await?.is_empty(), "nothing is done elsewhere");

    let secrets =
        |namespace: &str| Api::<k8s_openapi::api::core::v1::Secret>::namespaced(client.clone(), namespace);
    assert!(!is_forbidden(&secrets(&two.namespace)).await?);
    for namespace in [&other.namespace, &home.namespace] {
        assert!(is_forbidden(&secrets(namespace)).await?, "{namespace}");
    }
    operator.stop().await
}
