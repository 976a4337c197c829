use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::{Candidate, Leadership, Loss, NotLeading, Step, Timing};
use crate::telemetry::Metrics;

mod simulation;

/// What happens to a candidate.
type Event = fn(&mut Candidate, Instant);

const SECOND: Duration = Duration::from_secs(1);

fn lease(holder: Option<&str>, renewals: u32) -> Lease {
    serde_json::from_value(json!({
        "metadata": {"name": "operator", "resourceVersion": (100 + renewals).to_string()},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 10, "leaseTransitions": renewals},
    }))
    .unwrap()
}

fn candidate() -> Candidate {
    Candidate::new("me".into(), Timing::default())
}

/// One that leads since `now`.
fn leader(now: Instant) -> Candidate {
    let mut me = candidate();
    me.sees(None, now);
    me.tries(now);
    let lease = me.wanted(Timestamp::UNIX_EPOCH);
    me.wrote(lease, now);
    me
}

#[test]
fn a_free_lease_is_taken_at_once_and_another_one_waited_for() {
    let now = Instant::now();
    let wait = |seconds| Step::Wait(SECOND * seconds);
    let cases: [(&str, Option<Lease>, u32, Step); 7] = [
        ("none exists", None, 0, Step::Acquire),
        ("nobody holds it", Some(lease(None, 1)), 0, Step::Acquire),
        ("given up", Some(lease(Some(""), 1)), 0, Step::Acquire),
        ("just renewed", Some(lease(Some("other"), 1)), 0, wait(10)),
        ("renewed long ago", Some(lease(Some("other"), 1)), 9, wait(1)),
        ("expired", Some(lease(Some("other"), 1)), 10, Step::Acquire),
        ("one's own", Some(lease(Some("me"), 1)), 0, Step::Acquire),
    ];
    for (name, lease, later, expected) in cases {
        let mut me = candidate();
        assert_eq!(me.next(now), Step::Look, "{name}");
        me.sees(lease, now);
        assert_eq!(me.next(now + SECOND * later), expected, "{name}");
    }
}

#[test]
fn the_time_of_a_lease_counts_from_when_it_was_seen_to_change() {
    let now = Instant::now();
    let mut me = candidate();
    me.sees(Some(lease(Some("other"), 1)), now);
    // Seen again, and with a label, but not renewed.
    let mut labelled = lease(Some("other"), 1);
    labelled.metadata.resource_version = Some("150".into());
    me.sees(Some(labelled), now + SECOND * 4);
    assert_eq!(me.next(now + SECOND * 9), Step::Wait(SECOND));
    // A late event of a watch tells nothing new.
    me.hears(lease(Some("somebody"), 2), now + SECOND * 9);
    assert_eq!(me.next(now + SECOND * 9), Step::Wait(SECOND));
    // Renewed.
    me.sees(Some(lease(Some("other"), 60)), now + SECOND * 9);
    assert_eq!(me.next(now + SECOND * 9), Step::Wait(SECOND * 10));
    // Given up.
    me.hears(lease(None, 61), now + SECOND * 10);
    assert_eq!(me.next(now + SECOND * 10), Step::Acquire);
}

#[test]
fn a_lease_that_claims_to_hold_for_ever_is_not_believed() {
    let now = Instant::now();
    for (told, believed) in [(0, 10), (1, 10), (30, 30), (1_000_000, 60)] {
        let mut other = lease(Some("other"), 1);
        if let Some(spec) = &mut other.spec {
            spec.lease_duration_seconds = Some(told);
        }
        let mut me = candidate();
        me.sees(Some(other), now);
        assert_eq!(me.next(now), Step::Wait(SECOND * believed), "{told}");
    }
}

#[test]
fn a_holder_renews_in_time_or_stops() {
    let now = Instant::now();
    let me = leader(now);
    assert_eq!(me.leads_until(), Some(now + SECOND * 6));
    assert_eq!(me.next(now), Step::Wait(SECOND * 2));
    assert_eq!(me.next(now + SECOND * 2), Step::Renew);
    let almost = now + Duration::from_nanos(5_999_999_999);
    assert_eq!(me.next(almost), Step::Renew);
    assert_eq!(me.next(now + SECOND * 6), Step::Lost(Loss::Expired));
}

#[test]
fn a_candidate_leaves_the_api_server_alone_when_asked_and_loses_the_lease_rather() {
    let now = Instant::now();
    let mut me = leader(now);
    me.has_to_wait(now + SECOND * 5);
    assert_eq!(me.next(now + SECOND * 3), Step::Wait(SECOND * 2));
    assert_eq!(me.next(now + SECOND * 5), Step::Renew);
    me.has_to_wait(now + SECOND * 20);
    assert_eq!(me.next(now + SECOND * 5), Step::Wait(SECOND), "until it is lost");
    assert_eq!(me.next(now + SECOND * 6), Step::Lost(Loss::Expired));
    // A follower waits too, whether the Lease is free, unknown, or given up a moment ago.
    me.resign();
    me.sees(Some(lease(None, 9)), now + SECOND * 15);
    assert_eq!(me.next(now + SECOND * 15), Step::Wait(SECOND * 5));
    me.was_wrong();
    assert_eq!(me.next(now + SECOND * 15), Step::Wait(SECOND * 5));
    assert_eq!(me.next(now + SECOND * 20), Step::Look);
}

#[test]
fn a_stolen_lease_is_noticed() {
    let now = Instant::now();
    let cases: [(&str, Event, Step); 5] = [
        (
            "by a watch",
            |me, now| me.hears(lease(Some("thief"), 9), now),
            Step::Lost(Loss::Taken("thief".into())),
        ),
        (
            "by a read",
            |me, now| me.sees(Some(lease(Some("thief"), 9)), now),
            Step::Lost(Loss::Taken("thief".into())),
        ),
        (
            "emptied",
            |me, now| me.sees(Some(lease(None, 9)), now),
            Step::Lost(Loss::Gone),
        ),
        ("deleted", |me, now| me.sees(None, now), Step::Lost(Loss::Gone)),
        ("a renewal fails", |me, _| me.was_wrong(), Step::Look),
    ];
    for (name, act, expected) in cases {
        let mut me = leader(now);
        act(&mut me, now + SECOND);
        assert_eq!(me.next(now + SECOND), expected, "{name}");
    }
    // Its own renewal of which no answer came: it goes on.
    let mut me = leader(now);
    me.was_wrong();
    me.sees(Some(lease(Some("me"), 9)), now + SECOND);
    assert_eq!(me.next(now + SECOND * 2), Step::Renew);
}

#[test]
fn what_is_written_tells_since_when_and_how_often_it_changed_hands() {
    let (now, clock) = (Instant::now(), Timestamp::from_second(1_700_000_000).unwrap());
    let mut me = candidate();
    let mut other = lease(Some("other"), 7);
    other.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    me.sees(Some(other), now);
    let taken = me.wanted(clock);
    assert_eq!(
        taken.metadata.resource_version.as_deref(),
        Some("107"),
        "of two one fails"
    );
    assert!(taken.metadata.labels.is_some(), "what others wrote stays");
    let spec = taken.spec.clone().unwrap();
    assert_eq!(
        (spec.holder_identity.as_deref(), spec.lease_transitions),
        (Some("me"), Some(8))
    );
    me.wrote(taken, now);
    let kept = me
        .wanted(Timestamp::from_second(1_700_000_002).unwrap())
        .spec
        .unwrap();
    assert_eq!(
        (kept.lease_transitions, kept.acquire_time),
        (Some(8), spec.acquire_time)
    );
    assert_ne!(kept.renew_time, spec.renew_time);
    let free = me.released(clock).unwrap().spec.unwrap();
    assert_eq!(free.holder_identity, None);
    me.sees(Some(lease(Some("other"), 9)), now);
    assert_eq!(me.released(clock), None, "what is not one's own is not given up");
}

#[test]
fn a_write_may_begin_while_leading_and_ends_before_the_lease_does() {
    let metrics = Metrics::new();
    let leadership = Leadership::candidate(SECOND * 4, metrics.clone());
    assert!(!leadership.may_write());
    assert_eq!(leadership.permit("Deployment").unwrap_err(), NotLeading);
    let watch = leadership.watch();
    leadership.leads_until(Instant::now() + SECOND * 6);
    assert!(*watch.borrow());
    let permit = leadership.permit("Deployment").unwrap();
    assert_eq!(permit.within(SECOND), SECOND);
    let most = permit.within(SECOND * 60);
    assert!(most > SECOND * 9 && most <= SECOND * 10, "{most:?}");
    // The time ends it, whether or not anybody says so.
    leadership.leads_until(Instant::now());
    assert!(!leadership.may_write() && *watch.borrow());
    assert!(leadership.ends() && !leadership.ends());
    assert!(leadership.permit("Deployment").is_err());
    let text = metrics.text().unwrap();
    let expected = "logistics_operator_writes_dropped_total{kind=\"Deployment\"} 2";
    assert!(text.contains(expected), "{text}");
    assert!(Leadership::sole(metrics).may_write());
}
