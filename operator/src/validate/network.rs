//! Checks of which connections pods take and make. Peers and rules are Kubernetes' own; the API server checks them.

use serde_json::Value;

use super::Findings;
use crate::api::{self, NetworkPolicyMode, Untyped};

/// Which connections pods take and make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidNetworkPolicy {
    /// Who may call the services; everybody when empty.
    pub from: Vec<Value>,
    /// Further rules for connections that pods make; `None` restricts none.
    pub egress: Option<Vec<Value>>,
}

pub(super) fn policy(policy: &api::NetworkPolicy, findings: &mut Findings) -> Option<ValidNetworkPolicy> {
    let disabled = policy.mode == NetworkPolicyMode::Disabled;
    for (field, given) in [
        ("spec.networkPolicy.from", !policy.from.is_empty()),
        ("spec.networkPolicy.egress", policy.egress.is_some()),
    ] {
        if disabled && given {
            findings.add(
                field,
                "set",
                "has no effect with mode Disabled; remove it, or set mode to Enabled",
            );
        }
    }
    let peers = ["podSelector", "namespaceSelector", "ipBlock"];
    known("spec.networkPolicy.from", &policy.from, &peers, findings);
    let also = policy.egress.as_ref().map(|egress| egress.also.as_slice());
    known(
        "spec.networkPolicy.egress.also",
        also.unwrap_or_default(),
        &["to", "ports"],
        findings,
    );
    let values = |list: &[Untyped]| list.iter().map(|item| Value::Object(item.0.clone())).collect();
    (!disabled).then(|| ValidNetworkPolicy {
        from: values(&policy.from),
        egress: also.map(values),
    })
}

/// A misspelt key would open what was meant to be closed: an empty peer matches everybody.
fn known(field: &str, items: &[Untyped], keys: &[&str], findings: &mut Findings) {
    for (index, item) in items.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if item.0.is_empty() {
            findings.add(&field, "{}", format!("is empty; give one of {}", keys.join(", ")));
        }
        for key in item.0.keys().filter(|key| !keys.contains(&key.as_str())) {
            findings.add(
                &format!("{field}.{key}"),
                key,
                format!("is not known; give one of {}", keys.join(", ")),
            );
        }
    }
}
