//! One condition for each concern, and Ready, Progressing and Degraded from them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use logistics_schemas::Workload;

use super::{Conditions, Facts, optional};
use crate::backend::{BackendError, Reading, Refused};
use crate::child::ChildKind;
use crate::names::Names;
use crate::reason::Reason;
use crate::release::Migration;

/// The conditions on which Ready depends, in the order in which a release needs them.
const CONCERNS: [&str; 4] = ["KafkaReady", "SchemasReady", "DatabaseReady", "WorkloadsReady"];

pub(super) fn all(facts: Facts<'_>, conditions: &mut Conditions) {
    let mut findings = [kafka(facts), schemas(facts), database(facts), workloads(facts)];
    for (kind, finding) in CONCERNS.into_iter().zip(&mut findings) {
        if finding.status.is_none() {
            finding.keep(conditions.former(kind));
        }
    }
    let first = findings.iter().find(|finding| finding.status != Some(true));
    match first {
        None => conditions.set(
            "Ready",
            Some(true),
            Reason::Ready,
            "all workloads of the release take calls",
        ),
        Some(finding) => conditions.set("Ready", Some(false), finding.reason, &finding.message),
    }
    progressing(facts, conditions);
    degraded(facts, &findings, conditions);
    for (kind, finding) in CONCERNS.into_iter().zip(&findings) {
        conditions.set(kind, finding.status, finding.reason, &finding.message);
    }
    for (kind, finding) in [
        ("MonitoringReady", optional::monitoring(facts)),
        ("ScalingReady", optional::scaling(facts)),
    ] {
        match finding {
            Some(finding) => conditions.set(kind, finding.status, finding.reason, &finding.message),
            None => conditions.clear(kind),
        }
    }
}

/// What is said about a concern.
pub(super) struct Finding {
    pub(super) status: Option<bool>,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Whether the platform is worse than it should be, and does not get better by waiting alone.
    wrong: bool,
}

impl Finding {
    pub(super) fn good(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Some(true),
            reason,
            message: message.into(),
            wrong: false,
        }
    }

    fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Some(false),
            reason,
            message: message.into(),
            wrong: false,
        }
    }

    pub(super) fn wrong(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: Some(false),
            reason,
            message: message.into(),
            wrong: true,
        }
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self {
            status: None,
            reason: Reason::Reading,
            message: message.into(),
            wrong: false,
        }
    }

    /// What was said last goes on holding while a new reading is under way, after a restart for example.
    fn keep(&mut self, former: Option<&Condition>) {
        let Some(former) = former.filter(|former| former.status != "Unknown") else {
            return;
        };
        // An older operator may have said something that this one does not know.
        let Some(reason) = Reason::parse(&former.reason) else {
            return;
        };
        self.status = Some(former.status == "True");
        self.reason = reason;
        self.message.clone_from(&former.message);
    }
}

fn outside<T>(reading: &Reading<T>, error: Option<&BackendError>, what: &str) -> Option<Finding> {
    match (reading, error) {
        (_, Some(error)) | (Reading::Failed(error), None) => {
            Some(Finding::wrong(error.reason, &error.message))
        }
        (Reading::Pending, None) => Some(Finding::unknown(format!("{what} are being read"))),
        (Reading::Seen(_), None) => None,
    }
}

fn refusals(refused: &[Refused]) -> Option<Finding> {
    let first = refused.first()?;
    let messages: Vec<_> = refused.iter().map(|refused| refused.message.as_str()).collect();
    Some(Finding::wrong(first.reason, messages.join("; ")))
}

fn kafka(facts: Facts<'_>) -> Finding {
    if let Some((topic, owner)) = facts.observed.topic_owners().next() {
        let message = format!(
            "topic {topic} belongs to LogisticsPlatform {owner}, which is older; set another spec.kafka.topicPrefix"
        );
        return Finding::wrong(Reason::TopicConflict, message);
    }
    if let Some(finding) = outside(
        &facts.observed.kafka,
        facts.applied.kafka_error.as_ref(),
        "topics",
    ) {
        return finding;
    }
    let Reading::Seen(seen) = &facts.observed.kafka else {
        return Finding::unknown("topics are being read");
    };
    let topics = crate::backend::kafka::wanted(facts.valid);
    let plan = <crate::backend::kafka::Kafka as crate::backend::Backend>::plan(&topics, seen);
    if let Some(finding) = refusals(&plan.refused) {
        return finding;
    }
    match plan.changes.first() {
        Some(change) => Finding::waiting(Reason::Applying, format!("next: {change}")),
        None => Finding::good(
            Reason::TopicsReady,
            format!("{} topics are as wanted", topics.len()),
        ),
    }
}

fn schemas(facts: Facts<'_>) -> Finding {
    if let Some(finding) = outside(
        &facts.observed.registry,
        facts.applied.registry_error.as_ref(),
        "subjects",
    ) {
        return finding;
    }
    let Reading::Seen(seen) = &facts.observed.registry else {
        return Finding::unknown("subjects are being read");
    };
    let subjects = crate::backend::registry::wanted(facts.valid);
    let plan = <crate::backend::registry::Registry as crate::backend::Backend>::plan(&subjects, seen);
    if let Some(finding) = refusals(&plan.refused) {
        return finding;
    }
    match plan.changes.first() {
        Some(change) => Finding::waiting(Reason::Applying, format!("next: {change}")),
        None => Finding::good(
            Reason::SubjectsReady,
            format!("{} schemas are registered", subjects.len()),
        ),
    }
}

fn database(facts: Facts<'_>) -> Finding {
    if let Some(owner) = facts.observed.database_owner() {
        let database = &facts.valid.database;
        let message = format!(
            "database {} on {} belongs to LogisticsPlatform {owner}, which is older; set another spec.database.name",
            database.name, database.host
        );
        return Finding::wrong(Reason::DatabaseConflict, message);
    }
    let migration = migration(facts);
    match &facts.observed.postgres {
        Reading::Failed(error) => {
            let mut message = error.message.clone();
            if error.reason == Reason::Unreachable {
                message.push_str("; pods that run are not touched");
            }
            // It is why the migration does not get on, and both are to be known.
            if migration.status != Some(true) && migration.message != error.message {
                message = format!("{message}; {}", migration.message);
            }
            Finding::wrong(error.reason, message)
        }
        // What the migration says holds as long as it is not done; then only the server can be a concern.
        Reading::Pending if migration.status == Some(true) => {
            Finding::unknown("the database's server is being asked")
        }
        Reading::Pending | Reading::Seen(_) => migration,
    }
}

fn migration(facts: Facts<'_>) -> Finding {
    let names = Names(&facts.valid.identity);
    let job = names.migrate_job(&facts.release.migration_hash);
    let logs = format!("kubectl logs -n {} job/{job}", facts.valid.identity.namespace);
    match &facts.release.migration {
        Migration::Complete => Finding::good(Reason::Migrated, "the database is at the release's schema"),
        Migration::Running => Finding::waiting(
            Reason::Migrating,
            format!("Job {job} migrates the database; see {logs}"),
        ),
        Migration::Failed { message, .. } => Finding::wrong(
            Reason::MigrationFailed,
            format!("Job {job} failed: {message}; see {logs}; it is tried again every two minutes"),
        ),
        Migration::NotStarted => match &facts.release.waits_for {
            Some(waits_for) if !facts.observed.missing.is_empty() => {
                Finding::wrong(Reason::ReferenceMissing, waits_for.clone())
            }
            Some(waits_for) => Finding::waiting(Reason::Waiting, waits_for.clone()),
            None => Finding::waiting(Reason::Migrating, format!("Job {job} is being made")),
        },
    }
}

fn workloads(facts: Facts<'_>) -> Finding {
    if let Some(blocked) = facts.applied.failed.first() {
        return Finding::wrong(blocked.reason, &blocked.message);
    }
    if !facts.observed.missing.is_empty() {
        return Finding::wrong(Reason::ReferenceMissing, facts.observed.missing.join("; "));
    }
    let waiting: Vec<_> = Workload::ALL
        .into_iter()
        .filter_map(|workload| unavailable(facts, workload))
        .collect();
    if let Some(stuck) = waiting.iter().find(|unavailable| unavailable.stuck) {
        return Finding::wrong(Reason::ProgressDeadlineExceeded, &stuck.message);
    }
    if let Some(first) = waiting.first() {
        let messages: Vec<_> = waiting
            .iter()
            .map(|unavailable| unavailable.message.as_str())
            .collect();
        let reason = if first.started {
            Reason::Deploying
        } else {
            Reason::Waiting
        };
        return Finding::waiting(reason, messages.join("; "));
    }
    if facts.release.settled() {
        Finding::good(Reason::Available, "all pods of all workloads are available")
    } else {
        Finding::waiting(Reason::Switching, "calls move to the new revision")
    }
}

struct Unavailable {
    message: String,
    started: bool,
    stuck: bool,
}

fn unavailable(facts: Facts<'_>, workload: Workload) -> Option<Unavailable> {
    let release = facts.release.workloads.get(&workload)?;
    if release.available {
        return None;
    }
    let name = Names(&facts.valid.identity).revision(workload, &release.target);
    let Some(live) = facts.observed.child(ChildKind::Deployment, &name) else {
        let waits_for = facts
            .release
            .waits_for
            .clone()
            .unwrap_or_else(|| "Deployment is being made".into());
        return Some(Unavailable {
            message: format!("{workload}: {waits_for}"),
            started: false,
            stuck: false,
        });
    };
    let wanted = crate::release::wanted_replicas(facts.valid, workload, live);
    let available = live.number("/status/availableReplicas");
    let stuck = live
        .condition("Progressing")
        .filter(|c| c["reason"] == "ProgressDeadlineExceeded");
    let advice = if stuck.is_some() {
        format!("; see kubectl describe deployment {name}")
    } else {
        String::new()
    };
    Some(Unavailable {
        message: format!(
            "{workload}: {available} of {wanted} pods of Deployment {name} are available{advice}"
        ),
        started: true,
        stuck: stuck.is_some(),
    })
}

fn progressing(facts: Facts<'_>, conditions: &mut Conditions) {
    if let Some(held) = facts.applied.held {
        let message = format!("{held} changes are held back; set spec.suspend to false to have them made");
        conditions.set("Progressing", Some(false), Reason::Suspended, &message);
        return;
    }
    if facts.release.settled() {
        conditions.set(
            "Progressing",
            Some(false),
            Reason::Settled,
            "the release that the spec asks for takes calls",
        );
        return;
    }
    let message = facts
        .release
        .waits_for
        .clone()
        .unwrap_or_else(|| "new pods become available".into());
    conditions.set("Progressing", Some(true), Reason::Releasing, &message);
}

fn degraded(facts: Facts<'_>, findings: &[Finding], conditions: &mut Conditions) {
    let blocked = facts
        .applied
        .failed
        .first()
        .map(|blocked| (blocked.reason, blocked.message.as_str()));
    let wrong = findings
        .iter()
        .find(|finding| finding.wrong)
        .map(|f| (f.reason, f.message.as_str()));
    match blocked.or(wrong) {
        Some((reason, message)) => conditions.set("Degraded", Some(true), reason, message),
        None => conditions.set("Degraded", Some(false), Reason::AsExpected, "nothing is wrong"),
    }
}
