//! A record that cannot be applied holds its own shipment, and nobody else's.

use anyhow::{Context as _, Result};
use logistics_schemas::topics::{
    SHIPMENT_CREATED_DLQ, SHIPMENT_STATUS_CHANGED, SHIPMENT_STATUS_CHANGED_DLQ, Topic,
};
use logistics_testbed::{FeedRecord, LogRecord, eventually};

use crate::support::{Bench, Story};

async fn dead_letters(bench: &Bench, topic: Topic, count: usize) -> Result<Vec<LogRecord>> {
    eventually("dead letters", || async {
        let letters = bench.testbed.log()?.read(&topic).await?;
        Ok((letters.len() >= count).then_some(letters))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_record_goes_to_the_dead_letters_and_its_followers_wait() -> Result<()> {
    let bench = Bench::start().await?;
    let (held, free) = (Story::usual(1), Story::usual(2));
    let mut records = held.records(&bench.codec)?;
    let sound = records[2].clone();
    // The id of a real schema, and nothing that was written with it.
    records[2].value.truncate(5);
    records[2].value.extend(b" no event \xff");
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&records).await?;
    bench.testbed.log()?.write(&free.records(&bench.codec)?).await?;

    // Of the held one, two are applied and five are parked; the free one is complete.
    bench.applied(2 + 7, 5).await?;
    let letters = dead_letters(&bench, SHIPMENT_STATUS_CHANGED_DLQ, 1).await?;
    let letter = &letters[0];
    assert_eq!(letters.len(), 1);
    assert_eq!(letter.payload.as_ref(), Some(&records[2].value));
    assert_eq!(letter.key, held.id().to_string());
    assert_eq!(letter.header("ce_sequence"), Some("3"));
    let error = |name: &str| {
        letter
            .header(&format!("__dlq.errors.{name}"))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        error("topic").ends_with(SHIPMENT_STATUS_CHANGED.name),
        "{letter:?}"
    );
    assert!(error("group").ends_with(".tracking"), "{letter:?}");
    assert_eq!(
        (error("class").as_str(), error("attempts").as_str()),
        ("cut_off", "1")
    );
    assert!(!error("message").is_empty() && !error("first_failed_at").is_empty());
    assert!(error("partition").parse::<i32>().is_ok() && error("offset").parse::<i64>().is_ok());

    let progress = service
        .progress(&bench, crate::support::ACCOUNT, "admin")
        .await??;
    assert_eq!((progress.shipments, progress.events, progress.parked), (2, 9, 5));

    // The same record once more is no second dead letter; a sound copy sets the shipment free.
    bench.testbed.log()?.write(&[records[2].clone(), sound]).await?;
    bench.applied(14, 0).await?;
    assert_eq!(
        dead_letters(&bench, SHIPMENT_STATUS_CHANGED_DLQ, 1).await?.len(),
        1
    );
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_belong_to_nobody_are_dead_letters_and_hold_nobody() -> Result<()> {
    let bench = Bench::start().await?;
    let story = Story::usual(1);
    let sound = story.records(&bench.codec)?;
    let strange = |change: fn(&mut FeedRecord)| {
        let mut record = sound[1].clone();
        change(&mut record);
        record
    };
    let strangers = [
        strange(|record| (record.key, record.headers) = (None, Vec::new())),
        strange(|record| (record.key, record.value) = (Some(b"no uuid".to_vec()), Vec::new())),
        strange(|record| (record.value, record.headers) = (b"{\"json\": true}".to_vec(), Vec::new())),
    ];
    let service = bench.service("a").await?;
    bench.testbed.log()?.write(&strangers).await?;
    bench.testbed.log()?.write(&sound).await?;
    bench.applied(7, 3).await?;
    let letters = dead_letters(&bench, SHIPMENT_STATUS_CHANGED_DLQ, 3).await?;
    let mut classes: Vec<&str> = letters
        .iter()
        .filter_map(|letter| letter.header("__dlq.errors.class"))
        .collect();
    classes.sort_unstable();
    assert_eq!(classes, ["json_mismatch", "misfit", "wire_format"]);
    service.stop().await
}

/// The database refuses a zero byte in a text. That is found out only when the event is applied, in a batch with others.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_database_refuses_is_found_among_the_others() -> Result<()> {
    let bench = Bench::start().await?;
    let mut stories: Vec<Story> = (0..20).map(Story::usual).collect();
    stories[7].changes[3].actor = "zero\0byte".to_owned();
    stories[9].created.carrier = "\0".to_owned();
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    let service = bench.service("a").await?;
    // 18 whole, one up to its fourth event, one not at all.
    bench.applied(18 * 7 + 4, 3 + 7).await?;
    for (topic, id) in [
        (SHIPMENT_STATUS_CHANGED_DLQ, stories[7].id()),
        (SHIPMENT_CREATED_DLQ, stories[9].id()),
    ] {
        let letters = dead_letters(&bench, topic, 1).await?;
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert_eq!(letters[0].key, id.to_string());
        assert_eq!(letters[0].header("__dlq.errors.class"), Some("not_applicable"));
    }
    service.stop().await
}

/// An account is noted of a shipment even if none of its events can be applied: with this one, nothing could be noted.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_the_database_refuses_stops_nobody_else() -> Result<()> {
    let bench = Bench::start().await?;
    let mut stories: Vec<Story> = (0..3).map(Story::usual).collect();
    stories[1].created.account_id = "zero\0byte".to_owned();
    bench.testbed.log()?.write(&bench.records(&stories)?).await?;
    let service = bench.service("a").await?;
    bench.applied(2 * 7, 7).await?;
    let letters = dead_letters(&bench, SHIPMENT_CREATED_DLQ, 1).await?;
    assert_eq!(letters[0].key, stories[1].id().to_string());
    assert_eq!(letters[0].header("__dlq.errors.class"), Some("misfit"));
    service.stop().await
}

/// The event waits in `parked` as a sound one, and is found to be poison when its turn comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_parked_may_turn_out_to_be_poison() -> Result<()> {
    let bench = Bench::start().await?;
    let mut story = Story::usual(1);
    story.changes[1].actor = "zero\0byte".to_owned();
    let records = story.records(&bench.codec)?;
    let service = bench.service("a").await?;
    let (first, rest) = records.split_first().context("no records")?;
    bench.testbed.log()?.write(rest).await?;
    bench.applied(0, 6).await?;
    bench.testbed.log()?.write(std::slice::from_ref(first)).await?;
    bench.applied(2, 5).await?;
    let letters = dead_letters(&bench, SHIPMENT_STATUS_CHANGED_DLQ, 1).await?;
    assert_eq!(letters[0].payload.as_ref(), Some(&records[2].value));
    service.stop().await
}
