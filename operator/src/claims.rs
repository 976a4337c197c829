//! What only one platform may have: a topic of a Kafka cluster, a database. Where two claim the same, the older platform has
//! it, and the other is told which one that is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use kube::ResourceExt;
use kube_runtime::reflector::ObjectRef;
use logistics_schemas::topics;

use crate::api::LogisticsPlatform;

/// Something that only one platform may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A topic, by the cluster's bootstrap servers and its name.
    Topic {
        /// `spec.kafka.bootstrapServers`.
        servers: String,
        /// Its name, prefix included.
        name: String,
    },
    /// A database, by server and name.
    Database {
        /// `host:port`.
        server: String,
        /// Its name.
        name: String,
    },
}

/// Everything that a platform claims, by its spec as it was written.
#[must_use]
pub fn of(platform: &LogisticsPlatform) -> BTreeSet<Claim> {
    let (kafka, database) = (&platform.spec.kafka, &platform.spec.database);
    let topic = |topic: &topics::Topic| Claim::Topic {
        servers: kafka.bootstrap_servers.clone(),
        name: topic.full_name(&kafka.topic_prefix),
    };
    let database = Claim::Database {
        server: format!("{}:{}", database.host, database.port),
        name: database.name.clone(),
    };
    topics::ALL.iter().map(topic).chain([database]).collect()
}

/// A platform in the order in which claims are decided: the oldest first, then by name.
type Claimant = (i64, String, String);

#[derive(Debug, Default)]
struct State {
    claims: HashMap<ObjectRef<LogisticsPlatform>, (Claimant, BTreeSet<Claim>)>,
    claimants: BTreeMap<Claim, BTreeSet<Claimant>>,
}

/// The claims of all platforms.
#[derive(Debug, Default)]
pub struct Claims(Mutex<State>);

impl Claims {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what a platform claims; returns the other platforms that this concerns.
    pub fn note(&self, platform: &LogisticsPlatform) -> Vec<ObjectRef<LogisticsPlatform>> {
        let created = platform.metadata.creation_timestamp.as_ref();
        let claimant = (
            created.map_or(0, |time| time.0.as_second()),
            platform.namespace().unwrap_or_default(),
            platform.name_any(),
        );
        let key = ObjectRef::from_obj(platform);
        let claims = of(platform);
        self.with(|state| {
            let same = state
                .claims
                .get(&key)
                .is_some_and(|known| *known == (claimant.clone(), claims.clone()));
            if same {
                return Vec::new();
            }
            let mut concerned = state.take_out(&key);
            for claim in &claims {
                let claimants = state.claimants.entry(claim.clone()).or_default();
                concerned.extend(claimants.iter().cloned());
                claimants.insert(claimant.clone());
            }
            state.claims.insert(key, (claimant.clone(), claims));
            concerned.remove(&claimant);
            concerned.iter().map(reference).collect()
        })
    }

    /// Forgets a platform that is gone; returns those that may now have what it had.
    pub fn forget(&self, platform: &ObjectRef<LogisticsPlatform>) -> Vec<ObjectRef<LogisticsPlatform>> {
        self.with(|state| state.take_out(platform).iter().map(reference).collect())
    }

    /// The claims of a platform that an older one has, with that one as `namespace/name`.
    #[must_use]
    pub fn lost(&self, platform: &ObjectRef<LogisticsPlatform>) -> BTreeMap<Claim, String> {
        self.with(|state| {
            let Some((claimant, claims)) = state.claims.get(platform) else {
                return BTreeMap::new();
            };
            let owner = |claim: &Claim| state.claimants.get(claim)?.first();
            claims
                .iter()
                .filter_map(|claim| Some((claim.clone(), owner(claim)?)))
                .filter(|(_, owner)| *owner != claimant)
                .map(|(claim, (_, namespace, name))| (claim, format!("{namespace}/{name}")))
                .collect()
        })
    }

    /// Whether another platform claims the same.
    #[must_use]
    pub fn is_shared(&self, claim: &Claim) -> bool {
        self.with(|state| {
            state
                .claimants
                .get(claim)
                .is_some_and(|claimants| claimants.len() > 1)
        })
    }
}

impl State {
    /// Removes a platform; returns who claims the same.
    fn take_out(&mut self, platform: &ObjectRef<LogisticsPlatform>) -> BTreeSet<Claimant> {
        let mut others = BTreeSet::new();
        let Some((claimant, claims)) = self.claims.remove(platform) else {
            return others;
        };
        for claim in claims {
            if let Some(claimants) = self.claimants.get_mut(&claim) {
                claimants.remove(&claimant);
                others.extend(claimants.iter().cloned());
                if claimants.is_empty() {
                    self.claimants.remove(&claim);
                }
            }
        }
        others
    }
}

fn reference((_, namespace, name): &Claimant) -> ObjectRef<LogisticsPlatform> {
    ObjectRef::new(name).within(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn platform(name: &str, created: &str, prefix: &str, database: &str) -> LogisticsPlatform {
        let mut platform = fixture::platform();
        platform.metadata.name = Some(name.into());
        platform.metadata.creation_timestamp = Some(serde_json::from_value(created.into()).unwrap());
        platform.spec.kafka.topic_prefix = prefix.into();
        platform.spec.database.name = database.into();
        platform
    }

    fn key(name: &str) -> ObjectRef<LogisticsPlatform> {
        ObjectRef::new(name).within("logistics")
    }

    #[test]
    fn the_older_platform_has_it_whoever_is_seen_first() {
        let old = platform("old", "2026-01-01T00:00:00Z", "x.", "a");
        let young = platform("young", "2026-01-02T00:00:00Z", "x.", "b");
        for order in [[&old, &young], [&young, &old]] {
            let claims = Claims::default();
            assert!(claims.note(order[0]).is_empty());
            assert_eq!(claims.note(order[1]), [ObjectRef::from_obj(order[0])]);
            assert!(claims.lost(&key("old")).is_empty());
            let lost = claims.lost(&key("young"));
            assert_eq!(lost.len(), topics::ALL.len());
            assert!(lost.values().all(|owner| owner == "logistics/old"));
        }
    }

    #[test]
    fn what_is_given_up_is_free() {
        let claims = Claims::default();
        claims.note(&platform("old", "2026-01-01T00:00:00Z", "x.", "a"));
        claims.note(&platform("young", "2026-01-02T00:00:00Z", "x.", "a"));
        assert_eq!(claims.lost(&key("young")).len(), topics::ALL.len() + 1);
        let moved = platform("old", "2026-01-01T00:00:00Z", "y.", "a");
        assert_eq!(claims.note(&moved), [key("young")]);
        assert_eq!(
            claims.lost(&key("young")).len(),
            1,
            "the database is still claimed"
        );
        assert_eq!(claims.forget(&key("old")), [key("young")]);
        assert!(claims.lost(&key("young")).is_empty());
    }

    #[test]
    fn what_is_said_again_concerns_nobody() {
        let claims = Claims::default();
        let old = platform("old", "2026-01-01T00:00:00Z", "x.", "a");
        claims.note(&old);
        claims.note(&platform("young", "2026-01-02T00:00:00Z", "x.", "a"));
        assert!(claims.note(&old).is_empty());
    }
}
