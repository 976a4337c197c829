//! Reads timelines: from the cache, else from the tables.

use std::collections::HashMap;

use logistics_chassis::errors::ServiceError;
use logistics_schemas::grpc::logistics::tracking::v1::GetTimelineResponse;
use sqlx::PgPool;
use uuid::Uuid;

use crate::gather::Gatherer;
use crate::kept::KeptTimelines;
use crate::store::{Asked, Timeline};
use crate::{store, view};

/// Reads timelines.
#[derive(Debug)]
pub(crate) struct Reader {
    pool: PgPool,
    gatherer: Gatherer,
    kept: KeptTimelines,
}

impl Reader {
    pub(crate) const fn new(pool: PgPool, gatherer: Gatherer, kept: KeptTimelines) -> Self {
        Self { pool, gatherer, kept }
    }

    /// The timeline of a shipment of the account.
    pub(crate) async fn one(&self, id: Uuid, account_id: &str) -> Result<GetTimelineResponse, ServiceError> {
        let (mut kept, lease) = self.kept.look(&[id], account_id).await;
        if let Some(timeline) = kept.remove(&id) {
            return Ok(timeline);
        }
        let timeline = self.gatherer.timeline(id, account_id).await?;
        let answer = view::timeline(&timeline);
        self.kept
            .keep(lease, account_id, &[(id, timeline.head(), &answer)]);
        Ok(answer)
    }

    /// Those of the shipments' timelines that are of the account.
    pub(crate) async fn many(
        &self,
        ids: &[Uuid],
        account_id: &str,
    ) -> Result<HashMap<Uuid, GetTimelineResponse>, ServiceError> {
        let (mut answers, lease) = self.kept.look(ids, account_id).await;
        let asked = |id: &Uuid| Asked {
            shipment_id: *id,
            account_id: account_id.to_owned(),
        };
        let others: Vec<Asked> = ids
            .iter()
            .filter(|id| !answers.contains_key(id))
            .map(asked)
            .collect();
        if others.is_empty() {
            return Ok(answers);
        }
        let read = store::timelines(&self.pool, &others).await?;
        let read: Vec<(Uuid, i64, GetTimelineResponse)> = read.iter().flatten().map(answer).collect();
        let fresh: Vec<_> = read
            .iter()
            .map(|(id, head, answer)| (*id, *head, answer))
            .collect();
        self.kept.keep(lease, account_id, &fresh);
        answers.extend(read.into_iter().map(|(id, _, answer)| (id, answer)));
        Ok(answers)
    }
}

fn answer(timeline: &Timeline) -> (Uuid, i64, GetTimelineResponse) {
    (timeline.shipment.id, timeline.head(), view::timeline(timeline))
}
