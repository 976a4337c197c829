//! Why a pod is not ready. Pure.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use logistics_operator::names::COMPONENT;
use serde_json::Value;

use super::tree::{Node, State};
use crate::redact::text as redacted;

/// How long a container may take to be made before that is worth a hint, in seconds.
const SLOW_SECONDS: i64 = 60;

/// Longest line of a container's last words.
const LAST_WORDS: usize = 240;

/// A node for a pod that is not ready; `None` for one that is.
pub(super) fn explain(pod: &Pod, now: Timestamp) -> Option<Node> {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if ready && pod.metadata.deletion_timestamp.is_none() {
        return None;
    }
    let node = |state| Node::new("Pod", pod.name_any(), state);
    let describe = format!(
        "kubectl describe pod -n {} {}",
        pod.namespace().unwrap_or_default(),
        pod.name_any()
    );
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(
            node(State::Waiting)
                .reason("Terminating")
                .message("is being stopped"),
        );
    }
    if status.phase.as_deref() == Some("Failed") {
        let reason = status.reason.unwrap_or_else(|| "Failed".into());
        let message = redacted(status.message.as_deref().unwrap_or_default());
        let wrong = node(State::Wrong).reason(reason).message(message);
        return Some(match last_words_of_all(pod) {
            Some(words) => wrong.next(format!("{words}; {}", logs(pod, None, false))),
            None => wrong.next(describe),
        });
    }
    if let Some(message) = unschedulable(pod) {
        let component = pod.labels().get(COMPONENT).map_or("WORKLOAD", String::as_str);
        return Some(
            node(State::Wrong)
                .reason("Unschedulable")
                .message(message)
                .next(format!(
                    "add room to the cluster, or lower spec.workloads.{component}.resources.requests"
                )),
        );
    }
    let inits = status.init_container_statuses.unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let unready = inits
        .iter()
        .chain(&containers)
        .find(|container| !container.ready && !completed(container));
    Some(match unready {
        Some(container) => of_container(pod, container, node, now, &describe),
        None => node(State::Waiting)
            .reason("Starting")
            .message("has no container yet")
            .next(describe),
    })
}

/// An init container that has done its work.
fn completed(container: &ContainerStatus) -> bool {
    let terminated = container
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    terminated.is_some_and(|terminated| terminated.exit_code == 0)
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(condition.message.clone().unwrap_or_default())
}

fn of_container(
    pod: &Pod,
    container: &ContainerStatus,
    node: impl Fn(State) -> Node,
    now: Timestamp,
    describe: &str,
) -> Node {
    let name = &container.name;
    let state = container.state.clone().unwrap_or_default();
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    if let Some(waiting) = state.waiting {
        let reason = waiting.reason.unwrap_or_else(|| "Waiting".into());
        let message = redacted(waiting.message.as_deref().unwrap_or_default());
        return match reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => node(State::Wrong)
                .reason(reason)
                .message(format!("{name}: {message}"))
                .next(format!(
                    "check that {} exists (spec.version, spec.image.repository) and that spec.image.pullSecrets may pull it",
                    container.image
                )),
            "CrashLoopBackOff" => {
                let ended = last.map_or_else(String::new, ended);
                let next = match last {
                    Some(last) if last.reason.as_deref() == Some("OOMKilled") => raise_memory(pod),
                    _ => logs(pod, Some(name), true),
                };
                node(State::Wrong)
                    .reason(reason)
                    .message(format!("{name} was started {} times{ended}", container.restart_count + 1))
                    .next(next)
            }
            "ContainerCreating" | "PodInitializing" => {
                let slow = age(pod, now) > SLOW_SECONDS;
                let made = node(State::Waiting).reason(reason).message(format!("{name} is being made"));
                if slow { made.next(describe) } else { made }
            }
            _ => node(State::Wrong).reason(reason).message(format!("{name}: {message}")).next(describe),
        };
    }
    if let Some(terminated) = state.terminated {
        let reason = terminated.reason.clone().unwrap_or_else(|| "Terminated".into());
        let next = if reason == "OOMKilled" {
            raise_memory(pod)
        } else {
            logs(pod, Some(name), false)
        };
        return node(State::Wrong)
            .reason(reason)
            .message(format!("{name}{}", ended(&terminated)))
            .next(next);
    }
    let before = last.map_or_else(String::new, |last| {
        format!("; before that it {}", ended(last).trim_start_matches([',', ' ']))
    });
    node(State::Waiting)
        .reason("NotReady")
        .message(format!("{name} runs, but is not ready{before}"))
        .next(logs(pod, Some(name), false))
}

fn age(pod: &Pod, now: Timestamp) -> i64 {
    let created = pod.metadata.creation_timestamp.as_ref();
    created.map_or(0, |created| now.as_second() - created.0.as_second())
}

fn raise_memory(pod: &Pod) -> String {
    let component = pod.labels().get(COMPONENT).map_or("WORKLOAD", String::as_str);
    format!("raise spec.workloads.{component}.resources.limits.memory")
}

fn logs(pod: &Pod, container: Option<&str>, previous: bool) -> String {
    let container = container.map_or_else(String::new, |name| format!(" -c {name}"));
    let previous = if previous { " --previous" } else { "" };
    format!(
        "kubectl logs -n {} {}{container}{previous}",
        pod.namespace().unwrap_or_default(),
        pod.name_any()
    )
}

/// How a container ended, with its last words.
fn ended(terminated: &ContainerStateTerminated) -> String {
    let reason = terminated.reason.as_deref().unwrap_or("Error");
    let how = if reason == "OOMKilled" {
        ", ended because it took more memory than its limit".to_owned()
    } else {
        format!(", ended with exit code {}", terminated.exit_code)
    };
    match last_words(terminated.message.as_deref().unwrap_or_default()) {
        Some(words) => format!("{how}: {words}"),
        None => how,
    }
}

fn last_words_of_all(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    let mut words = containers.filter_map(|container| {
        let terminated = container.state.as_ref()?.terminated.as_ref()?;
        (terminated.exit_code != 0).then(|| format!("{}{}", container.name, ended(terminated)))
    });
    words.next()
}

/// The last line that a container left, without the frame of a JSON log.
fn last_words(message: &str) -> Option<String> {
    let line = message
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    let text = match serde_json::from_str::<Value>(line) {
        Ok(json) => {
            let field = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
            let said = field("/fields/message")
                .or_else(|| field("/message"))
                .unwrap_or(line);
            let error = field("/fields/error").or_else(|| field("/error"));
            error.map_or_else(|| said.to_owned(), |error| format!("{said}: {error}"))
        }
        Err(_) => line.to_owned(),
    };
    let short: String = text.chars().take(LAST_WORDS).collect();
    Some(redacted(&short))
}

#[cfg(test)]
mod tests;
