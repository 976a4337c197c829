//! Reads and writes the Lease as the candidate decides.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Candidate, Leadership, Step, Timing};
use crate::names::MANAGER;
use crate::retry_after;
use crate::telemetry::Metrics;

/// Who takes part in which election.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this candidate; no other process, nor an earlier one, has the same.
    pub identity: String,
    /// How long a Lease holds.
    pub timing: Timing,
}

impl Election {
    /// The gate of this candidate.
    #[must_use]
    pub fn leadership(&self, metrics: Arc<Metrics>) -> Leadership {
        let grace = self.timing.duration.saturating_sub(self.timing.renew_deadline);
        Leadership::candidate(grace, metrics)
    }
}

struct Elector {
    api: Api<Lease>,
    election: Election,
    candidate: Candidate,
    leadership: Leadership,
    metrics: Arc<Metrics>,
}

/// Takes part in an election until `stop` is cancelled; then the Lease is given up, so that another one leads at once.
pub async fn elect(
    client: Client,
    election: Election,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let api: Api<Lease> = Api::namespaced(client, &election.namespace);
    // Only tells sooner what a read would tell too; so it may fail.
    let config = watcher::Config::default().fields(&format!("metadata.name={}", election.name));
    let mut events = pin!(watcher(api.clone(), config).default_backoff());
    let mut unheard_until = Instant::now();
    let mut elector = Elector {
        candidate: Candidate::new(election.identity.clone(), election.timing),
        api,
        election,
        leadership,
        metrics,
    };
    while !stop.is_cancelled() {
        match elector.candidate.next(Instant::now()) {
            Step::Look => elector.look().await,
            Step::Acquire | Step::Renew => elector.write().await,
            Step::Lost(why) => {
                elector.candidate.resign();
                if elector.leadership.ends() {
                    elector.metrics.lease_transition("lost");
                    warn!(%why, "the Lease is lost, another operator may lead now");
                }
            }
            Step::Wait(pause) => tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
                Some(event) = after(unheard_until, events.next()) => {
                    if let Err(error) = &event {
                        unheard_until = Instant::now() + retry_after::of_watch(error).unwrap_or_default();
                    }
                    elector.hear(event);
                }
            },
        }
    }
    elector.release().await;
}

/// Something, but not before a time.
async fn after<T>(time: Instant, then: impl Future<Output = T>) -> T {
    tokio::time::sleep_until(time).await;
    then.await
}

impl Elector {
    /// Longest time of a request: a holder has the time for another one before it has to give up.
    fn limit(&self) -> Duration {
        self.election.timing.renew_deadline / 2
    }

    async fn request<T>(
        &mut self,
        verb: &'static str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Option<u16>> {
        let answer = match tokio::time::timeout(self.limit(), call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error @ Error::Api(_))) if retry_after::of(&error).is_some() => {
                let pause = retry_after::of(&error).unwrap_or_default();
                self.candidate.has_to_wait(Instant::now() + pause);
                warn!(verb, %error, seconds = pause.as_secs(), "the API server asks to wait");
                Err(None)
            }
            Ok(Err(Error::Api(status))) => {
                if !matches!(status.code, 404 | 409) {
                    warn!(
                        verb,
                        code = status.code,
                        message = status.message,
                        "the Lease is refused"
                    );
                }
                Err(Some(status.code))
            }
            Ok(Err(error)) => {
                debug!(verb, %error, "the Lease cannot be reached");
                Err(None)
            }
            Err(_) => Err(None),
        };
        self.metrics.lease_request(verb, answer.is_ok());
        answer
    }

    async fn look(&mut self) {
        self.candidate.tries(Instant::now());
        let (api, name) = (self.api.clone(), self.election.name.clone());
        let answer = self.request("get", api.get(&name)).await;
        match answer {
            Ok(lease) => self.candidate.sees(Some(lease), Instant::now()),
            Err(Some(404)) => self.candidate.sees(None, Instant::now()),
            Err(_) => {}
        }
    }

    async fn write(&mut self) {
        let begun = Instant::now();
        self.candidate.tries(begun);
        let mut lease = self.candidate.wanted(Timestamp::now());
        lease.metadata.name = Some(self.election.name.clone());
        let (api, name, parameters) = (self.api.clone(), self.election.name.clone(), parameters());
        let answer = if self.candidate.is_absent() {
            self.request("create", api.create(&parameters, &lease)).await
        } else {
            let call = api.replace(&name, &parameters, &lease);
            self.request("update", call).await
        };
        match answer {
            Ok(lease) => {
                let led = self.candidate.leads_until().is_some();
                self.candidate.wrote(lease, begun);
                if let Some(end) = self.candidate.leads_until() {
                    self.leadership.leads_until(end);
                }
                if !led {
                    self.metrics.lease_transition("acquired");
                    info!(identity = self.election.identity, "this operator leads");
                }
            }
            Err(Some(404 | 409)) => self.candidate.was_wrong(),
            // Whether it was written is not known; the next try finds out.
            Err(_) => {}
        }
    }

    fn hear(&mut self, event: watcher::Result<Event<Lease>>) {
        match event {
            Ok(Event::Apply(lease) | Event::InitApply(lease)) => {
                self.candidate.hears(lease, Instant::now());
            }
            Ok(Event::Delete(lease)) => self.candidate.hears_of_deletion(&lease),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => debug!(%error, "the watch of the Lease failed, it is tried again"),
        }
    }

    async fn release(&mut self) {
        let held = self.leadership.ends();
        let released = self.candidate.released(Timestamp::now());
        self.candidate.resign();
        // Where the API server asks to wait, the Lease runs out by itself.
        let may = held && !self.candidate.is_held(Instant::now());
        let Some(lease) = released.filter(|_| may) else {
            return;
        };
        let (api, name, parameters) = (self.api.clone(), self.election.name.clone(), parameters());
        let call = api.replace(&name, &parameters, &lease);
        if self.request("update", call).await.is_ok() {
            self.metrics.lease_transition("released");
            info!("the Lease is given up");
        }
    }
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.into()),
        ..PostParams::default()
    }
}
