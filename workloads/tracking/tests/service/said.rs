//! Delays, proofs and retractions in a timeline and in a live stream; and that a projection is a replay of the log.

use anyhow::Result;
use chrono::TimeDelta;
use logistics_chassis::codec::{ProofOfDelivery, ShipmentStatusChanged};
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Disposition, Kind, Status};
use logistics_schemas::grpc::logistics::r#type::v1 as types;
use logistics_testbed::FeedRecord;
use tonic::Code;
use uuid::Uuid;

use crate::support::{ACCOUNT, Bench, Story};

/// A delayed parcel that was said to be delivered, with a proof, and was not: 7 events.
fn story(number: u64) -> Story {
    let mut story = Story::new(
        number,
        &[
            Status::PickedUp,
            Status::InTransit,
            Status::OutForDelivery,
            Status::Delivered,
        ],
    );
    let proof = ProofOfDelivery {
        signer: "Bob Brown".to_owned(),
        image_ref: String::new(),
        signature_ref: "s3://proofs/7".to_owned(),
    };
    if let Some(delivered) = story.changes.last_mut() {
        delivered.proof = Some(proof);
    }
    let delivered = id_of(&story, 5);
    let delay = Some(DelayReason::Weather);
    let last = story.changes[3].clone();
    let follow = |seq: i64| ShipmentStatusChanged {
        seq,
        occurred_at: last.occurred_at + TimeDelta::minutes(seq),
        status: Status::OutForDelivery,
        disposition: Disposition::Informational,
        proof: None,
        ..last.clone()
    };
    story.changes.push(ShipmentStatusChanged {
        kind: Kind::Retraction,
        retracts: Some(delivered),
        reason: "did_not_occur".to_owned(),
        ..follow(6)
    });
    story.changes.push(ShipmentStatusChanged {
        kind: Kind::Delay,
        reported: Status::OutForDelivery,
        delay,
        notice: delay,
        ..follow(7)
    });
    story
}

/// As [`FeedRecord::of`] makes it.
fn id_of(story: &Story, seq: i64) -> Uuid {
    Uuid::new_v5(&story.id(), &seq.to_be_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_shows_what_was_taken_back_and_by_what() -> Result<()> {
    let bench = Bench::start().await?;
    let story = story(1);
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(7, 0).await?;

    let timeline = service
        .timeline(&bench, ACCOUNT, &story.id().to_string())
        .await??;
    assert_eq!(
        (timeline.status(), timeline.delay()),
        (types::Status::OutForDelivery, types::DelayReason::Weather)
    );
    let (delivered, retraction) = (id_of(&story, 5).to_string(), id_of(&story, 6).to_string());
    let event = &timeline.events[4];
    assert_eq!(event.proof.clone().unwrap_or_default().signer, "Bob Brown");
    assert_eq!((&event.event_id, &event.retracted_by), (&delivered, &retraction));
    let event = &timeline.events[5];
    assert_eq!(
        (event.kind(), &event.retracts, event.retracted_by.as_str()),
        (types::EventKind::Retraction, &delivered, "")
    );
    let event = &timeline.events[6];
    assert_eq!(
        (event.kind(), event.delay()),
        (types::EventKind::Delay, types::DelayReason::Weather)
    );

    let id = story.id().to_string();
    let mut stream = service.stream(&bench, ("ann", ACCOUNT), &id, 4).await??;
    let mut streamed = Vec::new();
    while streamed.len() < 3 {
        let message = tokio::time::timeout(std::time::Duration::from_mins(1), stream.message()).await??;
        streamed.extend(message.and_then(|message| message.event));
    }
    let mut expected = timeline.events[4..].to_vec();
    // A stream tells of a retraction when it comes.
    expected[0].retracted_by = String::new();
    assert_eq!(streamed, expected);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_sees_what_counts_and_nothing_of_people() -> Result<()> {
    let bench = Bench::start().await?;
    let story = story(1);
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(7, 0).await?;

    let id = story.id().to_string();
    let public = service.public(&id, "T1").await?;
    assert_eq!(
        (public.status(), public.delay(), public.carrier.as_str()),
        (types::Status::OutForDelivery, types::DelayReason::Weather, "UA")
    );
    assert_eq!(
        (public.origin_code.as_str(), public.destination_code.as_str()),
        ("EWR", "IAH")
    );
    // What was taken back is not among it.
    let steps: Vec<_> = public
        .steps
        .iter()
        .map(|step| (step.status(), step.location_code.as_str()))
        .collect();
    assert_eq!(
        steps,
        [
            (types::Status::Created, "EWR"),
            (types::Status::PickedUp, "ORD"),
            (types::Status::InTransit, ""),
            (types::Status::OutForDelivery, "ORD"),
        ]
    );
    let text = format!("{public:?}");
    for secret in [
        ACCOUNT,
        "ann",
        "scanner",
        "Terminal",
        "Bob",
        "s3://",
        "did_not_occur",
    ] {
        assert!(!text.contains(secret), "{secret} is told to everybody: {text}");
    }

    let another = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
    for (id, number) in [(id.as_str(), "T2"), (another, "T1")] {
        let refused = service.public(id, number).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
    let refused = service.public("", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_timelines_are_read_at_once() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..100).map(Story::usual).collect();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    bench.applied(700, 0).await?;

    let mut ids: Vec<_> = stories.iter().rev().map(|story| story.id().to_string()).collect();
    let another = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f".to_owned();
    ids[50] = another.clone();
    let answer = service.timelines(&bench, ACCOUNT, ids.clone()).await??;
    assert_eq!(answer.missing.join(","), another);
    let mut found = Vec::new();
    for timeline in &answer.timelines {
        let alone = service.timeline(&bench, ACCOUNT, &timeline.shipment_id).await??;
        assert_eq!(*timeline, alone);
        found.push(timeline.shipment_id.clone());
    }
    ids.remove(50);
    assert_eq!(found, ids, "in the order of the question");

    let answer = service.timelines(&bench, "acct-2", ids.clone()).await??;
    assert_eq!((answer.timelines.len(), answer.missing), (0, ids.clone()));
    ids.extend([another.clone(), another]);
    let refused = service.timelines(&bench, ACCOUNT, ids).await?.err();
    assert_eq!(refused.map(|status| status.code()), Some(Code::InvalidArgument));
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_of_the_log_anew_is_the_same() -> Result<()> {
    let bench = Bench::start().await?;
    let stories: Vec<Story> = (0..20).map(story).collect();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    bench.applied(140, 0).await?;
    let first = bench.dump().await?;
    assert!(first.contains("WEATHER"), "{first}");
    service.stop().await?;

    bench
        .testbed
        .sql("TRUNCATE tracking.shipments, tracking.timeline, tracking.projected")
        .await?;
    let service = bench.forgetful_service().await?;
    bench.applied(140, 0).await?;
    assert_eq!(bench.dump().await?, first);
    service.stop().await
}

/// JSON of the last release: what it does not know yet is left out.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_the_last_release_is_a_scan() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::new(1, &[Status::PickedUp]);
    let mut record = FeedRecord::of(&bench.codec, &story.changes[0])?;
    let mut json = serde_json::to_value(&story.changes[0])?;
    if let Some(fields) = json.as_object_mut() {
        for new in ["kind", "retracts", "delay", "notice", "proof", "assignee"] {
            fields.remove(new);
        }
    }
    record.value = json.to_string().into_bytes();
    let service = bench.service("a").await?;
    let created = FeedRecord::of(&bench.codec, &story.created)?;
    bench.testbed.log()?.write(&[created, record]).await?;
    bench.applied(2, 0).await?;
    let timeline = service
        .timeline(&bench, ACCOUNT, &story.id().to_string())
        .await??;
    assert_eq!(timeline.status(), types::Status::PickedUp);
    assert_eq!(timeline.events[1].kind(), types::EventKind::Scan);
    service.stop().await
}
