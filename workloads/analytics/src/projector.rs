//! Applies a batch of events: reads what it needs, takes them one after the other, writes what came of it.

use std::collections::BTreeSet;

use chrono::Utc;
use logistics_chassis::cloudevents::EventWriter;
use logistics_chassis::codec::{EncodeError, RiskReason, ShipmentAssessed, ShipmentObserved};
use logistics_chassis::outbox;
use logistics_chassis::projection::{ApplyError, Projector, Sequenced, ShipmentEvent};
use logistics_chassis::writes::Writes;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::assess::{Desk, needs};
use crate::histories::Histories;
use crate::shipments::{self, Shipment};
use crate::{accuracy, anomalies};

/// Assesses shipments, and tells what their events teach.
pub(crate) struct Assessments {
    writer: EventWriter,
}

impl Assessments {
    pub(crate) const fn new(writer: EventWriter) -> Self {
        Self { writer }
    }

    /// The event that tells of an assessment, in the trace of the event that caused it.
    fn assessed(&self, cause: &Sequenced, shipment: &Shipment) -> Result<outbox::Record, EncodeError> {
        let now = Utc::now();
        let event = event_of(shipment, now);
        // Whoever projects the log anew writes the same id.
        let id = Uuid::new_v5(&cause.event_id, b"assessed");
        cause.span.in_scope(|| self.writer.record(id, now, &event))
    }

    /// The event that tells what was observed, in the same trace.
    fn observed(
        &self,
        cause: &Sequenced,
        observed: &ShipmentObserved,
    ) -> Result<outbox::Record, EncodeError> {
        let id = Uuid::new_v5(&cause.event_id, b"observed");
        cause
            .span
            .in_scope(|| self.writer.record(id, observed.recorded_at, observed))
    }
}

impl Projector for Assessments {
    async fn apply(&self, connection: &mut PgConnection, events: &[Sequenced]) -> Result<(), ApplyError> {
        let mut desk = open(connection, events).await?;
        let (mut records, mut touched) = (Vec::new(), BTreeSet::new());
        for cause in events {
            touched.insert(cause.shipment_id);
            let taken = desk.take(cause);
            if taken.assessed
                && let Some(shipment) = desk.shipments.get(&cause.shipment_id)
            {
                records.push(self.assessed(cause, shipment)?);
            }
            if let Some(observed) = &taken.observed {
                records.push(self.observed(cause, observed)?);
            }
        }
        let touched: Vec<&Shipment> = touched.iter().filter_map(|id| desk.shipments.get(id)).collect();
        shipments::save(connection, &touched).await?;
        anomalies::save(connection, &desk.anomalies).await?;
        accuracy::add(connection, &desk.accuracy).await?;
        anomalies::advance(connection, &desk.reached).await?;
        let mut writes = Writes::default();
        outbox::append(&mut writes, &records);
        writes.execute(connection).await?;
        Ok(())
    }
}

async fn open(connection: &mut PgConnection, events: &[Sequenced]) -> Result<Desk, sqlx::Error> {
    let changed = events
        .iter()
        .filter(|one| matches!(one.event, ShipmentEvent::StatusChanged(_)));
    let ids: BTreeSet<Uuid> = changed.map(|one| one.shipment_id).collect();
    let shipments = shipments::load(connection, &ids.into_iter().collect::<Vec<_>>()).await?;
    let histories = Histories::load(connection, &needs(events, &shipments)).await?;
    Ok(Desk {
        shipments,
        histories,
        ..Desk::default()
    })
}

fn event_of(shipment: &Shipment, now: chrono::DateTime<Utc>) -> ShipmentAssessed {
    let assessment = &shipment.assessment;
    let reasons = assessment.risk.reasons.iter().map(|reason| RiskReason {
        factor: reason.factor.clone(),
        contribution: reason.contribution,
        text: reason.text.clone(),
    });
    ShipmentAssessed {
        shipment_id: shipment.id,
        seq: shipment.seq,
        account_id: shipment.account_id.clone(),
        risk: assessment.risk.probability,
        reasons: reasons.collect(),
        estimated_arrival: assessment.estimated,
        earliest_arrival: assessment.earliest,
        latest_arrival: assessment.latest,
        assessed_at: now,
    }
}
