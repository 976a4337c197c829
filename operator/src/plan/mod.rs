//! The fourth step: what has to change, from what is observed and what is desired. Pure. What is applied is exactly this
//! value.

mod compare;

use std::collections::BTreeSet;
use std::fmt;

pub use compare::{Difference, differences, surplus};
use serde_json::Value;

use crate::backend::kafka::{self, Kafka};
use crate::backend::registry::{self, Registry};
use crate::backend::{Backend, BackendPlan, Reading};
use crate::child::{Child, ChildId, ChildKind, Live};
use crate::desire::Desired;
use crate::observe::Observed;
use crate::reason::Reason;

/// Everything that has to change.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Changes of Kubernetes objects, in order.
    pub children: Vec<Change>,
    /// Changes that cannot be made, with the remedy.
    pub blocked: Vec<Blocked>,
    /// Changes of topics.
    pub kafka: BackendPlan<kafka::Change>,
    /// Changes of subjects.
    pub registry: BackendPlan<registry::Change>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Plan {
    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.children.len() + self.kafka.changes.len() + self.registry.changes.len()
    }
}

/// A change of one Kubernetes object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The object.
    pub id: ChildId,
    /// What is done with it.
    pub action: Action,
}

/// What is done with an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make it; it must not exist.
    Create {
        /// The whole object.
        object: Value,
    },
    /// Let another field manager hold the number of pods, so that an autoscaler finds it as it is.
    HandOver {
        /// The object that is meant.
        uid: String,
        /// The number of pods.
        replicas: i64,
    },
    /// Bring our fields back.
    Update {
        /// The whole object.
        object: Value,
        /// The object that is meant.
        uid: String,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// Remove it.
    Delete {
        /// The object that is meant.
        uid: String,
        /// Why.
        why: &'static str,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Create { .. } => write!(f, "create {}", self.id),
            Action::Update { differences, .. } => {
                let paths: Vec<_> = differences
                    .iter()
                    .map(|difference| difference.path.as_str())
                    .collect();
                write!(f, "update {} ({})", self.id, paths.join(", "))
            }
            Action::HandOver { replicas, .. } => {
                write!(f, "hand over {} ({replicas} pods) to its autoscaler", self.id)
            }
            Action::Delete { why, .. } => write!(f, "delete {} ({why})", self.id),
        }
    }
}

/// A change that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The object.
    pub id: ChildId,
    /// A condition's reason.
    pub reason: Reason,
    /// Why, and what the user can do.
    pub message: String,
}

/// Makes the plan.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for child in &desired.children {
        match observed.children.get(&child.id) {
            None => plan.children.push(Change {
                id: child.id.clone(),
                action: Action::Create {
                    object: child.object.clone(),
                },
            }),
            // It is made again when it is gone.
            Some(live) if live.terminating => {}
            Some(live) => update(child, live, observed, &mut plan),
        }
    }
    prune(desired, observed, &mut plan);
    if let Reading::Seen(topics) = &observed.kafka {
        let lost = |topic: &&kafka::Topic| observed.topic_owner(&topic.name).is_none();
        let ours: Vec<_> = desired.topics.iter().filter(lost).cloned().collect();
        plan.kafka = Kafka::plan(&ours, topics);
    }
    if let Reading::Seen(subjects) = &observed.registry {
        // A topic's schema is its owner's too.
        let ours: Vec<_> = match observed.topic_owners().next() {
            None => desired.subjects.clone(),
            Some(_) => Vec::new(),
        };
        plan.registry = Registry::plan(&ours, subjects);
    }
    plan
}

fn update(child: &Child, live: &Live, observed: &Observed, plan: &mut Plan) {
    let mut found = differences(&child.object, &live.object);
    found.extend(surplus(&child.object, &live.object));
    if let Some(accepted) = observed.accepted.get(&child.id) {
        found.retain(|difference| !accepted.contains(difference));
    }
    // A Job's work is done once, with the template of that time.
    let is_spec = |difference: &Difference| difference.path.starts_with("spec");
    let former_template = child.id.kind == ChildKind::Job && found.iter().any(is_spec);
    if former_template {
        found.retain(|difference| !is_spec(difference));
    }
    let Some(first) = found.first() else { return };
    if let Some(fought) = observed.fights.get(&child.id)
        && found
            .iter()
            .all(|difference| fought.paths.contains(&difference.path))
    {
        plan.blocked.push(fought.blocked(&child.id));
        return;
    }
    if child.id.kind == ChildKind::Deployment
        && found
            .iter()
            .any(|d| d.path == "spec.replicas" && d.wanted.is_none())
    {
        plan.children.push(Change {
            id: child.id.clone(),
            action: Action::HandOver {
                uid: live.uid.clone(),
                replicas: live.number("/spec/replicas"),
            },
        });
    }
    let action = if replaced(child.id.kind, &found) {
        Action::Delete {
            uid: live.uid.clone(),
            why: "a field that cannot be changed differs; it is made again",
        }
    } else if child.id.kind == ChildKind::Deployment
        && found.iter().any(|d| d.path.starts_with("spec.selector"))
    {
        plan.blocked.push(Blocked {
            id: child.id.clone(),
            reason: Reason::ImmutableField,
            message: format!(
                "{}: {} differs and cannot be changed; delete the Deployment to have it made again",
                child.id, first.path
            ),
        });
        return;
    } else {
        let mut object = child.object.clone();
        if former_template {
            // The template of that time: another one would be refused, and with it what is to be brought back.
            object["spec"] = live.object["spec"].clone();
        }
        if child.id.kind == ChildKind::Secret {
            // A new password must not replace one that was written in the meantime: by a write whose answer was lost.
            object["metadata"]["resourceVersion"] = live.resource_version.to_string().into();
        }
        Action::Update {
            object,
            uid: live.uid.clone(),
            differences: found,
        }
    };
    plan.children.push(Change {
        id: child.id.clone(),
        action,
    });
}

/// Whether a difference is in a field that the API server never changes, in an object that can be made anew.
fn replaced(kind: ChildKind, found: &[Difference]) -> bool {
    let fields: &[&str] = match kind {
        ChildKind::ConfigMap => &["data", "immutable"],
        ChildKind::Secret => &["type"],
        ChildKind::ControllerRevision => &["data"],
        _ => &[],
    };
    let top = |difference: &Difference| difference.path.split('.').next().unwrap_or_default().to_owned();
    found
        .iter()
        .any(|difference| fields.contains(&top(difference).as_str()))
}

/// Removes what is ours and not wanted any more: what others depend on goes last.
fn prune(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let wanted: BTreeSet<_> = desired.children.iter().map(|child| &child.id).collect();
    let surplus = observed
        .children
        .values()
        .filter(|live| !live.terminating && !wanted.contains(&live.id) && !desired.retain.contains(&live.id));
    let mut surplus: Vec<_> = surplus.collect();
    surplus.sort_by_key(|live| std::cmp::Reverse(live.id.kind));
    plan.children.extend(surplus.into_iter().map(|live| Change {
        id: live.id.clone(),
        action: Action::Delete {
            uid: live.uid.clone(),
            why: "not wanted any more",
        },
    }));
}

#[cfg(test)]
mod tests;
