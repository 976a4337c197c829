//! Events: what was changed and what went wrong, for `kubectl describe`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::{Client, Resource};
use kube_runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

use crate::api::{LogisticsPlatform, PlatformStatus};
use crate::apply::Applied;
use crate::child::ChildId;
use crate::leader::Leadership;
use crate::names::MANAGER;
use crate::reason::Reason;
use crate::telemetry::Metrics;

/// Most characters of an Event's note.
const NOTE_LENGTH: usize = 1000;

/// Longest time that sending an Event may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How many Events a recorder sends before a new one takes its place. A recorder keeps each for six minutes to count its
/// repetitions, some 4 kB: many platforms that come up at once would leave tens of megabytes.
const KEPT: usize = 512;

/// Sends Events in the background: a lost one never holds up a reconcile.
#[derive(Clone)]
pub struct Notices {
    client: Client,
    reporter: Reporter,
    recorder: Arc<Mutex<(Recorder, usize)>>,
    leadership: Leadership,
    metrics: Arc<Metrics>,
}

impl Notices {
    /// Sends Events through `client` while it leads; all of them share a recorder, which counts repetitions.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter {
            controller: MANAGER.into(),
            instance: std::env::var("POD_NAME").ok(),
        };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self {
            client,
            reporter,
            recorder: Arc::new(Mutex::new((recorder, 0))),
            leadership,
            metrics,
        }
    }

    fn recorder(&self) -> Recorder {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if recorder.1 == KEPT {
            *recorder = (Recorder::new(self.client.clone(), self.reporter.clone()), 0);
        }
        recorder.1 += 1;
        recorder.0.clone()
    }

    /// Tells what was changed. In a settled platform an update is a repair.
    pub fn applied(&self, platform: &LogisticsPlatform, applied: &Applied, settled: bool) {
        let updated = if settled {
            Reason::Repaired
        } else {
            Reason::Updated
        };
        for (reason, ids) in [
            (Reason::Created, &applied.created),
            (updated, &applied.updated),
            (Reason::Deleted, &applied.deleted),
        ] {
            if !ids.is_empty() {
                self.send(platform, EventType::Normal, reason.as_str(), &summary(ids));
            }
        }
        for (reason, changes) in [
            (Reason::TopicsChanged, &applied.topics),
            (Reason::SchemasChanged, &applied.subjects),
        ] {
            if !changes.is_empty() {
                self.send(platform, EventType::Normal, reason.as_str(), &changes.join("; "));
            }
        }
    }

    /// Tells what a deleted platform leaves behind.
    pub fn left_behind(&self, platform: &LogisticsPlatform, reason: Reason, what: &str) {
        self.send(platform, EventType::Warning, reason.as_str(), what);
    }

    /// Tells when Ready turns, or its reason does.
    pub fn turned(&self, platform: &LogisticsPlatform, status: &PlatformStatus) {
        let ready = |status: &PlatformStatus| status.conditions.iter().find(|c| c.type_ == "Ready").cloned();
        let Some(now) = ready(status) else { return };
        let former = platform.status.as_ref().and_then(ready);
        if former.is_some_and(|former| former.status == now.status && former.reason == now.reason) {
            return;
        }
        let degraded = status
            .conditions
            .iter()
            .any(|c| c.type_ == "Degraded" && c.status == "True");
        let severity = if degraded {
            EventType::Warning
        } else {
            EventType::Normal
        };
        self.send(platform, severity, &now.reason, &now.message);
    }

    fn send(&self, platform: &LogisticsPlatform, type_: EventType, reason: &str, note: &str) {
        let Ok(permit) = self.leadership.permit("Event") else {
            return;
        };
        let event = Event {
            type_,
            reason: reason.into(),
            note: Some(note.chars().take(NOTE_LENGTH).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        let reference = platform.object_ref(&());
        let recorder = self.recorder();
        self.metrics.request("event", "Event");
        tokio::spawn(async move {
            match tokio::time::timeout(permit.within(SEND_TIMEOUT), recorder.publish(&event, &reference))
                .await
            {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "an Event was not sent"),
                Err(_) => debug!("an Event was not sent in time"),
            }
        });
    }
}

fn summary(ids: &[ChildId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
