//! Watches the watcher: notes what happens, and finds what must not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logistics_operator::names::MANAGER;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::{Key, Request};
use crate::lease::{LeaseNews, Tenure};

/// How long a plan may be under way: until then it may rest on what was known before.
const PLAN: Duration = Duration::from_secs(90);

/// Notes and findings of a schedule.
pub(crate) struct Monitor {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trace: Vec<String>,
    findings: Vec<String>,
    /// What the operator was told last about each object, and when.
    told: BTreeMap<Key, (u64, Instant)>,
    /// Writes of the operator, with their times.
    writes: Vec<(Instant, String)>,
    /// Until when a platform, or a resource that is watched, is to be left alone, and who was told so.
    pauses: BTreeMap<String, (u32, Instant)>,
    /// Secrets whose password somebody else changed, by uid.
    spoiled: BTreeSet<String>,
    /// When the instances that take part in an election may write.
    tenures: BTreeMap<u32, Tenure>,
    jobs: usize,
    requests: usize,
    faults: usize,
}

/// What the operator does to an object.
pub(crate) struct Deed<'a> {
    pub request: &'a Request,
    pub key: &'a Key,
    pub before: Option<&'a Value>,
    pub after: Option<&'a Value>,
    /// Whether the request was granted.
    pub granted: bool,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something.
    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        let line = format!("{:>9.3}s {what}", self.start.elapsed().as_secs_f64());
        self.lock().trace.push(line);
    }

    /// Notes what must not be.
    pub(crate) fn find(&self, what: impl std::fmt::Display) {
        self.note(format_args!("✗ {what}"));
        self.lock().findings.push(what.to_string());
    }

    pub(crate) fn findings(&self) -> Vec<String> {
        self.lock().findings.clone()
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    /// Requests of the operator and faults that they met.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.requests, state.faults)
    }

    /// Jobs that the operator made.
    pub(crate) fn jobs(&self) -> usize {
        self.lock().jobs
    }

    pub(crate) fn met_fault(&self) {
        self.lock().faults += 1;
    }

    /// Somebody else changed a Secret's password.
    pub(crate) fn spoiled(&self, uid: &str) {
        self.lock().spoiled.insert(uid.to_owned());
    }

    /// A new operator knows nothing. One that takes part in an election does not lead yet.
    pub(crate) fn started(&self, instance: u32, elects: bool) {
        let mut state = self.lock();
        state.told.clear();
        if elects {
            state.tenures.insert(instance, Tenure::new(instance));
        }
    }

    /// The operator was told of the Lease; `renewed` is the beginning of its own request that wrote it.
    pub(crate) fn lease(&self, instance: u32, news: &LeaseNews, renewed: Option<Instant>) {
        if let Some(tenure) = self.lock().tenures.get_mut(&instance) {
            match renewed {
                Some(begun) => tenure.renewed(news, begun),
                None => tenure.told(news, Instant::now()),
            }
        }
    }

    /// The operator writes to an outside system.
    pub(crate) fn wrote_outside(&self, what: &str, by: u32) {
        let tenure = self.lock().tenures.get(&by).cloned();
        if let Some(wrong) = tenure.and_then(|tenure| tenure.forbids_to_end(Instant::now())) {
            self.find(format_args!("{what}: {wrong}"));
        }
    }

    /// The operator was told an object's state.
    pub(crate) fn told(&self, key: &Key, version: u64) {
        let mut state = self.lock();
        let known = state.told.entry(key.clone()).or_insert((0, Instant::now()));
        if version > known.0 {
            *known = (version, Instant::now());
        }
    }

    /// The operator was asked to wait. It may not ask the same again before.
    pub(crate) fn paused(&self, what: String, by: u32, pause: Duration) {
        self.lock().pauses.insert(what, (by, Instant::now() + pause));
    }

    /// A platform is another one now: what was asked of the former does not bind it.
    pub(crate) fn anew(&self, platform: &str) {
        let children = format!("/{platform}-");
        let mut state = self.lock();
        state
            .pauses
            .retain(|what, _| what != &format!("platform {platform}") && !what.contains(&children));
    }

    /// The operator asks for something.
    pub(crate) fn asked(&self, request: &Request, scope: Option<&str>, by: u32) {
        let (early, forbidden) = {
            let mut state = self.lock();
            state.requests += 1;
            let pause = scope.and_then(|scope| state.pauses.get(scope)).copied();
            let early = pause.filter(|(told, until)| *told == by && Instant::now() < *until);
            let tenure = state.tenures.get(&by);
            let tenure = tenure.filter(|_| request.is_write() && request.plural != "leases");
            (
                early.map(|(_, until)| until - Instant::now()),
                tenure.and_then(|tenure| tenure.forbids(Instant::now())),
            )
        };
        if let Some(wrong) = forbidden {
            self.find(format_args!("{request}: {wrong}"));
        }
        if let Some(early) = early {
            self.find(format_args!(
                "{request}: {:.3} s earlier than Retry-After allows",
                early.as_secs_f64()
            ));
        }
    }

    /// The operator wrote.
    pub(crate) fn wrote(&self, deed: &Deed<'_>) {
        let Deed {
            request,
            key,
            before,
            after,
            granted,
        } = deed;
        {
            let mut state = self.lock();
            // A Lease is renewed for ever.
            if key.plural != "leases" {
                state.writes.push((Instant::now(), request.to_string()));
            }
            if *granted && key.plural == "jobs" && before.is_none() {
                state.jobs += 1;
            }
        }
        // Events are not about the desired state, and nobody watches them.
        if !*granted || key.plural == "events" || key.plural == "leases" {
            return;
        }
        let is_platform = key.plural == "logisticsplatforms";
        if let Some(before) = before
            && !is_platform
            && !is_ours(before)
        {
            self.find(format_args!("{request}: the object is somebody else's"));
        }
        if request.verb() == "delete" && request.object()["preconditions"]["uid"].is_null() {
            self.find(format_args!(
                "{request}: the deletion does not say which object is meant"
            ));
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.unchanged(request, key, before, after);
            self.secret(request, key, before, after);
        }
        if request.verb() == "delete" && key.plural == "secrets" {
            self.find(format_args!("{request}: a password is thrown away"));
        }
    }

    /// A write that changes nothing is needless, unless the operator could not know.
    fn unchanged(&self, request: &Request, key: &Key, before: &Value, after: &Value) {
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|v| v.parse().ok())
        };
        if request.verb() == "delete" || version(before) != version(after) {
            return;
        }
        let knew = self.lock().told.get(key).copied();
        if knew.is_some_and(|(told, since)| Some(told) == version(before) && since.elapsed() > PLAN) {
            self.find(format_args!("{request}: needless, nothing is changed by it"));
        }
    }

    fn secret(&self, request: &Request, key: &Key, before: &Value, after: &Value) {
        if key.plural != "secrets" || before["data"]["password"] == after["data"]["password"] {
            return;
        }
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default();
        if !self.lock().spoiled.remove(uid) {
            self.find(format_args!("{request}: a password that is in use is lost"));
        }
    }

    /// Writes of the operator since a time.
    pub(crate) fn writes_since(&self, time: Instant) -> Vec<String> {
        let state = self.lock();
        let since = state.writes.iter().filter(|(when, _)| *when >= time);
        since.map(|(_, what)| what.clone()).collect()
    }
}

/// Whether an object is a platform's, or was applied by the operator for one.
fn is_ours(object: &Value) -> bool {
    let meta = &object["metadata"];
    let any =
        |list: &Value, is: &dyn Fn(&Value) -> bool| list.as_array().is_some_and(|list| list.iter().any(is));
    any(&meta["ownerReferences"], &|owner| {
        owner["kind"] == "LogisticsPlatform" && owner["controller"] == true
    }) || any(&meta["managedFields"], &|entry| {
        entry["manager"] == MANAGER && entry["operation"] == "Apply"
    })
}
