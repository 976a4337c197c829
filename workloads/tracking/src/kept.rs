//! Timelines that are kept in the cache for some seconds.

use std::collections::HashMap;

use logistics_chassis::cache::{Cache, Item, Lease};
use logistics_chassis::projection::Head;
use logistics_schemas::Workload;
use logistics_schemas::config::PlatformIdentity;
use logistics_schemas::grpc::logistics::tracking::v1::GetTimelineResponse;
use prost::Message as _;
use uuid::Uuid;

/// The cache as this service uses it; does nothing where the platform has none.
#[derive(Clone, Debug)]
pub(crate) struct KeptTimelines {
    cache: Option<Cache>,
    prefix: String,
}

/// What is kept: the answer itself. Releases that run at the same time share it, so its fields follow the rules of the
/// contracts: none changes its meaning.
#[derive(Clone, PartialEq, prost::Message)]
struct Kept {
    /// Whose it is: immutable, and nobody else gets it.
    #[prost(string, tag = "1")]
    account_id: String,
    #[prost(message, optional, tag = "2")]
    timeline: Option<GetTimelineResponse>,
}

impl KeptTimelines {
    pub(crate) fn new(cache: Option<Cache>, platform: &PlatformIdentity) -> Self {
        let PlatformIdentity { namespace, name } = platform;
        Self {
            cache,
            prefix: format!("logistics:{namespace}:{name}:{}:timeline:", Workload::Tracking),
        }
    }

    fn key(&self, shipment: Uuid) -> String {
        format!("{}{shipment}", self.prefix)
    }

    /// Those of the account's timelines that are kept, and the lease with which others can be.
    pub(crate) async fn look(
        &self,
        shipments: &[Uuid],
        account_id: &str,
    ) -> (HashMap<Uuid, GetTimelineResponse>, Option<Lease>) {
        let Some(cache) = &self.cache else {
            return (HashMap::new(), None);
        };
        let keys: Vec<String> = shipments.iter().map(|shipment| self.key(*shipment)).collect();
        let found = cache.look(&keys).await;
        let read = |value: Vec<u8>| {
            let kept = Kept::decode(value.as_slice()).ok()?;
            kept.timeline.filter(|_| kept.account_id == account_id)
        };
        let kept = shipments
            .iter()
            .zip(found.values)
            .filter_map(|(shipment, value)| Some((*shipment, read(value?)?)));
        (kept.collect(), found.lease)
    }

    /// Keeps timelines of the account that were read under a lease, each with the position of its last event. Nobody waits for
    /// it.
    pub(crate) fn keep(
        &self,
        lease: Option<Lease>,
        account_id: &str,
        read: &[(Uuid, i64, &GetTimelineResponse)],
    ) {
        let (Some(cache), Some(lease)) = (self.cache.clone(), lease) else {
            return;
        };
        let item = |(shipment, seq, timeline): &(Uuid, i64, &GetTimelineResponse)| Item {
            key: self.key(*shipment),
            seq: *seq,
            value: Kept {
                account_id: account_id.to_owned(),
                timeline: Some((*timeline).clone()),
            }
            .encode_to_vec(),
        };
        let items: Vec<Item> = read.iter().map(item).collect();
        tokio::spawn(async move { cache.keep(lease, items).await });
    }

    /// Lets go of what tells less than these shipments' events.
    pub(crate) async fn supersede(&self, heads: Vec<Head>) {
        if let Some(cache) = &self.cache {
            let heads = heads.into_iter().map(|(shipment, seq)| (self.key(shipment), seq));
            cache.supersede(heads.collect()).await;
        }
    }
}
