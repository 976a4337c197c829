//! What the analytics service makes of events: assessments, and what it learns.
//!
//! Input: the content of events of four shipments, one after the other.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use logistics_analytics::assess::Desk;
use logistics_chassis::codec::{ShipmentCreated, ShipmentStatusChanged};
use logistics_chassis::projection::{Sequenced, ShipmentEvent};
use logistics_domain::journey::Assessment;
use uuid::Uuid;

use crate::events;

/// Few, so that what one teaches another is told.
const SHIPMENTS: u128 = 4;

pub(crate) fn run(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let mut desk = Desk::default();
    let mut last = BTreeMap::new();
    // Fewer bytes than are wanted: the end.
    while !bytes.is_empty() && feed(&mut desk, &mut last, &mut bytes).is_ok() {}
}

fn feed(desk: &mut Desk, last: &mut BTreeMap<Uuid, i64>, bytes: &mut Unstructured<'_>) -> Result<()> {
    let changed = events::changed(bytes)?;
    let shipment_id = Uuid::from_u128(changed.shipment_id.as_u128() % SHIPMENTS);
    let seq = last.get(&shipment_id).copied().unwrap_or_default() + 1;
    last.insert(shipment_id, seq);
    let event = if seq == 1 {
        ShipmentEvent::Created(ShipmentCreated {
            shipment_id,
            ..events::created(bytes)?
        })
    } else {
        ShipmentEvent::StatusChanged(ShipmentStatusChanged {
            shipment_id,
            seq,
            ..changed
        })
    };
    let taken = desk.take(&Sequenced {
        event_id: Uuid::nil(),
        shipment_id,
        seq,
        event,
        span: tracing::Span::none(),
    });
    desk.learn(taken);
    if let Some(assessment) = desk.assessment(shipment_id) {
        look(assessment);
    }
    Ok(())
}

fn look(assessment: &Assessment) {
    let risk = &assessment.risk;
    assert!((0.0..=1.0).contains(&risk.probability), "{risk:?}");
    assert!(
        risk.reasons.iter().all(|reason| reason.contribution.is_finite()),
        "{risk:?}"
    );
    assert!(
        assessment.earliest <= assessment.estimated && assessment.estimated <= assessment.latest,
        "{assessment:?}"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [0_u8, 1, 3, 7, 0x41, 0x81]
        .into_iter()
        .flat_map(|fill| [120, 500].map(|length| vec![fill; length]))
        .collect()
}
