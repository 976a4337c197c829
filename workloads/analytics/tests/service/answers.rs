//! What callers get.

use anyhow::Result;
use chrono::TimeDelta;
use logistics_domain::status::Status;
use logistics_testbed::eventually;
use tonic::Code;

use crate::support::{ACCOUNT, Bench, Leg, in_time, legs, start_of};

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_follows_its_shipment() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let before = in_time(&legs(120));
    bench.feed(&before).await?;
    bench.applied(before.len()).await?;
    bench.learned().await?;

    let leg = Leg {
        number: 9_000,
        carrier: "UA",
        destination: "IAH",
        delays: None,
    };
    let id = leg.id().to_string();
    let promised = (start_of(9_000) + TimeDelta::hours(2)).timestamp();
    bench.feed(&[leg.created()]).await?;
    bench.applied(before.len() + 1).await?;
    let ordered = service.assessment(&bench, ACCOUNT, &id).await??;
    assert_eq!((ordered.seq, ordered.actual_arrival), (1, None));
    assert!(
        ordered
            .reasons
            .iter()
            .any(|reason| reason.factor == "lane_history"),
        "{ordered:?}"
    );

    let left = start_of(9_000) + TimeDelta::minutes(80);
    bench.feed(&[leg.changed(2, Status::InTransit, left)]).await?;
    bench.applied(before.len() + 2).await?;
    let on_the_road = service.assessment(&bench, ACCOUNT, &id).await??;
    assert_eq!(on_the_road.seq, 2);
    assert!(
        on_the_road.risk > 0.7 && on_the_road.risk > ordered.risk,
        "{on_the_road:?}"
    );
    let reason = on_the_road
        .reasons
        .iter()
        .find(|reason| reason.factor == "departure_delay");
    assert!(
        reason.is_some_and(|reason| reason.text.starts_with("It left 80 minutes late")),
        "{on_the_road:?}"
    );
    let estimated = on_the_road
        .estimated_arrival
        .as_ref()
        .map_or(0, |time| time.seconds);
    assert!(
        (estimated - promised - 72 * 60).abs() < 15 * 60,
        "{on_the_road:?}"
    );

    let came = start_of(9_000) + TimeDelta::minutes(190);
    bench
        .feed(&[leg.changed(3, Status::AvailableForPickup, came)])
        .await?;
    bench.applied(before.len() + 3).await?;
    let arrived = service.assessment(&bench, ACCOUNT, &id).await??;
    assert_eq!(
        arrived.actual_arrival.as_ref().map(|time| time.seconds),
        Some(came.timestamp())
    );
    assert_eq!((arrived.seq, arrived.risk), (2, on_the_road.risk));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_and_nothing_else() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let legs = legs(30);
    let happenings = in_time(&legs);
    bench.feed(&happenings).await?;
    bench.applied(happenings.len()).await?;
    bench.learned().await?;

    let id = legs[0].id().to_string();
    assert!(service.assessment(&bench, ACCOUNT, &id).await?.is_ok());
    for (account, id, code) in [
        ("acct-2", id.as_str(), Code::NotFound),
        (ACCOUNT, "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f", Code::NotFound),
        (ACCOUNT, "nonsense", Code::InvalidArgument),
    ] {
        let refusal = service
            .assessment(&bench, account, id)
            .await?
            .err()
            .map(|status| status.code());
        assert_eq!(refusal, Some(code), "{account} {id}");
    }
    assert!(service.lanes(&bench, "acct-2", 0).await?.is_empty());
    assert_eq!(service.lanes(&bench, ACCOUNT, 0).await?.len(), 10);
    let others = service.accuracy(&bench, "acct-2").await?;
    assert_eq!((others.shipments, others.events, others.arrivals), (0, 0, 0));
    assert!(service.lanes(&bench, ACCOUNT, 101).await.is_err());

    let refused = eventually("an answer", || async {
        let request = bench.request(
            ACCOUNT,
            "user",
            logistics_schemas::grpc::logistics::analytics::v1::GetAccuracyRequest {},
        )?;
        Ok(service
            .client
            .clone()
            .get_accuracy(request)
            .await
            .err()
            .map(|status| status.code()))
    })
    .await?;
    assert_eq!(refused, Code::PermissionDenied);
    service.stop().await
}
