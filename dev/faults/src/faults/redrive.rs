//! Redrives, several of the same record at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use logistics_schemas::Workload;
use logistics_schemas::dead_letters::{DeadLetter, Page, SUBJECT_HEADER, Settled};
use reqwest::{Client, StatusCode};

use super::Scene;
use crate::wait::until;

/// The database refuses some events, as a constraint of an earlier release might.
const REFUSE: &str = "CREATE OR REPLACE FUNCTION tracking.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'not yet' USING ERRCODE = '23514'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON tracking.timeline FOR EACH ROW
         WHEN (NEW.seq = 4 AND NEW.shipment_id::text LIKE '%0') EXECUTE FUNCTION tracking.refuse();";
const ACCEPT: &str = "DROP TRIGGER refuse ON tracking.timeline";
/// The class of an event that the database refuses.
const REFUSED: &str = "not_applicable";
/// Requests for each record, at the same time.
const AT_ONCE: usize = 3;

/// Has events refused for a while, then redrives them; gives the number of requests.
pub(super) async fn repeatedly(scene: Scene<'_>) -> Result<usize> {
    let testbed = &scene.site.testbed;
    testbed.sql(REFUSE).await?;
    let some = until(Duration::from_mins(1), || async {
        Ok((refused(scene).await?.len() >= 5).then_some(()))
    });
    let some = some.await?;
    testbed.sql(ACCEPT).await?;
    some.context("no event was refused")?;
    let mut requests = 0;
    loop {
        let letters = refused(scene).await?;
        if letters.is_empty() {
            return Ok(requests);
        }
        for letter in letters {
            redrive(scene, &letter).await?;
            requests += AT_ONCE;
        }
    }
}

async fn refused(scene: Scene<'_>) -> Result<Vec<DeadLetter>> {
    let desk = scene.site.of(Workload::Tracking, 0).control;
    let page = Client::new().get(format!("http://{desk}/dlq")).send().await?;
    let page: Page = page.error_for_status()?.json().await?;
    let refused = |letter: &DeadLetter| letter.class.as_deref() == Some(REFUSED);
    Ok(page.items.into_iter().filter(refused).collect())
}

/// From both processes of the service; whoever comes late is told so.
async fn redrive(scene: Scene<'_>, letter: &DeadLetter) -> Result<()> {
    let requests = (0..AT_ONCE).map(|turn| {
        let desk = scene.site.of(Workload::Tracking, turn).control;
        let request = Client::new().post(format!("http://{desk}/dlq/{}/redrive", letter.id));
        request.header(SUBJECT_HEADER, "kate").send()
    });
    let mut applied = 0;
    for answer in join_all(requests).await {
        let answer = answer?;
        match answer.status() {
            StatusCode::NOT_FOUND => {}
            StatusCode::OK => applied += answer.json::<Settled>().await?.applied,
            other => anyhow::bail!("redrive of {}: {other}: {}", letter.id, answer.text().await?),
        }
    }
    ensure!(applied > 0, "the redrive of {} applied nothing", letter.id);
    Ok(())
}
