//! What is out of the ordinary is told once, to its account, and silence by the time of events.

use anyhow::Result;
use chrono::TimeDelta;
use logistics_domain::status::{Disposition, Status};
use logistics_schemas::grpc::logistics::analytics::v1::{Anomaly, AnomalyKind, ListAnomaliesRequest};
use tonic::Code;

use crate::support::{ACCOUNT, Bench, Happening, Leg, Service, in_time, start_of};

/// Enough for the longest hundredth of a lane.
const USUAL: u64 = 120;

fn leg(number: u64, delays: Option<(i64, i64)>) -> Leg {
    Leg {
        number,
        carrier: "UA",
        destination: "IAH",
        delays,
    }
}

/// Legs of one lane that come within ten minutes of their promise.
fn usual() -> Vec<Leg> {
    (0..USUAL)
        .map(|number| {
            let late = i64::try_from(number % 21).unwrap_or_default() - 10;
            leg(number, Some((late, late)))
        })
        .collect()
}

async fn anomalies(
    service: &Service,
    bench: &Bench,
    account: &str,
    kind: AnomalyKind,
    shipment_id: &str,
) -> Result<Vec<Anomaly>> {
    let message = ListAnomaliesRequest {
        shipment_id: shipment_id.to_owned(),
        kind: kind.into(),
        page_size: 0,
    };
    let request = bench.request(account, "user", message)?;
    Ok(service
        .client
        .clone()
        .list_anomalies(request)
        .await?
        .into_inner()
        .anomalies)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_the_ordinary_is_told() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let usual = in_time(&usual());
    bench.feed(&usual).await?;
    bench.applied(usual.len()).await?;
    bench.learned().await?;
    // One ten hours late, one that arrives five minutes after it left, one that moves after it was cancelled.
    let (late, fast, undead) = (
        leg(1_000, Some((0, 600))),
        leg(1_001, Some((0, -115))),
        leg(1_002, None),
    );
    let mut events = in_time(&[late, fast, undead]);
    let left = start_of(1_002) + TimeDelta::minutes(30);
    let Happening::Changed(mut conflict) = undead.changed(3, Status::InTransit, left) else {
        anyhow::bail!("a change");
    };
    conflict.status = Status::Cancelled;
    conflict.disposition = Disposition::Conflict;
    events.push(Happening::Changed(conflict));
    bench.feed(&events).await?;
    let count = usual.len() + events.len();
    bench.applied(count).await?;

    let all = anomalies(&service, &bench, ACCOUNT, AnomalyKind::Unspecified, "").await?;
    let mut told: Vec<(String, AnomalyKind, i64)> = all
        .iter()
        .map(|one| (one.shipment_id.clone(), one.kind(), one.seq))
        .collect();
    told.sort_by_key(|(id, kind, _)| (id.clone(), i32::from(*kind)));
    let id = |leg: &Leg| leg.id().to_string();
    assert_eq!(
        told,
        [
            (id(&late), AnomalyKind::UnusualDelay, 3),
            (id(&late), AnomalyKind::Dwell, 3),
            (id(&fast), AnomalyKind::UnusualDelay, 3),
            (id(&fast), AnomalyKind::ImpossibleSpeed, 3),
            (id(&undead), AnomalyKind::IllegalTransition, 3),
        ],
        "{all:#?}"
    );
    assert!(all.iter().all(|one| one.severity >= 1.0 && !one.text.is_empty()));
    let times: Vec<i64> = all
        .iter()
        .filter_map(|one| Some(one.occurred_at.as_ref()?.seconds))
        .collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");

    let one = anomalies(&service, &bench, ACCOUNT, AnomalyKind::Dwell, &id(&late)).await?;
    assert_eq!(one.len(), 1);
    assert!(
        one[0].text.starts_with("It was IN_TRANSIT for 12 hours"),
        "{one:?}"
    );
    assert!(
        anomalies(&service, &bench, ACCOUNT, AnomalyKind::Dwell, &id(&fast))
            .await?
            .is_empty()
    );
    assert!(
        anomalies(&service, &bench, "acct-2", AnomalyKind::Unspecified, "")
            .await?
            .is_empty()
    );

    // A log that is read anew finds nothing new.
    service.stop().await?;
    let again = bench.forgetful_service().await?;
    let more = leg(2_000, None);
    bench.feed(&more.happenings()).await?;
    bench.applied(count + 2).await?;
    assert_eq!(
        anomalies(&again, &bench, ACCOUNT, AnomalyKind::Unspecified, "").await?,
        all
    );
    again.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_is_silent_once_others_have_gone_on_without_it() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let silences = || anomalies(&service, &bench, ACCOUNT, AnomalyKind::Silence, "");
    // One has left and does not arrive, one does not leave, one is cancelled.
    let (lost, idle, cancelled) = (leg(0, None), leg(1, None), leg(2, None));
    let mut events = vec![lost.created(), idle.created()];
    events.push(lost.changed(2, Status::InTransit, start_of(0)));
    events.extend(cancelled.happenings());
    bench.feed(&events).await?;
    bench.applied(events.len()).await?;
    // Years have passed by the clock, and ten minutes by the events.
    assert_eq!(silences().await?, []);

    // Two hours after the second should have left, one and a half before the first must have arrived.
    let other = leg(12, Some((5, 20)));
    bench.feed(&other.happenings()[..2]).await?;
    bench.applied(events.len() + 2).await?;
    assert_eq!(silences().await?, []);
    let next = leg(20, Some((0, 0)));
    bench.feed(&next.happenings()[..2]).await?;
    bench.applied(events.len() + 4).await?;
    let silent = silences().await?;
    assert_eq!(silent.len(), 1, "{silent:?}");
    assert_eq!(silent[0].shipment_id, idle.id().to_string());
    assert!(silent[0].text.starts_with("It is CREATED, and"), "{silent:?}");

    let late = leg(300, Some((0, 0)));
    bench.feed(&late.happenings()).await?;
    bench.applied(events.len() + 7).await?;
    let silent = silences().await?;
    let ids: Vec<&str> = silent.iter().map(|one| one.shipment_id.as_str()).collect();
    let left = [&idle, &lost, &other, &next].map(|leg| leg.id().to_string());
    assert_eq!(ids, left, "longest overdue first: {silent:?}");

    // It is heard of again.
    bench
        .feed(&[lost.changed(3, Status::AvailableForPickup, start_of(400))])
        .await?;
    bench.applied(events.len() + 8).await?;
    let after = silences().await?;
    assert!(
        after.iter().all(|one| one.shipment_id != lost.id().to_string()),
        "{after:?}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_question_is_refused_with_its_fields() -> Result<()> {
    let bench = Bench::start().await?;
    let service = bench.service("a").await?;
    let wrong = ListAnomaliesRequest {
        shipment_id: "nonsense".to_owned(),
        kind: 99,
        page_size: 501,
    };
    let request = bench.request(ACCOUNT, "user", wrong)?;
    let refusal = service.client.clone().list_anomalies(request).await.err();
    let refusal = refusal.ok_or_else(|| anyhow::anyhow!("accepted"))?;
    assert_eq!(refusal.code(), Code::InvalidArgument);
    for field in ["shipment_id", "kind", "page_size"] {
        assert!(
            refusal.message().contains(field),
            "{field}: {}",
            refusal.message()
        );
    }
    let request = bench.request(ACCOUNT, "shipman", ListAnomaliesRequest::default())?;
    let refusal = service.client.clone().list_anomalies(request).await.err();
    assert_eq!(
        refusal.map(|refusal| refusal.code()),
        Some(Code::PermissionDenied)
    );
    service.stop().await
}
