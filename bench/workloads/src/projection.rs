//! Events that tracking and analytics project: shipments with their whole way in the event log, projected from its beginning.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use dev_rig::cost;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use logistics_schemas::Workload;
use logistics_schemas::grpc::logistics::r#type::v1::Status;

use crate::client::{Grpc, Target};
use crate::load::Job;
use crate::report::Report;
use crate::stage::{Platform, Stage};
use crate::subject::{self, Subject};
use crate::{Plan, progress};

/// Of each shipment: its creation, and what follows.
pub(crate) const EVENTS: usize = 1 + WAY.len();
const WAY: [Status; 4] = [
    Status::PickedUp,
    Status::InTransit,
    Status::OutForDelivery,
    Status::Delivered,
];
/// When the first scan was made, in seconds since 1970; the others follow by the hour.
const FIRST_SCAN: i64 = 1_357_034_100;
const HOUR: i64 = 3_600;
/// Requests under way at one time while the history is made.
const CONCURRENCY: usize = 128;
/// The longest that all may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// A platform with shipments in its event log.
pub(crate) struct History {
    pub(crate) platform: Platform,
    pub(crate) shipments: Arc<Vec<String>>,
}

impl History {
    /// Makes the history by the shipment service.
    pub(crate) async fn prepare(stage: &Stage, plan: Plan) -> Result<Self> {
        progress(format!("{} shipments with {EVENTS} events each", plan.shipments));
        let platform = stage.platform().await?;
        let first = Job::Create("first".to_owned());
        let running = Subject::Ours
            .start(stage, &platform, Workload::Shipment, &first)
            .await?;
        let Target::Grpc(service) = running.target.as_ref() else {
            bail!("our service speaks gRPC");
        };
        let target = running.target.as_ref();
        let one = |number: u32| async move {
            let id = target.create(&format!("shipment-{number}")).await?;
            for (status, hour) in WAY.into_iter().zip(0..) {
                let key = format!("{number}-{hour}");
                let scan = logistics_testbed::scan(&key, &id, status, FIRST_SCAN + hour * HOUR);
                service.scan(scan).await?;
            }
            anyhow::Ok(id)
        };
        let shipments: Vec<String> = stream::iter(0..plan.shipments)
            .map(one)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        platform.relayed().await?;
        Ok(Self {
            platform,
            shipments: Arc::new(shipments),
        })
    }

    /// The events in the log: those of the shipments, and the creation by which the service was seen to be ready.
    async fn events(&self) -> Result<i64> {
        let events = self.platform.count("shipment.shipment_events").await?;
        ensure!(
            usize::try_from(events)? == self.shipments.len() * EVENTS + 1,
            "{events} events were recorded"
        );
        Ok(events.into())
    }

    /// Projects all of it anew: by tracking, and by analytics, which also learns from it.
    pub(crate) async fn run(&self, stage: &Stage, report: &mut Report) -> Result<()> {
        for workload in [Workload::Tracking, Workload::Analytics] {
            progress(format!("projection by {workload}"));
            self.project(stage, report, workload).await?;
        }
        Ok(())
    }

    async fn project(&self, stage: &Stage, report: &mut Report, workload: Workload) -> Result<()> {
        let events = self.events().await?;
        self.platform.clear_projection(workload).await?;
        let mut config = self.platform.config(workload)?;
        config.kafka.group_id = format!("{}.{}", config.kafka.group_id, uuid::Uuid::new_v4());
        let start = subject::service(stage, &self.platform, workload, &config)?;
        let client = Grpc::new(&config.grpc.listen.to_string(), self.platform.bearer.clone())?;
        let database = stage.database_cpu()?;
        let begin = Instant::now();
        let program = subject::on_core(stage, "projection", start)?;
        // While it starts it does not answer.
        while !self.done(&client, workload, events).await.unwrap_or_default() {
            if let Some(end) = program.ended() {
                bail!("{workload} ended: {end}");
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "{events} events are not projected after {} s",
                PATIENCE.as_secs()
            );
            // Seldom enough not to be part of what is measured.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let Some(pid) = program.id() else {
            bail!("{workload} was killed");
        };
        let cpu = cost::cpu(pid)?;
        let database = stage.database_cpu()? - database;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        report.projection(workload, events as f64, seconds, cpu, database);
        Ok(())
    }

    /// Whether all events are projected, and all arrivals learned.
    async fn done(&self, client: &Grpc, workload: Workload, events: i64) -> Result<bool> {
        if workload == Workload::Tracking {
            return Ok(client.projected().await? >= events);
        }
        let arrivals = i64::try_from(self.shipments.len())?;
        Ok(client.assessed().await? >= events && client.learned().await? >= arrivals)
    }
}
