//! Several operators: one writes at a time, whatever happens to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use http::{Method, Request};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config, ResourceExt};
use logistics_operator::child::ChildKind;
use logistics_operator::controller::Parts;
use logistics_operator::observe::Scope;
use serde_json::json;
use tokio::sync::watch;

use crate::support::{Operator, Release, Site, eventually};

/// How soon another operator leads and has repaired what went wrong meanwhile.
const FAILOVER_LIMIT: Duration = Duration::from_secs(15);

/// The connection of an operator to the API server: it can be cut, and keeps a record of what was sent.
#[derive(Clone)]
struct Line {
    open: watch::Sender<bool>,
    sent: Arc<Mutex<Vec<(Method, String)>>>,
}

impl Line {
    fn client(config: Config) -> Result<(Self, Client)> {
        let line = Self {
            open: watch::Sender::new(true),
            sent: Arc::default(),
        };
        let ours = line.clone();
        let layer = tower::layer::layer_fn(move |inner| {
            let line = ours.clone();
            tower::filter::AsyncFilter::new(
                tower::buffer::Buffer::new(inner, 1024),
                move |request: Request<Body>| {
                    let line = line.clone();
                    async move {
                        let mut open = line.open.subscribe();
                        // A request that waits here is one that is sent late, unless its sender gives up.
                        let _ = open.wait_for(|open| *open).await;
                        line.note(&request);
                        Ok::<_, std::convert::Infallible>(request)
                    }
                },
            )
        });
        let client = ClientBuilder::try_from(config)?.with_layer(&layer).build();
        Ok((line, client))
    }

    fn note(&self, request: &Request<Body>) {
        let path = request.uri().path().to_owned();
        if request.method() != Method::GET && !path.contains("/leases") {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push((request.method().clone(), path));
        }
    }

    fn cut(&self) {
        self.open.send_replace(false);
    }

    fn mend(&self) {
        self.open.send_replace(true);
    }

    /// What was written so far: methods and paths.
    fn writes(&self) -> Vec<(Method, String)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An operator with its line.
struct Candidate {
    operator: Operator,
    line: Line,
}

impl Candidate {
    async fn start(release: &Release, site: &Site, identity: &str) -> Result<Self> {
        let (line, client) = Line::client(release.config().await?)?;
        let operator = Operator::run(Parts {
            scope: Scope::one(&site.namespace),
            election: Some(release.election(identity)),
            ..Parts::new(client)
        });
        Ok(Self { operator, line })
    }

    fn leads(&self) -> bool {
        self.operator.metric("leader") == 1
    }

    async fn until_leads(&self) -> Result<()> {
        eventually("it leads", || async { Ok(self.leads().then_some(())) }).await
    }
}

async fn release(site: &Site) -> Result<Release> {
    let values = json!({"watchNamespaces": [site.namespace], "webhook": {"enabled": false}});
    Release::install(&site.namespace, &values).await
}

fn leases(site: &Site) -> Api<Lease> {
    Api::namespaced(site.client.clone(), &site.namespace)
}

async fn holder(site: &Site, release: &Release) -> Result<Option<String>> {
    let lease = leases(site).get_opt(&release.name).await?;
    Ok(lease.and_then(|lease| lease.spec?.holder_identity))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_leader_is_followed_by_another_and_nothing_is_written_twice() -> Result<()> {
    let site = Site::new("paused").await?;
    let release = release(&site).await?;
    let first = Candidate::start(&release, &site, "first").await?;
    first.until_leads().await?;
    let second = Candidate::start(&release, &site, "second").await?;
    site.create(&site.sample().await?).await?;
    // It is cut in the middle of its work.
    eventually("the first has begun", || async {
        Ok((first.line.writes().len() >= 9).then_some(()))
    })
    .await?;
    first.line.cut();
    let start = Instant::now();
    second.until_leads().await?;
    println!(
        "another one led {:?} after the leader was cut off",
        start.elapsed()
    );
    assert!(start.elapsed() < FAILOVER_LIMIT, "{:?}", start.elapsed());
    assert!(!first.leads(), "two lead");
    site.until_ready().await?;
    site.until_idle(&second.operator).await?;

    // What of its requests was under way does not come late, and it writes nothing any more.
    let written = first.line.writes();
    first.line.mend();
    site.api(ChildKind::ServiceAccount)
        .delete("acme-shipment", &DeleteParams::default())
        .await?;
    eventually("the ServiceAccount is back", || async {
        let api = site.api(ChildKind::ServiceAccount);
        Ok(api.get_opt("acme-shipment").await?.map(drop))
    })
    .await?;
    site.until_idle(&second.operator).await?;
    assert_eq!(first.line.writes(), written, "the former leader wrote");
    assert!(!first.leads() && second.leads());

    // Each of these is made once and never changed; the deleted one is made twice.
    let mut all = written;
    all.extend(second.line.writes());
    for id in site.children().await?.into_keys() {
        let made_once = matches!(
            id.kind,
            ChildKind::ServiceAccount
                | ChildKind::Secret
                | ChildKind::ConfigMap
                | ChildKind::ControllerRevision
        );
        let path = format!("/{}/{}", id.kind.resource().plural, id.name);
        let count = all.iter().filter(|(_, sent)| sent.ends_with(&path)).count();
        let expected = if id.name == "acme-shipment" { 2 } else { 1 };
        assert!(!made_once || count == expected, "{id} was written {count} times");
    }
    first.operator.stop().await?;
    second.operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_writes_nothing_and_takes_over_at_once_when_the_lease_is_given_up() -> Result<()> {
    let site = Site::new("handover").await?;
    let release = release(&site).await?;
    let first = Candidate::start(&release, &site, "first").await?;
    first.until_leads().await?;
    let second = Candidate::start(&release, &site, "second").await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    site.until_idle(&first.operator).await?;
    let children = site.children().await?;
    assert_eq!(second.line.writes(), [], "the follower wrote");

    let start = Instant::now();
    first.operator.stop().await?;
    second.until_leads().await?;
    println!(
        "another one led {:?} after the leader was told to end",
        start.elapsed()
    );
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // It knows all already, and finds nothing to do.
    eventually("a reconcile", || async {
        let done = second.operator.metric("reconciles_total{result=\"unchanged\"}");
        Ok((done > 0).then_some(()))
    })
    .await?;
    site.until_idle(&second.operator).await?;
    assert_eq!(second.line.writes(), []);
    for (id, child) in site.children().await? {
        let before = children[&id].resource_version();
        assert_eq!(child.resource_version(), before, "{id} was written");
    }
    let lease = leases(&site).get(&release.name).await?.spec.unwrap_or_default();
    assert_eq!(lease.lease_transitions, Some(2));
    second.operator.stop().await?;
    assert_eq!(holder(&site, &release).await?, None, "it is given up");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_is_stolen_stops_writing_and_goes_on_as_a_follower() -> Result<()> {
    let site = Site::new("stolen").await?;
    let release = release(&site).await?;
    let only = Candidate::start(&release, &site, "only").await?;
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    site.until_idle(&only.operator).await?;

    let theft = json!({"spec": {"holderIdentity": "thief"}});
    let start = Instant::now();
    leases(&site)
        .patch(&release.name, &PatchParams::default(), &Patch::Merge(theft))
        .await?;
    eventually("it has noticed", || async { Ok((!only.leads()).then_some(())) }).await?;
    println!("the theft was noticed after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let written = only.line.writes();
    let accounts = site.api(ChildKind::ServiceAccount);
    accounts.delete("acme-tracking", &DeleteParams::default()).await?;
    // The thief does nothing; until its time is over nobody writes.
    eventually("it leads again", || async {
        if !only.leads() {
            assert_eq!(only.line.writes(), written, "it wrote without the Lease");
        }
        Ok(only.leads().then_some(()))
    })
    .await?;
    println!("it led again {:?} after the theft", start.elapsed());
    assert!(start.elapsed() > Duration::from_secs(9), "{:?}", start.elapsed());
    assert!(start.elapsed() < FAILOVER_LIMIT, "{:?}", start.elapsed());
    eventually("the ServiceAccount is back", || async {
        Ok(accounts.get_opt("acme-tracking").await?.map(drop))
    })
    .await?;
    assert_eq!(
        only.operator
            .metric("lease_transitions_total{event=\"acquired\"}"),
        2
    );
    assert_eq!(only.operator.metric("lease_transitions_total{event=\"lost\"}"), 1);
    only.operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_were_killed_one_of_the_next_leads_when_the_lease_is_over() -> Result<()> {
    let site = Site::new("killed-all").await?;
    let release = release(&site).await?;
    let (first, second) = (
        Candidate::start(&release, &site, "first").await?,
        Candidate::start(&release, &site, "second").await?,
    );
    site.create(&site.sample().await?).await?;
    site.until_ready().await?;
    first.operator.kill().await;
    second.operator.kill().await;
    let start = Instant::now();
    let accounts = site.api(ChildKind::ServiceAccount);
    accounts
        .delete("acme-analytics", &DeleteParams::default())
        .await?;
    let (third, fourth) = (
        Candidate::start(&release, &site, "third").await?,
        Candidate::start(&release, &site, "fourth").await?,
    );
    eventually("the ServiceAccount is back", || async {
        Ok(accounts.get_opt("acme-analytics").await?.map(drop))
    })
    .await?;
    println!("repaired {:?} after both were killed", start.elapsed());
    assert!(start.elapsed() < FAILOVER_LIMIT, "{:?}", start.elapsed());
    assert!(third.leads() != fourth.leads(), "one leads");
    let follower = if third.leads() { &fourth } else { &third };
    assert_eq!(follower.line.writes(), []);
    third.operator.stop().await?;
    fourth.operator.stop().await
}
