//! Metrics of the operator, `logistics_operator_*`.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ResultLabels, Counter>,
    duration: Histogram,
    errors: Family<StepLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    polls: Family<PollLabels, Counter>,
    circuits: Family<BackendLabels, Gauge>,
    platforms: Gauge,
    leader: Gauge,
    lease_transitions: Family<EventLabels, Counter>,
    lease_requests: Family<LeaseLabels, Counter>,
    writes_dropped: Family<KindLabels, Counter>,
    platforms_failing: Gauge,
    watch_failing: Family<WatchLabels, Gauge>,
    admissions: Family<ResultLabels, Counter>,
    webhook_certificate_end: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PollLabels {
    backend: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    backend: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    watch: String,
}

impl Metrics {
    /// Metrics at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("logistics_operator");
        let reconciles = Family::<ResultLabels, Counter>::default();
        registry.register(
            "reconciles",
            "Reconciles by result: unchanged, changed, error",
            reconciles.clone(),
        );
        let buckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
        let duration = Histogram::new(buckets);
        registry.register(
            "reconcile_duration_seconds",
            "Time of a reconcile",
            duration.clone(),
        );
        let errors = Family::<StepLabels, Counter>::default();
        registry.register("errors", "Failed reconciles by step", errors.clone());
        let requests = Family::<RequestLabels, Counter>::default();
        let help = "Requests to the Kubernetes API by reconciles; watches are not counted";
        registry.register("kubernetes_requests", help, requests.clone());
        let polls = Family::<PollLabels, Counter>::default();
        registry.register(
            "backend_polls",
            "Reads of backends by result: ok, error",
            polls.clone(),
        );
        let circuits = Family::<BackendLabels, Gauge>::default();
        registry.register(
            "backend_circuits_open",
            "Backends to which changes are held back because they did not answer",
            circuits.clone(),
        );
        let platforms = Gauge::default();
        registry.register(
            "platforms",
            "LogisticsPlatform objects that are watched",
            platforms.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this operator leads, else 0", leader.clone());
        let lease_transitions = Family::<EventLabels, Counter>::default();
        let help = "Changes of leadership by event: acquired, lost, released";
        registry.register("lease_transitions", help, lease_transitions.clone());
        let lease_requests = Family::<LeaseLabels, Counter>::default();
        let help = "Requests for the Lease by verb and result: ok, error";
        registry.register("lease_requests", help, lease_requests.clone());
        let writes_dropped = Family::<KindLabels, Counter>::default();
        let help = "Writes that were dropped because another operator leads, by kind of what would have been written";
        registry.register("writes_dropped", help, writes_dropped.clone());
        let platforms_failing = Gauge::default();
        let help = "Platforms whose last reconcile failed and which wait to be tried again";
        registry.register("platforms_failing", help, platforms_failing.clone());
        let watch_failing = Family::<WatchLabels, Gauge>::default();
        let help = "For how long a watch has failed without a break; 0 while it delivers";
        registry.register("watch_failing_seconds", help, watch_failing.clone());
        let admissions = Family::<ResultLabels, Counter>::default();
        let help = "Requests to the admission webhook by result: allowed, denied, unreadable";
        registry.register("admission_requests", help, admissions.clone());
        let webhook_certificate_end = Gauge::default();
        registry.register(
            "webhook_certificate_expiry_timestamp_seconds",
            "When the certificate ends that the webhook shows; 0 while there is none",
            webhook_certificate_end.clone(),
        );
        Arc::new(Self {
            registry,
            reconciles,
            duration,
            errors,
            requests,
            polls,
            circuits,
            platforms,
            leader,
            lease_transitions,
            lease_requests,
            writes_dropped,
            platforms_failing,
            watch_failing,
            admissions,
            webhook_certificate_end,
        })
    }

    /// A reconcile ended.
    pub fn reconciled(&self, result: &'static str, duration: Duration) {
        self.reconciles.get_or_create(&ResultLabels { result }).inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// A step failed.
    pub fn failed(&self, step: &'static str) {
        self.errors.get_or_create(&StepLabels { step }).inc();
    }

    /// A request is sent to the Kubernetes API.
    pub fn request(&self, verb: &'static str, kind: &'static str) {
        self.requests.get_or_create(&RequestLabels { verb, kind }).inc();
    }

    /// All requests that were sent to the Kubernetes API.
    #[must_use]
    pub fn requests_total(&self) -> u64 {
        let verbs = ["create", "apply", "patch", "delete", "get", "status", "event"];
        let kinds = crate::child::ChildKind::ALL
            .into_iter()
            .map(crate::child::ChildKind::name);
        let kinds = kinds.chain(["LogisticsPlatform", "Event"]);
        kinds
            .flat_map(|kind| verbs.map(|verb| RequestLabels { verb, kind }))
            .map(|labels| self.requests.get_or_create(&labels).get())
            .sum()
    }

    /// A backend was read.
    pub fn poll(&self, backend: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.polls.get_or_create(&PollLabels { backend, result }).inc();
    }

    /// The circuit of a backend opens, or closes.
    pub fn circuit(&self, backend: &'static str, open: bool) {
        let circuits = self.circuits.get_or_create(&BackendLabels { backend });
        if open {
            circuits.inc();
        } else {
            circuits.dec();
        }
    }

    /// How many platforms are watched.
    pub fn platforms(&self, count: usize) {
        self.platforms.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether this operator leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The leadership changed.
    pub fn lease_transition(&self, event: &'static str) {
        self.lease_transitions.get_or_create(&EventLabels { event }).inc();
    }

    /// The Lease was read or written.
    pub fn lease_request(&self, verb: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.lease_requests
            .get_or_create(&LeaseLabels { verb, result })
            .inc();
    }

    /// A write was dropped because another operator leads.
    pub fn write_dropped(&self, kind: &'static str) {
        self.writes_dropped.get_or_create(&KindLabels { kind }).inc();
    }

    /// How many platforms wait because their last reconcile failed.
    pub fn platforms_failing(&self, count: usize) {
        self.platforms_failing
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// For how long a watch has failed.
    pub fn watch_failing(&self, watch: &str, time: Duration) {
        let watch = watch.to_owned();
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.watch_failing
            .get_or_create(&WatchLabels { watch })
            .set(seconds);
    }

    /// The webhook answered.
    pub fn admission(&self, result: &'static str) {
        self.admissions.get_or_create(&ResultLabels { result }).inc();
    }

    /// When the certificate ends that the webhook shows, in seconds since 1970.
    pub fn webhook_certificate_ends(&self, seconds: i64) {
        self.webhook_certificate_end.set(seconds);
    }

    /// The metrics as text.
    ///
    /// # Errors
    /// When a value cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
