//! Somebody looks at the parked records, mends the cause, and takes them up again.

use anyhow::{Context as _, Result};
use logistics_schemas::Workload;
use logistics_schemas::dead_letters::{Content, Page, Refusal, SUBJECT_HEADER, Settled};
use logistics_schemas::topics::SHIPMENT_STATUS_CHANGED_DLQ;
use logistics_tracking::MIGRATIONS;
use reqwest::{Client, StatusCode};

use crate::support::{Bench, Service, Story};

/// The control port of a service.
struct Desk {
    http: Client,
    url: String,
}

impl Desk {
    /// A service with a control port that is known.
    async fn start(bench: &Bench) -> Result<(Service, Self)> {
        let mut chassis = bench
            .testbed
            .chassis(Workload::Tracking, "desk", &MIGRATIONS)
            .await?;
        let port = dev_rig::free_port()?;
        std::sync::Arc::make_mut(&mut chassis.config).control.listen = ([127, 0, 0, 1], port).into();
        let desk = Self {
            http: Client::new(),
            url: format!("http://127.0.0.1:{port}/dlq"),
        };
        Ok((Service::on(chassis)?, desk))
    }

    async fn list(&self, query: &str) -> Result<Page> {
        let answer = self.http.get(format!("{}?{query}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn show(&self, id: &str) -> Result<Content> {
        let answer = self.http.get(format!("{}/{id}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn change(&self, verb: &str, id: &str) -> Result<Result<Settled, (StatusCode, String)>> {
        let request = self.http.post(format!("{}/{id}/{verb}", self.url));
        let answer = request.header(SUBJECT_HEADER, "kate").send().await?;
        if answer.status().is_success() {
            return Ok(Ok(answer.json().await?));
        }
        let status = answer.status();
        Ok(Err((status, answer.json::<Refusal>().await?.error)))
    }
}

/// The database refuses events with this reason, as a constraint of an earlier release might.
const REFUSE: &str = "CREATE FUNCTION tracking.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'not yet' USING ERRCODE = '23514'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON tracking.timeline FOR EACH ROW
         WHEN (NEW.reason = 'new') EXECUTE FUNCTION tracking.refuse();";
const ACCEPT: &str = "DROP TRIGGER refuse ON tracking.timeline";

fn held_up(number: u64) -> Story {
    let mut story = Story::usual(number);
    "new".clone_into(&mut story.changes[1].reason);
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_applies_the_record_and_what_waited_for_it() -> Result<()> {
    let bench = Bench::start().await?;
    bench.testbed.sql(REFUSE).await?;
    let (service, desk) = Desk::start(&bench).await?;
    let story = held_up(1);
    bench.testbed.log()?.write(&story.records(&bench.codec)?).await?;
    bench.applied(2, 5).await?;

    let page = desk.list("").await?;
    let letter = page.items.first().context("no dead letter")?;
    assert_eq!((page.items.len(), page.next.as_deref()), (1, None));
    assert_eq!(letter.shipment_id, Some(story.id().to_string()));
    assert_eq!((letter.seq, letter.waiting), (Some(3), 4));
    assert_eq!(letter.class.as_deref(), Some("not_applicable"));
    assert_eq!(desk.list("all=true").await?.items.len(), 5);
    let first = desk.list("all=true&limit=2").await?;
    let after = first.next.context("no more")?;
    assert_eq!(
        desk.list(&format!("all=true&after={after}")).await?.items.len(),
        3
    );
    let content = desk.show(&letter.id).await?;
    assert_eq!(content.key, Some(story.id().to_string()));
    assert!(content.value.is_some());
    assert!(
        content
            .headers
            .contains(&("ce_sequence".to_owned(), "3".to_owned()))
    );

    // The cause is still there: it says so, and there is no second letter.
    let settled = desk.change("redrive", &letter.id).await?.expect("answered");
    assert_eq!(settled.applied, 0);
    assert!(settled.problem.unwrap_or_default().contains("not yet"));
    bench.applied(2, 5).await?;

    bench.testbed.sql(ACCEPT).await?;
    let answers = futures::future::join_all((0..5).map(|_| desk.change("redrive", &letter.id))).await;
    let mut applied = 0;
    for answer in answers {
        match answer? {
            Ok(settled) => applied += settled.applied,
            Err((status, message)) => {
                assert_eq!(status, StatusCode::NOT_FOUND, "{message}");
                assert!(message.contains("dlq list"), "{message}");
            }
        }
    }
    assert_eq!(applied, 5, "one redrive of several at once has the effect");
    bench.applied(7, 0).await?;
    assert_eq!(desk.list("all=true").await?.items, []);
    let letters = bench.testbed.log()?.read(&SHIPMENT_STATUS_CHANGED_DLQ).await?;
    assert_eq!(letters.len(), 1);
    let audited = bench
        .testbed
        .sql("SELECT DISTINCT method, subject, roles FROM tracking.audit_leaves")
        .await?;
    assert_eq!(audited, "dlq redrive|kate|operator");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_gives_one_event_up_and_the_shipment_goes_on() -> Result<()> {
    let bench = Bench::start().await?;
    let (service, desk) = Desk::start(&bench).await?;
    let story = Story::usual(1);
    let mut records = story.records(&bench.codec)?;
    records[2].value.truncate(5);
    bench.testbed.log()?.write(&records).await?;
    bench.applied(2, 5).await?;

    let all = desk.list("all=true").await?.items;
    let held = all
        .iter()
        .find(|letter| letter.class.is_some())
        .context("no poison")?;
    let waiting = all
        .iter()
        .find(|letter| letter.class.is_none())
        .context("none waits")?;
    let (status, message) = desk
        .change("purge", &waiting.id)
        .await?
        .expect_err("a follower is not purged");
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(message.contains(&held.id), "{message}");

    let settled = desk.change("purge", &held.id).await?.expect("purged");
    assert_eq!((settled.applied, settled.problem), (4, None));
    let positions = bench
        .testbed
        .sql("SELECT string_agg(seq::text, ',' ORDER BY seq) FROM tracking.timeline")
        .await?;
    assert_eq!(positions, "1,2,4,5,6,7");
    assert_eq!(desk.list("all=true").await?.items, []);

    // The log tells the purged event again: it stays purged.
    bench
        .testbed
        .log()?
        .write(&story.records(&bench.codec)?[2..3])
        .await?;
    bench
        .testbed
        .log()?
        .write(&Story::usual(2).records(&bench.codec)?)
        .await?;
    bench.applied(14, 0).await?;
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_belongs_to_nobody_is_told_what_is_wrong_with_it_and_can_be_purged() -> Result<()> {
    let bench = Bench::start().await?;
    let (service, desk) = Desk::start(&bench).await?;
    let mut stranger = Story::usual(1).records(&bench.codec)?[1].clone();
    (stranger.key, stranger.headers) = (None, Vec::new());
    bench.testbed.log()?.write(&[stranger]).await?;
    bench.applied(0, 1).await?;
    let letter = desk.list("").await?.items.remove(0);
    assert_eq!((letter.shipment_id.as_ref(), letter.waiting), (None, 0));
    let settled = desk.change("redrive", &letter.id).await?.expect("answered");
    assert!(settled.problem.unwrap_or_default().contains("key"));
    let settled = desk.change("purge", &letter.id).await?.expect("purged");
    assert_eq!((settled.applied, settled.problem), (0, None));
    assert_eq!(desk.list("all=true").await?.items, []);
    let (status, _) = desk.change("redrive", "no.such/0/0").await?.expect_err("nothing");
    assert_eq!(status, StatusCode::NOT_FOUND);
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_of_a_shipment_is_purged_once() -> Result<()> {
    let bench = Bench::start().await?;
    let (service, desk) = Desk::start(&bench).await?;
    let mut records = Story::usual(1).records(&bench.codec)?;
    records[6].value.truncate(5);
    bench.testbed.log()?.write(&records).await?;
    bench.applied(6, 1).await?;
    let letter = desk.list("").await?.items.remove(0);
    let answers = futures::future::join_all((0..3).map(|_| desk.change("purge", &letter.id))).await;
    let mut done = 0;
    for answer in answers {
        match answer? {
            Ok(settled) => {
                assert_eq!((settled.applied, settled.problem), (0, None));
                done += 1;
            }
            Err((status, message)) => assert_eq!(status, StatusCode::NOT_FOUND, "{message}"),
        }
    }
    assert_eq!(done, 1);
    bench.applied(7, 0).await?;
    service.stop().await
}
