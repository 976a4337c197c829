//! Warnings that Kubernetes and the operator have sent about a platform. Pure.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;

use super::gather::Snapshot;
use super::tree::{Node, State};
use crate::redact::text as redacted;

/// Most Warnings that are shown.
const WARNINGS: usize = 8;

/// How old a Warning may be, in seconds.
const RECENT_SECONDS: i64 = 3600;

/// Warnings of the last hour, the newest first; each kind of them once for each object.
pub(super) fn nodes(snapshot: &Snapshot) -> Vec<Node> {
    let now = snapshot.now.as_second();
    let mut recent: Vec<(i64, &Event)> = snapshot
        .warnings
        .iter()
        .filter_map(|event| Some((time(event)?.as_second(), event)))
        .filter(|(time, _)| now - time < RECENT_SECONDS)
        .collect();
    recent.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let mut nodes: Vec<Node> = Vec::new();
    for (time, event) in recent {
        let about = &event.involved_object;
        let name = format!(
            "{} {}",
            about.kind.as_deref().unwrap_or_default(),
            about.name.as_deref().unwrap_or_default()
        );
        let reason = event.reason.clone().unwrap_or_default();
        if nodes.len() >= WARNINGS
            || nodes
                .iter()
                .any(|node| node.name == name && node.reason == reason)
        {
            continue;
        }
        let count = event
            .series
            .as_ref()
            .and_then(|series| series.count)
            .or(event.count)
            .unwrap_or(1);
        let message = redacted(event.message.as_deref().unwrap_or_default());
        let often = if count > 1 {
            format!(", {count} times")
        } else {
            String::new()
        };
        nodes.push(
            Node::new("Warning", name, State::Info)
                .reason(reason)
                .message(format!("{message} ({} ago{often})", ago(now - time))),
        );
    }
    nodes
}

fn time(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series
        .or(last)
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or(made)
}

fn ago(seconds: i64) -> String {
    if seconds < 60 {
        format!("{} s", seconds.max(0))
    } else {
        format!("{} min", seconds / 60)
    }
}
