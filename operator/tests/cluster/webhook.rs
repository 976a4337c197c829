//! The admission webhook, asked by a real API server over TLS, with the chart's configuration and rights.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use logistics_operator::admission::rotation::Lifetimes;
use logistics_operator::admission::{Certified, Webhook};
use logistics_operator::api::LogisticsPlatform;
use logistics_operator::controller::Parts;
use logistics_operator::observe::Scope;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Operator, Release, Site, apply, eventually};

/// A site whose platforms are checked by operators of a release.
struct Gate {
    site: Site,
    release: Release,
    lifetimes: Lifetimes,
}

impl Gate {
    async fn new(name: &str, failure_policy: &str, lifetimes: Lifetimes) -> Result<Self> {
        let site = Site::new(name).await?;
        let values = json!({
            "watchNamespaces": [site.namespace],
            "webhook": {"failurePolicy": failure_policy, "timeoutSeconds": 10},
        });
        let release = Release::install(&site.namespace, &values).await?;
        Ok(Self {
            site,
            release,
            lifetimes,
        })
    }

    /// An operator that serves the webhook, and its port.
    async fn operator(&self, identity: &str) -> Result<(Operator, u16)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let certified = Certified {
            names: vec!["127.0.0.1".into()],
            namespace: self.site.namespace.clone(),
            secret: format!("{}-webhook", self.release.name),
            configuration: self.configuration_name()?,
            lifetimes: self.lifetimes,
        };
        let operator = Operator::run(Parts {
            scope: Scope::one(&self.site.namespace),
            election: Some(self.release.election(identity)),
            webhook: Some(Webhook { listener, certified }),
            ..Parts::new(self.release.client().await?)
        });
        Ok((operator, port))
    }

    fn configuration(&self) -> Result<&Value> {
        let mut all = self.release.of_kind("ValidatingWebhookConfiguration");
        all.next().context("the chart has no webhook")
    }

    fn configuration_name(&self) -> Result<String> {
        let name = self.configuration()?["metadata"]["name"].as_str();
        Ok(name.context("no name")?.to_owned())
    }

    /// Installs the chart's configuration; there is no Service here, so a port of loopback is called instead.
    async fn direct_to(&self, port: u16) -> Result<()> {
        let mut configuration = self.configuration()?.clone();
        let url = format!("https://127.0.0.1:{port}/validate");
        configuration["webhooks"][0]["clientConfig"] = json!({"url": url});
        apply(&configuration).await.map(drop)
    }

    fn configurations(&self) -> Api<ValidatingWebhookConfiguration> {
        Api::all(self.site.client.clone())
    }

    async fn bundle(&self) -> Result<Vec<u8>> {
        let configuration = self.configurations().get(&self.configuration_name()?).await?;
        Ok(bundle_of(configuration))
    }

    async fn certificate(&self) -> Result<Vec<u8>> {
        let secrets: Api<Secret> = Api::namespaced(self.site.client.clone(), &self.site.namespace);
        let secret = secrets.get_opt(&format!("{}-webhook", self.release.name)).await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        Ok(data.get("tls.crt").map(|pem| pem.0.clone()).unwrap_or_default())
    }

    /// Asks whether a platform would be stored; `None` when it would, else why not.
    async fn refusal(&self, platform: &Value) -> Result<Option<String>> {
        let platform: LogisticsPlatform = serde_json::from_value(platform.clone())?;
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match self.site.platforms().create(&dry, &platform).await {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) => Ok(Some(status.message)),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a wrong platform is refused by the webhook; returns the message.
    async fn until_it_refuses(&self, platform: &Value) -> Result<String> {
        eventually("a wrong platform is refused", || async {
            let refusal = self.refusal(platform).await?;
            Ok(refusal.filter(|message| message.contains("denied the request")))
        })
        .await
    }
}

fn bundle_of(configuration: ValidatingWebhookConfiguration) -> Vec<u8> {
    let webhook = configuration.webhooks.unwrap_or_default().into_iter().next();
    let bundle = webhook.and_then(|webhook| webhook.client_config.ca_bundle);
    bundle.unwrap_or_default().0
}

/// A platform that the definition's rules let pass and that is wrong.
async fn wrong(site: &Site) -> Result<Value> {
    let mut wrong = site.sample().await?;
    wrong["spec"]["workloads"]["shipment"]["resources"] =
        json!({"requests": {"memory": "512Mi"}, "limits": {"memory": "256Mi"}});
    Ok(wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_platform_is_refused_and_followers_answer_too() -> Result<()> {
    let gate = Gate::new("refused", "Ignore", Lifetimes::default()).await?;
    let (leader, leaders_port) = gate.operator("leader").await?;
    eventually("it leads", || async {
        Ok((leader.metric("leader") == 1).then_some(()))
    })
    .await?;
    let (follower, followers_port) = gate.operator("follower").await?;
    let wrong = wrong(&gate.site).await?;
    for (operator, port) in [(&leader, leaders_port), (&follower, followers_port)] {
        gate.direct_to(port).await?;
        let message = eventually("this replica refuses", || async {
            let refused = gate.until_it_refuses(&wrong).await?;
            let denied = operator.metric("admission_requests_total{result=\"denied\"}");
            Ok((denied > 0).then_some(refused))
        })
        .await?;
        assert!(
            message.contains(
                "LogisticsPlatform acme is wrong: spec.workloads.shipment.resources.requests.memory"
            ) && message.contains("lower the request or raise the limit"),
            "{message}"
        );
        assert_eq!(gate.refusal(&gate.site.sample().await?).await?, None);
        let end = operator.metric("webhook_certificate_expiry_timestamp_seconds");
        assert!(end > 1_700_000_000, "{end}");
    }
    // What somebody else makes of the authority is repaired.
    let bundle = gate.bundle().await?;
    let spoilt =
        json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "bm90aGluZw=="}]);
    let patch: Patch<Value> = Patch::Json(serde_json::from_value(spoilt)?);
    let start = Instant::now();
    let name = gate.configuration_name()?;
    let spoilt = gate
        .configurations()
        .patch(&name, &PatchParams::default(), &patch)
        .await?;
    // As it was at that moment: it may be repaired already.
    ensure!(bundle_of(spoilt) == b"nothing", "the authority was not spoilt");
    eventually("the authority is back", || async {
        Ok((gate.bundle().await? == bundle).then_some(()))
    })
    .await?;
    println!("authority repaired after {:?}", start.elapsed());
    gate.until_it_refuses(&wrong).await?;
    leader.stop().await?;
    follower.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_passes_while_the_webhook_is_away_even_where_it_has_to_answer() -> Result<()> {
    let gate = Gate::new("away", "Fail", Lifetimes::default()).await?;
    let (operator, port) = gate.operator("only").await?;
    gate.direct_to(port).await?;
    gate.until_it_refuses(&wrong(&gate.site).await?).await?;
    let mut platform = gate.site.sample().await?;
    platform["metadata"]["finalizers"] = json!(["example.org/wait"]);
    gate.site.create(&platform).await?;
    operator.stop().await?;

    let platforms = gate.site.platforms();
    let update = Patch::Merge(json!({"spec": {"version": "0.2.0"}}));
    let refused = platforms.patch("acme", &PatchParams::default(), &update).await;
    let refused = refused.err().context("it was stored unchecked")?.to_string();
    assert!(refused.contains("failed calling webhook"), "{refused}");
    platforms.delete("acme", &DeleteParams::default()).await?;
    let done = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    platforms.patch("acme", &PatchParams::default(), &done).await?;
    assert!(platforms.get_opt("acme").await?.is_none());

    // Where it need not answer, the reconcile checks alone.
    let mut configuration = gate.configuration()?.clone();
    configuration["webhooks"][0]["failurePolicy"] = "Ignore".into();
    configuration["webhooks"][0]["clientConfig"] =
        json!({"url": format!("https://127.0.0.1:{port}/validate")});
    apply(&configuration).await?;
    let wrong = wrong(&gate.site).await?;
    eventually("it is stored", || async {
        Ok(gate.refusal(&wrong).await?.is_none().then_some(()))
    })
    .await
}

/// Certificates that hold for seconds: while authorities and certificates change, no request fails.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_without_a_failed_request() -> Result<()> {
    let second = Duration::from_secs(1);
    let lifetimes = Lifetimes {
        authority: second * 24,
        serving: second * 12,
        settle: second * 2,
    };
    let gate = Gate::new("rotation", "Fail", lifetimes).await?;
    let (leader, port) = gate.operator("first").await?;
    let (follower, _) = gate.operator("second").await?;
    gate.direct_to(port).await?;
    gate.until_it_refuses(&wrong(&gate.site).await?).await?;
    let (right, start) = (gate.site.sample().await?, Instant::now());
    let (mut asked, mut bundles, mut certificates) = (0_u32, Vec::new(), Vec::new());
    while start.elapsed() < second * 50 {
        for (seen, now) in [
            (&mut bundles, gate.bundle().await?),
            (&mut certificates, gate.certificate().await?),
        ] {
            if seen.last() != Some(&now) {
                seen.push(now);
            }
        }
        let refusals = futures::future::try_join_all((0..4).map(|_| gate.refusal(&right))).await?;
        for refusal in refusals {
            assert_eq!(refusal, None, "after {:?} and {asked} requests", start.elapsed());
            asked += 1;
        }
    }
    println!(
        "{asked} requests, {} certificates and {} sets of authorities in {:?}",
        certificates.len(),
        bundles.len(),
        start.elapsed()
    );
    // In 50 s: at 16 s and 32 s or so another authority, with a certificate each.
    assert!(certificates.len() >= 4, "{}", certificates.len());
    assert!(bundles.len() >= 5, "{}", bundles.len());
    leader.stop().await?;
    follower.stop().await
}
