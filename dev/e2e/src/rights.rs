//! What the operator may do, by the roles that are bound to it, and what it has done, by the audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::audit::Request;
use crate::stage::OPERATOR_NAMESPACE;

/// A verb on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `resource.group`, as `kubectl auth can-i` takes it; `resource` in the core group.
    pub resource: String,
    /// For example `patch`.
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

impl Right {
    fn new(group: &str, resource: &str, verb: &str) -> Self {
        let resource = match (group, resource.split_once('/')) {
            ("", _) => resource.to_owned(),
            (group, None) => format!("{resource}.{group}"),
            (group, Some((resource, part))) => format!("{resource}.{group}/{part}"),
        };
        Self {
            resource,
            verb: verb.to_owned(),
        }
    }
}

/// Every right of the operator, with the roles that give it.
pub async fn granted(client: &Client) -> Result<BTreeMap<Right, String>> {
    let everything = ListParams::default();
    let mut bound: Vec<(RoleRef, String)> = Vec::new();
    for binding in Api::<ClusterRoleBinding>::all(client.clone())
        .list(&everything)
        .await?
    {
        if ours(binding.subjects.as_deref()) {
            bound.push((binding.role_ref, String::new()));
        }
    }
    for binding in Api::<RoleBinding>::all(client.clone()).list(&everything).await? {
        if ours(binding.subjects.as_deref()) {
            let namespace = binding.namespace().unwrap_or_default();
            bound.push((binding.role_ref, namespace));
        }
    }
    ensure!(!bound.is_empty(), "no role is bound to the operator");
    let mut granted = BTreeMap::new();
    for (role, namespace) in bound {
        let rules = if role.kind == "ClusterRole" {
            Api::<ClusterRole>::all(client.clone())
                .get(&role.name)
                .await?
                .rules
        } else {
            Api::<Role>::namespaced(client.clone(), &namespace)
                .get(&role.name)
                .await?
                .rules
        };
        for right in expand(&rules.unwrap_or_default())? {
            granted.insert(right, format!("{} {}", role.kind, role.name));
        }
    }
    Ok(granted)
}

fn ours(subjects: Option<&[Subject]>) -> bool {
    subjects.into_iter().flatten().any(|subject| {
        subject.kind == "ServiceAccount" && subject.namespace.as_deref() == Some(OPERATOR_NAMESPACE)
    })
}

fn expand(rules: &[PolicyRule]) -> Result<Vec<Right>> {
    let mut rights = Vec::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    if [group, resource, verb].contains(&&"*".to_owned()) {
                        bail!("a rule gives more than it says: {rule:?}");
                    }
                    rights.push(Right::new(group, resource, verb));
                }
            }
        }
    }
    Ok(rights)
}

/// The rights that requests needed.
#[must_use]
pub fn used(requests: &[Request]) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for request in requests.iter().filter(|request| request.code() != 403) {
        let about = &request.object_ref;
        let right = |verb: &str| Right::new(&about.api_group, &about.full_resource(), verb);
        used.insert(right(&request.verb));
        // An apply that makes an object needs both.
        if request.verb == "patch" && request.code() == 201 {
            used.insert(right("create"));
        }
    }
    used
}

/// Why a right may be without use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excuse {
    /// Whether a run may use it all the same: it depends on what happens at the same moment.
    pub by_chance: bool,
    /// In words.
    pub reason: String,
}

/// The rights that no run of the tests can use, or only by chance, each with its reason, from the lines
/// `VERB RESOURCE: REASON` and `by chance VERB RESOURCE: REASON`.
pub fn excused(text: &str) -> Result<BTreeMap<Right, Excuse>> {
    let mut excused = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (right, reason) = line
            .split_once(": ")
            .with_context(|| format!("`{line}`: no reason; write VERB RESOURCE: REASON"))?;
        let (by_chance, right) = match right.strip_prefix("by chance ") {
            Some(right) => (true, right),
            None => (false, right),
        };
        let (verb, resource) = right
            .split_once(' ')
            .with_context(|| format!("`{line}`: no resource; write VERB RESOURCE: REASON"))?;
        let right = Right {
            resource: resource.to_owned(),
            verb: verb.to_owned(),
        };
        let reason = reason.to_owned();
        excused.insert(right, Excuse { by_chance, reason });
    }
    Ok(excused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(verb: &str, group: &str, resource: &str, code: u16) -> Request {
        serde_json::from_value(json!({
            "stage": "ResponseComplete", "verb": verb, "user": {"username": "u"},
            "objectRef": {"apiGroup": group, "resource": resource, "subresource": "status"},
            "responseStatus": {"code": code},
        }))
        .expect("a request")
    }

    #[test]
    fn an_apply_that_makes_an_object_needs_the_right_to_create() {
        let of = |code| {
            let rights = used(&[request("patch", "apps", "deployments", code)]);
            rights.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (create, patch) = (
            "create deployments.apps/status".to_owned(),
            "patch deployments.apps/status".to_owned(),
        );
        assert_eq!(of(201), [create, patch.clone()]);
        assert_eq!(of(200), [patch]);
        assert!(of(403).is_empty());
    }

    #[test]
    fn a_rule_with_a_star_is_refused() {
        let rule = |verb: &str| PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".into()]),
            verbs: vec![verb.into()],
            ..PolicyRule::default()
        };
        assert!(expand(&[rule("*")]).is_err());
        assert_eq!(
            expand(&[rule("get")]).expect("rights"),
            [Right::new("", "secrets", "get")]
        );
    }

    #[test]
    fn every_excuse_needs_a_reason() {
        let read =
            excused("# a comment\n\nget pods: because\nby chance list pods: seldom\n").expect("excuses");
        let excuse = |by_chance, reason: &str| Excuse {
            by_chance,
            reason: reason.to_owned(),
        };
        let expected = [
            (Right::new("", "pods", "get"), excuse(false, "because")),
            (Right::new("", "pods", "list"), excuse(true, "seldom")),
        ];
        assert_eq!(read, BTreeMap::from(expected));
        assert!(excused("get pods").is_err());
    }
}
