//! Load on real replicas, one of which stops in the middle.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dev_load::{Call, Plan, Report, run};
use logistics_client::{Resolve, Settings};
use logistics_schemas::Workload;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::Testbed;

/// The addresses behind the name.
#[derive(Clone)]
struct Zone(Arc<Mutex<Vec<SocketAddr>>>);

impl Zone {
    fn lock(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Zone {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.lock().clone())
    }
}

/// Calls that some replica answered; that a slow database makes it say `UNAVAILABLE` is not the channel's affair.
fn answered(report: &Report) -> u64 {
    report.pods.iter().map(|pod| pod.answered).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn load_is_spread_over_the_replicas_and_one_may_leave() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let mut addresses = Vec::new();
    let mut replicas = Vec::new();
    for name in ["a", "b", "c"] {
        let chassis = testbed.chassis(Workload::Shipment, name, &MIGRATIONS).await?;
        addresses.push(chassis.grpc_address());
        let shutdown = chassis.shutdown.clone();
        replicas.push((shutdown, tokio::spawn(logistics_shipment::serve(chassis))));
    }
    let zone = Zone(Arc::new(Mutex::new(addresses)));
    let plan = Plan {
        settings: Settings {
            resolve_every: Duration::from_millis(100),
            ..Settings::new("pods.test", 8080)
        },
        call: Call::ListShipments,
        token: testbed.issuer.token("load", &["user"], "acme")?,
        rate: 25,
        duration: Duration::from_secs(4),
        concurrency: 16,
    };
    let report = run(&plan, zone.clone()).await?;
    println!("{}", report.text());
    assert_eq!((report.calls, answered(&report)), (100, 100), "{report:?}");
    assert_eq!(report.pods.len(), 3);
    for pod in &report.pods {
        assert!((30.0..=37.0).contains(&pod.share), "{pod:?}");
    }

    // One leaves, and DNS tells of it late: its calls go elsewhere, and none fails.
    let (shutdown, ended) = replicas.remove(0);
    let leaving = async {
        // Some calls are made before, most after: a moment within the load, not something that is awaited.
        tokio::time::sleep(Duration::from_millis(500)).await;
        shutdown.request();
        ended.await??;
        zone.lock().remove(0);
        anyhow::Ok(())
    };
    let (report, left) = tokio::join!(run(&plan, zone.clone()), leaving);
    left?;
    let report = report?;
    println!("{}", report.text());
    assert_eq!((report.calls, answered(&report)), (100, 100), "{report:?}");
    let least = report
        .pods
        .iter()
        .map(|pod| pod.answered)
        .min()
        .context("no pods")?;
    assert!(least < 30, "one of them left early: {report:?}");
    for (shutdown, ended) in replicas {
        shutdown.request();
        ended.await??;
    }
    Ok(())
}
