//! Discovery.

use std::sync::Arc;

use serde_json::json;

use super::answer::Refusal;
use super::server::Answer;
use super::store::Store;

/// The lists of groups and resources.
pub(super) fn discovery(store: &Store, path: &str) -> Result<Answer, Refusal> {
    let segments: Vec<_> = path.split('/').collect();
    let resources = |group: &str, version: &str| {
        let of_group = store
            .kinds()
            .iter()
            .filter(|kind| kind.group == group && kind.version == version);
        let resources: Vec<_> = of_group
            .map(|kind| {
                json!({"name": kind.plural, "kind": kind.name, "namespaced": true, "singularName": "",
                               "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"]})
            })
            .collect();
        (!resources.is_empty()).then_some(resources)
    };
    let group = |name: &str| {
        let mut versions: Vec<_> = store
            .kinds()
            .iter()
            .filter(|k| k.group == name)
            .map(|k| &k.version)
            .collect();
        versions.dedup();
        let versions: Vec<_> = versions
            .iter()
            .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
    };
    let body = match segments.as_slice() {
        ["version"] => Some(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})),
        ["apis"] => {
            let mut groups: Vec<_> = store.kinds().iter().map(|kind| kind.group.as_str()).collect();
            groups.sort_unstable();
            groups.dedup();
            let groups: Vec<_> = groups
                .into_iter()
                .filter(|name| !name.is_empty())
                .map(group)
                .collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => store
            .kinds()
            .iter()
            .any(|kind| kind.group == *name)
            .then(|| group(name)),
        ["apis", name, version] => resources(name, version).map(|resources| {
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{name}/{version}"),
                   "resources": resources})
        }),
        ["api", version] => resources("", version).map(
            |resources| json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources}),
        ),
        _ => None,
    };
    let missing = Refusal {
        code: 404,
        reason: "NotFound",
        message: "the server could not find the requested resource".into(),
    };
    body.map(|body| Answer::Body(200, Arc::new(body))).ok_or(missing)
}
