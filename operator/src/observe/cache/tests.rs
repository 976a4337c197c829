use std::sync::Arc;

use kube::core::DynamicObject;
use serde_json::json;

use super::Cache;
use crate::child::{ChildKind, Live};

fn live(name: &str, version: u64) -> Arc<Live> {
    live_in("n", name, version)
}

fn live_in(namespace: &str, name: &str, version: u64) -> Arc<Live> {
    let object: DynamicObject = serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("u-{name}"), "resourceVersion": version.to_string(),
            "ownerReferences": [{"apiVersion": "a", "kind": "K", "name": "p", "uid": "owner", "controller": true}],
        },
    }))
    .unwrap();
    Live::new(ChildKind::Service, object)
}

fn versions(cache: &Cache) -> Vec<u64> {
    cache
        .children("n", "owner", "p")
        .values()
        .map(|live| live.resource_version)
        .collect()
}

#[test]
fn the_newer_state_stays() {
    let cache = Cache::default();
    cache.put(live("a", 5));
    cache.put(live("a", 4));
    assert_eq!(
        versions(&cache),
        [5],
        "an event from before our write changes nothing"
    );
    cache.gone(&live("a", 4));
    assert_eq!(
        versions(&cache),
        [5],
        "nor does the deletion of an earlier object"
    );
    cache.gone(&live("a", 6));
    assert!(versions(&cache).is_empty());
}

#[test]
fn a_late_event_does_not_bring_back_what_we_deleted() {
    let cache = Cache::default();
    let object = live("a", 5);
    cache.put(object.clone());
    cache.deleted("n", &object.id, &object.uid);
    cache.put(live("a", 6));
    assert!(versions(&cache).is_empty());
    cache.gone(&live("a", 7));
    cache.put(live("a", 8));
    assert_eq!(versions(&cache), [8]);
}

#[test]
fn a_list_takes_out_what_it_does_not_show_unless_we_wrote_it_meanwhile() {
    let cache = Cache::default();
    cache.put(live("old", 3));
    cache.list_begins(ChildKind::Service, &None);
    cache.put(live("a", 5));
    let gone: Vec<_> = cache
        .list_ends(ChildKind::Service, &None)
        .iter()
        .map(|live| live.id.name.clone())
        .collect();
    assert_eq!(gone, ["old"]);
    assert_eq!(versions(&cache), [5]);
}

#[test]
fn a_list_of_a_namespace_tells_nothing_about_others() {
    let cache = Cache::default();
    let area = Some("n".to_owned());
    cache.put(live("gone", 3));
    cache.put(live_in("m", "elsewhere", 3));
    cache.list_begins(ChildKind::Service, &area);
    cache.put(live_in("m", "later", 9));
    cache.put(live("a", 5));
    let gone = cache.list_ends(ChildKind::Service, &area);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(versions(&cache), [5]);
    assert_eq!(cache.children("m", "owner", "p").len(), 2);
}

#[test]
fn a_child_belongs_to_its_owner_only() {
    let cache = Cache::default();
    cache.put(live("a", 5));
    assert!(cache.children("n", "somebody", "p").is_empty());
    assert!(cache.children("m", "owner", "p").is_empty());
}
