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
            "labels": {"app.kubernetes.io/instance": "p"},
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
    cache.writing().put(live("a", 5));
    cache.writing().put(live("a", 4));
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
    cache.writing().put(object.clone());
    cache.deleted("n", &object.id, &object.uid);
    cache.writing().put(live("a", 6));
    assert!(versions(&cache).is_empty());
    cache.gone(&live("a", 7));
    cache.writing().put(live("a", 8));
    assert_eq!(versions(&cache), [8]);
}

#[test]
fn a_list_takes_out_what_it_does_not_show_unless_we_wrote_it_meanwhile() {
    let cache = Cache::default();
    cache.writing().put(live("old", 3));
    cache.list_begins(ChildKind::Service, &None);
    cache.writing().put(live("a", 5));
    let gone: Vec<_> = cache
        .list_ends(ChildKind::Service, &None)
        .iter()
        .map(|platform| platform.name.clone())
        .collect();
    assert_eq!(gone, ["p"]);
    assert_eq!(versions(&cache), [5]);
}

/// The newest object of all may have been deleted while the watch was broken.
#[test]
fn what_a_list_does_not_show_is_gone_however_new_it_was() {
    let cache = Cache::default();
    cache.writing().put(live("a", 5));
    cache.writing().put(live("gone", 9));
    cache.list_begins(ChildKind::Service, &None);
    cache.writing().put(live("a", 5));
    assert_eq!(cache.list_ends(ChildKind::Service, &None).len(), 1);
    assert_eq!(versions(&cache), [5]);
}

#[test]
fn a_list_of_a_namespace_tells_nothing_about_others() {
    let cache = Cache::default();
    let area = Some("n".to_owned());
    cache.writing().put(live("gone", 3));
    cache.writing().put(live_in("m", "elsewhere", 3));
    cache.list_begins(ChildKind::Service, &area);
    cache.writing().put(live_in("m", "later", 9));
    cache.writing().put(live("a", 5));
    let gone = cache.list_ends(ChildKind::Service, &area);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(versions(&cache), [5]);
    assert_eq!(cache.children("m", "owner", "p").len(), 2);
}

#[test]
fn a_child_belongs_to_its_owner_only() {
    let cache = Cache::default();
    cache.writing().put(live("a", 5));
    assert!(cache.children("n", "somebody", "p").is_empty());
    assert!(cache.children("m", "owner", "p").is_empty());
}

#[test]
fn an_object_comes_back_as_it_was_put_in() {
    let cache = Cache::default();
    let one = live("a", 5);
    cache.writing().put(one.clone());
    cache.writing().put(live("b", 6));
    let children = cache.children("n", "owner", "p");
    assert_eq!(children.get(&one.id), Some(&one));
    assert_eq!(children.len(), 2);
}

#[test]
fn an_event_that_changes_nothing_that_is_read_wakes_nobody() {
    let cache = Cache::default();
    let woken = |live: &Live| cache.seen(live).len();
    assert_eq!(woken(&live("a", 5)), 1);
    assert_eq!(woken(&live("a", 6)), 0, "only its place in history changed");
    assert_eq!(versions(&cache), [6]);
    assert_eq!(woken(&live("a", 4)), 0, "a late event");
    let mut labelled = Live::clone(&live("a", 7));
    labelled.object["metadata"]["labels"]["x"] = "y".into();
    assert_eq!(woken(&labelled), 1);
}

#[test]
fn what_we_wrote_is_news_when_the_watch_shows_it() {
    let cache = Cache::default();
    cache.writing().put(live("a", 5));
    assert_eq!(cache.seen(&live("a", 5)).len(), 1);
    assert_eq!(cache.seen(&live("a", 5)).len(), 0);
    cache.writing().put(live("a", 5));
    assert_eq!(
        cache.seen(&live("a", 6)).len(),
        0,
        "an answer that comes after its event"
    );
}

#[test]
fn an_object_that_changes_hands_wakes_both_platforms() {
    let cache = Cache::default();
    let one = live("a", 5);
    cache.seen(&one);
    let mut taken = Live::clone(&live("a", 6));
    taken.object["metadata"]["labels"][crate::names::INSTANCE] = "q".into();
    taken.object["metadata"]["ownerReferences"][0]["uid"] = "other".into();
    let taken = Live::restore(ChildKind::Service, 6, taken.object);
    let woken: Vec<_> = cache
        .seen(&taken)
        .into_iter()
        .map(|platform| platform.name)
        .collect();
    assert_eq!(woken, ["p", "q"]);
    assert!(cache.children("n", "owner", "p").is_empty());
    assert_eq!(cache.children("n", "other", "q").len(), 1);
}

#[test]
fn a_late_answer_does_not_bring_back_what_is_gone() {
    let cache = Cache::default();
    let writing = cache.writing();
    cache.seen(&live("a", 5));
    cache.gone(&live("a", 6));
    writing.put(live("a", 5));
    assert!(
        versions(&cache).is_empty(),
        "the watch tells nothing of it any more"
    );

    let another = cache.writing();
    drop(writing);
    another.put(live("a", 5));
    assert!(versions(&cache).is_empty());
    another.put(live("b", 7));
    assert_eq!(versions(&cache), [7]);
}

#[test]
fn a_late_answer_does_not_bring_back_what_a_list_did_not_show() {
    let cache = Cache::default();
    let writing = cache.writing();
    cache.list_begins(ChildKind::Service, &None);
    cache.list_ends(ChildKind::Service, &None);
    writing.put(live("a", 5));
    assert!(versions(&cache).is_empty());
    // Written after the list.
    cache.writing().put(live("a", 8));
    assert_eq!(versions(&cache), [8]);
}
