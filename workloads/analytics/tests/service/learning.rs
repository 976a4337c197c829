//! Counts are exact and estimates are better than the promise, however many replicas learn.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use logistics_chassis::codec::ShipmentAssessed;
use logistics_schemas::topics::ANALYTICS_ASSESSED;
use logistics_testbed::eventually;
use uuid::Uuid;

use crate::support::{ACCOUNT, Bench, Leg, in_time, legs};

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_learn_every_arrival_once() -> Result<()> {
    let bench = Bench::start().await?;
    let legs = legs(900);
    let happenings = in_time(&legs);
    let flown = legs.iter().filter(|leg| leg.delays.is_some()).count();
    let (first, second) = tokio::try_join!(bench.service("a"), bench.service("b"))?;
    // As they would come: not all at once, so that what was learned is there for those that follow.
    let mut fed = 0;
    for piece in happenings.chunks(300) {
        bench.feed(piece).await?;
        fed += piece.len();
        bench.applied(fed).await?;
        bench.learned().await?;
    }

    let accuracy = first.accuracy(&bench, ACCOUNT).await?;
    assert_eq!(accuracy.shipments, 900);
    assert_eq!(accuracy.events, i64::try_from(happenings.len())?);
    assert_eq!((accuracy.parked, accuracy.arrivals), (0, i64::try_from(flown)?));
    println!("{accuracy:?}");
    assert!(
        accuracy.mae_in_transit_minutes < 0.6 * accuracy.mae_of_promise_minutes,
        "{accuracy:?}"
    );
    assert!((0.8..=0.99).contains(&accuracy.interval_coverage), "{accuracy:?}");
    let promise = exact_promise_error(&legs);
    assert!(
        (accuracy.mae_of_promise_minutes - promise).abs() < 1e-6,
        "{accuracy:?}, really {promise}"
    );

    let lanes = second.lanes(&bench, ACCOUNT, 100).await?;
    assert_eq!(lanes.len(), 12);
    assert_eq!(
        lanes.iter().map(|lane| lane.arrivals).sum::<i64>(),
        i64::try_from(flown)?
    );
    assert!(
        lanes.is_sorted_by(|one, next| one.late_share >= next.late_share),
        "{lanes:?}"
    );
    let worst = lanes.first().context("no lanes")?;
    assert_eq!(
        (worst.carrier.as_str(), worst.destination.as_str()),
        ("B6", "ORD")
    );
    assert!(
        worst.late_share > 0.5 && worst.median_delay_minutes > 15.0,
        "{worst:?}"
    );
    assert_eq!(second.lanes(&bench, ACCOUNT, 3).await?, lanes[..3]);

    assessments_are_told(&bench, &legs).await?;
    tokio::try_join!(first.stop(), second.stop())?;
    Ok(())
}

fn exact_promise_error(legs: &[Leg]) -> f64 {
    let delays: Vec<i64> = legs
        .iter()
        .filter_map(|leg| leg.delays)
        .map(|(_, came)| came.abs())
        .collect();
    let sum = u32::try_from(delays.iter().sum::<i64>()).unwrap_or_default();
    f64::from(sum) / f64::from(u32::try_from(delays.len()).unwrap_or_default())
}

/// One event at creation and one at departure, in this order, each once.
async fn assessments_are_told(bench: &Bench, legs: &[Leg]) -> Result<()> {
    let expected: BTreeMap<Uuid, Vec<i64>> = legs
        .iter()
        .map(|leg| (leg.id(), if leg.delays.is_some() { vec![1, 2] } else { vec![1] }))
        .collect();
    let count = expected.values().map(Vec::len).sum::<usize>();
    let records = eventually("all assessments in the log", || async {
        let records = bench.testbed.log()?.read(&ANALYTICS_ASSESSED).await?;
        Ok((records.len() >= count).then_some(records))
    })
    .await?;
    let mut told: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
    for record in &records {
        let event: ShipmentAssessed = bench
            .codec
            .decode(record.payload.as_deref().unwrap_or_default())
            .await?;
        assert_eq!(record.key, event.shipment_id.to_string());
        assert!(
            event.earliest_arrival <= event.estimated_arrival
                && event.estimated_arrival <= event.latest_arrival
        );
        assert!(event.risk > 0.0 && event.risk < 1.0 && !event.reasons.is_empty());
        told.entry(event.shipment_id).or_default().push(event.seq);
    }
    assert_eq!(told, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_read_twice_is_learned_once() -> Result<()> {
    let bench = Bench::start().await?;
    let happenings = in_time(&legs(60));
    bench.feed(&happenings).await?;
    let service = bench.service("a").await?;
    bench.applied(happenings.len()).await?;
    bench.learned().await?;
    let accuracy = service.accuracy(&bench, ACCOUNT).await?;
    let lanes = service.lanes(&bench, ACCOUNT, 100).await?;
    service.stop().await?;

    // All offsets are forgotten, as if each process had died before it stored one.
    let again = bench.forgetful_service().await?;
    let more = Leg {
        number: 5_000,
        carrier: "ZZ",
        destination: "LAX",
        delays: None,
    };
    bench.feed(&more.happenings()).await?;
    bench.applied(happenings.len() + 2).await?;
    let after = again.accuracy(&bench, ACCOUNT).await?;
    assert_eq!(
        (after.shipments, after.events),
        (accuracy.shipments + 1, accuracy.events + 2)
    );
    assert_eq!(after.arrivals, accuracy.arrivals);
    assert!((after.mae_in_transit_minutes - accuracy.mae_in_transit_minutes).abs() < 1e-9);
    assert_eq!(again.lanes(&bench, ACCOUNT, 100).await?, lanes);
    again.stop().await
}
