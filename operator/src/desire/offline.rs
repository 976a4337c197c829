//! What a platform becomes once it has settled, computed without a cluster: for judges of what is rendered, and for
//! people who want to read it beforehand.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use logistics_schemas::Workload;
use serde_json::Value;

use super::desire;
use crate::child::{Child, ChildId, Live};
use crate::credential::Credentials;
use crate::observe::Observed;
use crate::release::{Migration, Release, WorkloadRelease};
use crate::revision;
use crate::validate::ValidPlatform;

/// All Kubernetes objects of a platform whose first release runs, is available and takes calls.
///
/// The generated passwords are placeholders. A platform that was never given to Kubernetes has no uid, and neither have
/// the owner references to it.
#[must_use]
pub fn offline(valid: &ValidPlatform) -> Vec<Value> {
    let credentials = Credentials::fixed("placeholder");
    let mut observed = Observed::empty(Timestamp::UNIX_EPOCH);
    let release = settled(valid, &credentials);
    let made = desire(valid, &observed, &release, &credentials);
    // Of what exists some fields are others': the number of pods is the autoscaler's.
    observed.children = made.children.into_iter().filter_map(exists).collect();
    let desired = desire(valid, &observed, &release, &credentials);
    desired.children.into_iter().map(|child| child.object).collect()
}

fn exists(child: Child) -> Option<(ChildId, Arc<Live>)> {
    let object = serde_json::from_value(child.object).ok()?;
    Some((child.id.clone(), Live::new(child.id.kind, object)))
}

/// The decision when there is nothing left to decide.
fn settled(valid: &ValidPlatform, credentials: &Credentials) -> Release {
    let revisions = revision::revisions(valid);
    let of = |workload: Workload| {
        let target = revisions.of(workload).to_owned();
        WorkloadRelease {
            serving: Some(target.clone()),
            run: vec![target.clone()],
            route: target.clone(),
            available: true,
            target,
        }
    };
    Release {
        migration_hash: revision::migration(valid, &credentials.ids()),
        migrate: true,
        migration: Migration::Complete,
        waits_for: None,
        workloads: Workload::ALL.into_iter().map(|w| (w, of(w))).collect(),
        revisions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Reading;
    use crate::fixture::{self, Cluster};

    fn without_passwords(objects: Vec<Value>) -> Vec<Value> {
        let mut objects: Vec<_> = objects.into_iter().filter(|o| o["kind"] != "Secret").collect();
        objects.sort_by_key(|object| format!("{}/{}", object["kind"], object["metadata"]["name"]));
        objects
    }

    /// A platform that came up step by step on a cluster consists of the same objects.
    #[test]
    fn it_is_what_a_platform_becomes() {
        let valid = fixture::valid();
        let mut cluster = Cluster::empty();
        cluster.fresh = Credentials::fixed("placeholder");
        cluster.observed.kafka = Reading::Seen(Arc::new(fixture::topics(&valid)));
        cluster.observed.registry = Reading::Seen(Arc::new(fixture::subjects(&valid)));
        cluster.step(&valid);
        cluster.migrate();
        cluster.step(&valid);
        cluster.start();
        let (release, desired) = cluster.decide(&valid);
        assert!(release.waits_for.is_none());
        let grown = desired.children.into_iter().map(|child| child.object).collect();
        assert_eq!(without_passwords(offline(&valid)), without_passwords(grown));
    }
}
