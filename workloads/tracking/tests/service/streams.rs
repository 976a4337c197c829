//! Live streams.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use logistics_domain::status::Status;
use logistics_schemas::config::Streams;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_testbed::eventually;
use tonic::transport::Endpoint;
use tonic::{Code, Status as Refusal};
use tonic_types::StatusExt as _;

use crate::support::{ACCOUNT, Bench, Story, end, next_seqs, stream_request};

const ANN: (&str, &str) = ("ann", ACCOUNT);

fn reason(status: &Refusal) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

fn has(metrics: &str, line: &str) -> bool {
    metrics.lines().any(|one| one == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_was_then_what_comes_and_goes_on_where_it_was() -> Result<()> {
    let bench = Bench::start().await?;
    let (story, other) = (Story::usual(1), Story::usual(2));
    let (records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let service = bench.service("a").await?;
    let log = bench.testbed.log()?;
    log.write(&records[..3]).await?;
    bench.applied(3, 0).await?;

    let mut whole = service.stream(&bench, ANN, &id, 0).await??;
    let mut rest = service.stream(&bench, ANN, &id, 2).await??;
    // More than there is so far: its client has seen what this replica's projection has not.
    let mut later = service.stream(&bench, ANN, &id, 4).await??;
    assert_eq!(next_seqs(&mut whole, 3).await?, [1, 2, 3]);
    assert_eq!(next_seqs(&mut rest, 1).await?, [3]);

    service.tails().await?;
    log.write(&other.records(&bench.codec)?).await?;
    // Out of order, and some of it twice.
    let piece = [5, 3, 4, 4, 2].map(|at: usize| records[at].clone());
    log.write(&piece).await?;
    log.write(&records).await?;
    assert_eq!(next_seqs(&mut whole, 4).await?, [4, 5, 6, 7]);
    assert_eq!(next_seqs(&mut rest, 4).await?, [4, 5, 6, 7]);
    assert_eq!(next_seqs(&mut later, 3).await?, [5, 6, 7]);

    // The same events as the timeline's, from wherever they were read.
    let mut again = service.stream(&bench, ANN, &id, 0).await??;
    let timeline = service.timeline(&bench, ACCOUNT, &id).await??;
    for event in timeline.events {
        assert_eq!(again.message().await?.context("ended")?.event, Some(event));
    }
    drop((whole, rest, later, again));
    eventually("the streams are closed", || async {
        let metrics = service.metrics().await?;
        let closed = has(&metrics, "logistics_streams_open{revision=\"test\"} 0")
            && has(
                &metrics,
                "logistics_streams_ended_total{revision=\"test\",reason=\"closed_by_client\"} 4",
            )
            && metrics.contains("grpc_method=\"StreamTracking\",grpc_code=\"Canceled\"");
        Ok(closed.then_some(()))
    })
    .await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_for_its_account_and_says_what_is_wrong() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let id = story.id().to_string();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(7, 0).await?;
    for (account, id, after, code) in [
        ("acct-2", id.as_str(), 0, Code::NotFound),
        (ACCOUNT, "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f", 0, Code::NotFound),
        (ACCOUNT, "nonsense", 0, Code::InvalidArgument),
        (ACCOUNT, id.as_str(), -1, Code::InvalidArgument),
    ] {
        let refused = service.stream(&bench, ("ann", account), id, after).await?;
        assert_eq!(
            refused.err().map(|status| status.code()),
            Some(code),
            "{account} {id} {after}"
        );
    }
    let mut anonymous = TrackingServiceClient::connect(service.address.clone()).await?;
    let mut request = stream_request(&bench, ANN, &id, 0)?;
    request.metadata_mut().remove("authorization");
    let refused = anonymous.stream_tracking(request).await.err();
    assert_eq!(refused.map(|status| status.code()), Some(Code::Unauthenticated));
    let metrics = service.metrics().await?;
    assert!(
        has(&metrics, "logistics_streams_open{revision=\"test\"} 0"),
        "{metrics}"
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_ended_and_others_go_on() -> Result<()> {
    const EVENTS: usize = 4_001;
    let bench = Bench::start().await?;
    let story = Story::new(1, &[Status::InTransit; EVENTS - 1]);
    let (records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let (last, all_but_last) = records.split_last().context("no records")?;
    let service = bench
        .bounded_service(Streams {
            slow_client_seconds: 1,
            ..Streams::default()
        })
        .await?;
    bench.testbed.log()?.write(all_but_last).await?;
    bench.applied(EVENTS - 1, 0).await?;

    // Both on one connection; its window has room for a small part of the story.
    let channel = Endpoint::from_shared(service.address.clone())?
        .initial_stream_window_size(16 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .connect()
        .await?;
    let mut client = TrackingServiceClient::new(channel);
    let mut asleep = client
        .stream_tracking(stream_request(&bench, ANN, &id, 0)?)
        .await?
        .into_inner();
    let mut awake = client
        .stream_tracking(stream_request(&bench, ANN, &id, 0)?)
        .await?
        .into_inner();
    let seqs = next_seqs(&mut awake, EVENTS - 1).await?;
    assert_eq!(seqs, (1..i64::try_from(EVENTS)?).collect::<Vec<_>>());
    eventually("the sleeping client's stream ends", || async {
        let metrics = service.metrics().await?;
        let line = "logistics_streams_ended_total{revision=\"test\",reason=\"slow_client\"} 1";
        Ok(has(&metrics, line).then_some(()))
    })
    .await?;
    bench.testbed.log()?.write(std::slice::from_ref(last)).await?;
    assert_eq!(next_seqs(&mut awake, 1).await?, [i64::try_from(EVENTS)?]);

    // What was on its way already comes in order, then the reason.
    let mut expected = 1;
    let status = loop {
        match asleep.message().await {
            Ok(Some(message)) => {
                assert_eq!(message.event.context("no event")?.seq, expected);
                expected += 1;
            }
            Ok(None) => panic!("ended without a reason after {expected}"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "SLOW_CLIENT");
    assert!(status.message().contains("read faster"), "{status}");
    assert!(expected < i64::try_from(EVENTS)? / 2, "{expected}");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_in_number_and_time() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let (records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let service = bench
        .bounded_service(Streams {
            max_seconds: 3,
            max_open: 3,
            max_open_per_caller: 2,
            ..Streams::default()
        })
        .await?;
    bench.testbed.log()?.write(&records[..6]).await?;
    bench.applied(6, 0).await?;
    let begin = Instant::now();
    let mut first = service.stream(&bench, ANN, &id, 0).await??;
    let _second = service.stream(&bench, ANN, &id, 0).await??;
    let refused = service
        .stream(&bench, ANN, &id, 0)
        .await?
        .err()
        .context("opened")?;
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_STREAMS")
    );
    assert!(refused.message().contains("end one of them"), "{refused}");
    let _third = service.stream(&bench, ("bob", ACCOUNT), &id, 0).await??;
    let refused = service
        .stream(&bench, ("eve", ACCOUNT), &id, 0)
        .await?
        .err()
        .context("opened")?;
    assert!(refused.message().contains("another replica"), "{refused}");

    let seqs = next_seqs(&mut first, 6).await?;
    let over = end(&mut first).await?;
    assert!(over.is_none(), "{over:?}");
    let took = begin.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
    bench.testbed.log()?.write(&records[6..]).await?;
    let after = *seqs.last().context("none")?;
    let mut again = eventually("there is room again", || async {
        Ok(service.stream(&bench, ANN, &id, after).await?.ok())
    })
    .await?;
    assert_eq!(next_seqs(&mut again, 1).await?, [7]);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_callers_deadline_and_at_once_with_its_replica() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let id = story.id().to_string();
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(7, 0).await?;

    // Longer than the 30 s of other calls would be, if they were a stream's too: only the caller's own counts.
    let mut client = TrackingServiceClient::connect(service.address.clone()).await?;
    let mut request = stream_request(&bench, ANN, &id, 0)?;
    request.metadata_mut().insert("grpc-timeout", "2S".parse()?);
    let begin = Instant::now();
    let mut short = client.stream_tracking(request).await?.into_inner();
    next_seqs(&mut short, 7).await?;
    let status = end(&mut short).await?.context("ended with OK")?;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(
        begin.elapsed() >= Duration::from_millis(1_900),
        "{:?}",
        begin.elapsed()
    );

    let mut stream = service.stream(&bench, ANN, &id, 0).await??;
    next_seqs(&mut stream, 7).await?;
    let begin = Instant::now();
    let (stopped, status) = tokio::join!(service.stop(), end(&mut stream));
    stopped?;
    let status = status?.context("ended with OK")?;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "REPLICA_LEAVES")
    );
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    Ok(())
}

/// A record that nobody can read holds the stream, as it holds the projection; a sound copy sets both free.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_waits_for_what_is_parked_and_leaves_no_gap() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let (mut records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let sound = records[2].clone();
    records[2].value.truncate(5);
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&records[..2]).await?;
    bench.applied(2, 0).await?;
    let mut stream = service.stream(&bench, ANN, &id, 0).await??;
    service.tails().await?;
    bench.testbed.log()?.write(&records[2..]).await?;
    bench.applied(2, 5).await?;
    assert_eq!(next_seqs(&mut stream, 2).await?, [1, 2]);
    let early = tokio::time::timeout(Duration::from_secs(1), stream.message()).await;
    assert!(early.is_err(), "{early:?}");
    bench.testbed.log()?.write(&[sound]).await?;
    assert_eq!(next_seqs(&mut stream, 5).await?, [3, 4, 5, 6, 7]);
    service.stop().await
}

/// What the database refuses is never in the timeline, and not in a stream either.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_nothing_that_the_timeline_will_not_have() -> Result<()> {
    let bench = Bench::start().await?;
    let mut story = Story::usual(1);
    story.changes[1].actor = "zero\0byte".to_owned();
    let (records, id) = (story.records(&bench.codec)?, story.id().to_string());
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&records[..1]).await?;
    bench.applied(1, 0).await?;
    let mut stream = service.stream(&bench, ANN, &id, 0).await??;
    service.tails().await?;
    bench.testbed.log()?.write(&records[1..]).await?;
    bench.applied(2, 5).await?;
    assert_eq!(next_seqs(&mut stream, 2).await?, [1, 2]);
    let more = tokio::time::timeout(Duration::from_secs(1), stream.message()).await;
    assert!(more.is_err(), "{more:?}");
    service.stop().await
}
