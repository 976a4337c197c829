//! How many shipments and events each service has of an account.

use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result};
use logistics_schemas::grpc::logistics::analytics::v1::{GetAccuracyRequest, GetAccuracyResponse};
use logistics_schemas::grpc::logistics::shipment::v1::ListShipmentsRequest;
use logistics_schemas::grpc::logistics::tracking::v1::GetProjectionRequest;
use serde::Serialize;

use crate::call::{Caller, Services, patiently};

/// The largest page.
const PAGE: i32 = 500;

/// Shipments and events in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Shipments.
    pub shipments: i64,
    /// Events, creations included.
    pub events: i64,
    /// Events that were received but could not be applied.
    pub parked: i64,
}

/// What the shipment service has: every page of the account's shipments; a shipment's `seq` is how many events it has.
pub async fn shipment(services: &Services, caller: &Caller) -> Result<Count> {
    let mut count = Count::default();
    let mut page_token = String::new();
    loop {
        let request = ListShipmentsRequest {
            page_size: PAGE,
            page_token,
        };
        let page = patiently(&AtomicU64::new(0), || {
            let mut client = services.shipment.clone();
            let request = caller.plain(request.clone());
            async move { client.list_shipments(request).await }
        })
        .await
        .context("ListShipments")?;
        for shipment in &page.shipments {
            count.shipments += 1;
            count.events += shipment.seq;
        }
        if page.next_page_token.is_empty() {
            return Ok(count);
        }
        page_token = page.next_page_token;
    }
}

/// What tracking has projected.
pub async fn tracking(services: &Services, caller: &Caller) -> Result<Count> {
    let answer = patiently(&AtomicU64::new(0), || {
        let mut client = services.tracking.clone();
        let request = caller.plain(GetProjectionRequest {});
        async move { client.get_projection(request).await }
    })
    .await
    .context("GetProjection")?;
    Ok(Count {
        shipments: answer.shipments,
        events: answer.events,
        parked: answer.parked,
    })
}

/// What analytics has applied, and how good its estimates were.
pub async fn analytics(services: &Services, caller: &Caller) -> Result<(Count, GetAccuracyResponse)> {
    let answer = patiently(&AtomicU64::new(0), || {
        let mut client = services.analytics.clone();
        let request = caller.plain(GetAccuracyRequest {});
        async move { client.get_accuracy(request).await }
    })
    .await
    .context("GetAccuracy")?;
    let count = Count {
        shipments: answer.shipments,
        events: answer.events,
        parked: answer.parked,
    };
    Ok((count, answer))
}
