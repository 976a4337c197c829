//! Watches.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::server::shown;
use super::store::{Entry, Key, Store};

/// How often a watch that has nothing to tell says how far it is.
const BOOKMARK: Duration = Duration::from_secs(50);

/// Which objects are meant.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    plural: String,
    namespace: Option<String>,
    /// A label, its value, and whether it has to be that or must not.
    labels: Vec<(String, String, bool)>,
    name: Option<String>,
}

impl Selector {
    pub(crate) fn new(plural: String, namespace: Option<String>, labels: &str, fields: &str) -> Self {
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.trim_start_matches('=').to_owned()))
                .collect()
        };
        let labels = pairs(labels)
            .into_iter()
            .map(|(name, value)| match name.strip_suffix('!') {
                Some(name) => (name.to_owned(), value, false),
                None => (name, value, true),
            });
        let name = pairs(fields)
            .into_iter()
            .find(|(name, _)| name == "metadata.name");
        Self {
            plural,
            namespace,
            labels: labels.collect(),
            name: name.map(|(_, value)| value),
        }
    }

    fn is_about(&self, plural: &str, namespace: &str) -> bool {
        self.plural == plural && self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
    }

    fn fits(&self, object: &Value) -> bool {
        let meta = &object["metadata"];
        self.name.as_deref().is_none_or(|name| meta["name"] == name)
            && self
                .labels
                .iter()
                .all(|(label, value, equal)| (meta["labels"][label.as_str()] == value.as_str()) == *equal)
    }

    /// Whether an object is meant.
    pub(crate) fn selects(&self, key: &Key, object: &Value) -> bool {
        self.is_about(&key.plural, &key.namespace) && self.fits(object)
    }
}

/// A watch that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Of which objects.
    pub selector: Selector,
    /// From which version of the history on.
    pub from: u64,
    /// Whether only metadata is wanted.
    pub metadata_only: bool,
    /// When it ends.
    pub timeout: Duration,
}

/// One line of a watch.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub event: &'static str,
    /// The object.
    pub key: Key,
    /// Its version.
    pub version: u64,
    /// The line.
    pub line: String,
}

/// The lines of a watch.
pub(crate) fn watch(store: Arc<Store>, watch: Watch) -> impl Stream<Item = Told> + Send {
    let changes = store.changes();
    let end = Instant::now() + watch.timeout;
    let state = (store, watch, changes, Vec::<Told>::new(), false);
    stream::unfold(
        state,
        move |(store, mut watch, mut changes, mut ready, over)| async move {
            if over {
                return None;
            }
            loop {
                if !ready.is_empty() {
                    let next = ready.remove(0);
                    return Some((next, (store, watch, changes, ready, false)));
                }
                let selector = &watch.selector;
                match store.since(watch.from, |entry| {
                    selector.is_about(&entry.plural, &entry.namespace)
                }) {
                    Err(refusal) => {
                        let told = told("ERROR", &watch, "", 0, &refusal.to_json());
                        return Some((told, (store, watch, changes, ready, true)));
                    }
                    Ok((entries, newest)) => {
                        ready.extend(entries.iter().filter_map(|entry| tell(&watch, entry)));
                        watch.from = watch.from.max(newest);
                    }
                }
                if ready.is_empty() {
                    tokio::select! {
                        biased;
                        changed = changes.changed() => { changed.ok()?; }
                        () = tokio::time::sleep_until(end) => return None,
                        () = tokio::time::sleep(BOOKMARK) => {
                            let bookmark = json!({"metadata": {"resourceVersion": watch.from.to_string()}});
                            ready.push(told("BOOKMARK", &watch, "", watch.from, &bookmark));
                        }
                    }
                }
            }
        },
    )
}

fn told(event: &'static str, watch: &Watch, name: &str, version: u64, object: &Value) -> Told {
    let mut object = object.clone();
    if event == "BOOKMARK" {
        // Its kind is the watched one's; clients do not look at it.
        object["kind"] = "Bookmark".into();
        object["apiVersion"] = "v1".into();
    }
    let key = Key {
        plural: watch.selector.plural.clone(),
        namespace: object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        name: name.to_owned(),
    };
    let line = format!("{}\n", json!({"type": event, "object": object}));
    Told {
        event,
        key,
        version,
        line,
    }
}

/// What a change is to a watch: an object that does not fit any more is gone, and one that fits now is new.
fn tell(watch: &Watch, entry: &Entry) -> Option<Told> {
    let selector = &watch.selector;
    if !selector.is_about(&entry.plural, &entry.namespace) {
        return None;
    }
    let before = entry.before.as_ref().is_some_and(|before| selector.fits(before));
    let after = !entry.gone && selector.fits(&entry.after);
    let event = match (before, after) {
        (false, true) => "ADDED",
        (true, true) => "MODIFIED",
        (true, false) => "DELETED",
        (false, false) => return None,
    };
    let mut object = shown(&entry.after, watch.metadata_only);
    if event == "DELETED" && !entry.gone {
        // The object as it fitted last, at the version at which it did not any more.
        let version = object["metadata"]["resourceVersion"].clone();
        object = shown(entry.before.as_deref()?, watch.metadata_only);
        object["metadata"]["resourceVersion"] = version;
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Some(told(event, watch, &name, entry.version, &object))
}
