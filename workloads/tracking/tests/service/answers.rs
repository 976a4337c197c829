//! What callers get.

use anyhow::Result;
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use tonic::Code;

use crate::support::{ACCOUNT, Bench, Story};

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_what_happened_and_only_for_its_account() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(7, 0).await?;

    let id = story.id().to_string();
    let timeline = service.timeline(&bench, ACCOUNT, &id).await??;
    assert_eq!(
        (timeline.carrier.as_str(), timeline.tracking_number.as_str()),
        ("UA", "T1")
    );
    assert_eq!(timeline.status(), types::Status::Delivered);
    assert_eq!(
        timeline.origin.as_ref().map(|place| place.code.as_str()),
        Some("EWR")
    );
    let statuses: Vec<types::Status> = timeline.events.iter().map(types::ShipmentEvent::status).collect();
    assert_eq!(
        statuses,
        [
            types::Status::Created,
            types::Status::PickedUp,
            types::Status::InTransit,
            types::Status::InTransit,
            types::Status::PickedUp,
            types::Status::OutForDelivery,
            types::Status::Delivered,
        ]
    );
    assert_eq!(timeline.events[4].disposition(), types::Disposition::Conflict);
    assert!(
        timeline
            .events
            .iter()
            .zip(1..)
            .all(|(event, seq)| event.seq == seq)
    );

    for (account, id) in [
        ("acct-2", id.as_str()),
        (ACCOUNT, "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f"),
    ] {
        let refusal = service
            .timeline(&bench, account, id)
            .await?
            .err()
            .map(|status| status.code());
        assert_eq!(refusal, Some(Code::NotFound));
    }
    let refusal = service
        .timeline(&bench, ACCOUNT, "nonsense")
        .await?
        .err()
        .map(|status| status.code());
    assert_eq!(refusal, Some(Code::InvalidArgument));

    let progress = service.progress(&bench, ACCOUNT, "admin").await??;
    assert_eq!((progress.shipments, progress.events, progress.parked), (1, 7, 0));
    let others = service.progress(&bench, "acct-2", "admin").await??;
    assert_eq!((others.shipments, others.events, others.parked), (0, 0, 0));
    let refusal = service
        .progress(&bench, ACCOUNT, "user")
        .await?
        .err()
        .map(|status| status.code());
    assert_eq!(refusal, Some(Code::PermissionDenied));
    service.stop().await
}
