//! What is shown of a platform: nodes with a state, a reason and the next step.

use serde::Serialize;

/// How a part of the platform is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// On its way; nothing to do yet.
    Waiting,
    /// Does not get better by waiting alone.
    Wrong,
    /// Could not be read.
    Unknown,
    /// Neither good nor bad.
    Info,
}

/// A part of the platform and its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is, for example `Deployment`.
    pub kind: String,
    /// Its name; empty for a group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How it is.
    pub state: State,
    /// One word or two for why it is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do about it, or where to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    pub(super) fn new(kind: &str, name: impl Into<String>, state: State) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
            state,
            reason: String::new(),
            message: String::new(),
            next: None,
            children: Vec::new(),
        }
    }

    pub(super) fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    pub(super) fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(super) fn with(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// A group takes the worst state of its parts.
    pub(super) fn group(kind: &str, children: Vec<Self>) -> Self {
        let state = worst(&children);
        Self::new(kind, "", state).with(children)
    }
}

/// The worst state among nodes.
pub(super) fn worst(nodes: &[Node]) -> State {
    let rank = |state| match state {
        State::Wrong => 4,
        State::Unknown => 3,
        State::Waiting => 2,
        State::Ok => 1,
        State::Info => 0,
    };
    nodes
        .iter()
        .map(|node| node.state)
        .max_by_key(|state| rank(*state))
        .unwrap_or(State::Info)
}
