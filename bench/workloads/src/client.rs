//! What is measured, as its clients see it: gRPC or REST.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use logistics_schemas::grpc::logistics::analytics::v1::{GetAccuracyRequest, ListLanesRequest};
use logistics_schemas::grpc::logistics::shipment::v1::RecordEventRequest;
use logistics_schemas::grpc::logistics::shipment::v1::shipment_service_client::ShipmentServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::tracking_service_client::TrackingServiceClient;
use logistics_schemas::grpc::logistics::tracking::v1::{GetProjectionRequest, GetTimelineRequest};
use serde_json::{Value, json};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::load::Job;

/// Connections of the generator, as if there were as many clients.
const CONNECTIONS: usize = 4;

/// A server.
pub(crate) enum Target {
    Grpc(Grpc),
    Rest(Rest),
}

impl Target {
    /// Makes the request with this number.
    pub(crate) async fn call(&self, job: &Job, number: u64) -> Result<()> {
        match job {
            Job::Create(prefix) => self.create(&format!("{prefix}-{number}")).await.map(drop),
            Job::Read(shipments) => {
                let at = usize::try_from(number)? % shipments.len();
                let shipment = shipments.get(at).context("there are no shipments")?;
                self.timeline(shipment).await
            }
        }
    }

    /// Creates a shipment, and gives its id.
    pub(crate) async fn create(&self, key: &str) -> Result<String> {
        match self {
            Self::Grpc(grpc) => grpc.create(key).await,
            Self::Rest(rest) => rest.create(key).await,
        }
    }

    /// Reads a timeline; it has to be whole.
    async fn timeline(&self, shipment_id: &str) -> Result<()> {
        let events = match self {
            Self::Grpc(grpc) => grpc.timeline(shipment_id).await?,
            Self::Rest(rest) => rest.timeline(shipment_id).await?,
        };
        ensure!(
            events == crate::projection::EVENTS,
            "the timeline of {shipment_id} has {events} events"
        );
        Ok(())
    }
}

/// A server that speaks gRPC.
pub(crate) struct Grpc {
    channels: Vec<Channel>,
    next: AtomicUsize,
    bearer: MetadataValue<Ascii>,
}

impl Grpc {
    /// Connects when it is used first.
    pub(crate) fn new(address: &str, bearer: MetadataValue<Ascii>) -> Result<Self> {
        let channel = || Ok(Channel::from_shared(format!("http://{address}"))?.connect_lazy());
        Ok(Self {
            channels: (0..CONNECTIONS).map(|_| channel()).collect::<Result<_>>()?,
            next: AtomicUsize::new(0),
            bearer,
        })
    }

    fn channel(&self) -> Channel {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        self.channels[at].clone()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", self.bearer.clone());
        request
    }

    async fn create(&self, key: &str) -> Result<String> {
        let request = self.request(logistics_testbed::order(key));
        let answer = ShipmentServiceClient::new(self.channel())
            .create_shipment(request)
            .await?;
        let shipment = answer.into_inner().shipment.context("no shipment")?;
        Ok(shipment.shipment_id)
    }

    /// Records a scan.
    pub(crate) async fn scan(&self, scan: RecordEventRequest) -> Result<()> {
        ShipmentServiceClient::new(self.channel())
            .record_event(self.request(scan))
            .await?;
        Ok(())
    }

    async fn timeline(&self, shipment_id: &str) -> Result<usize> {
        let request = GetTimelineRequest {
            shipment_id: shipment_id.to_owned(),
        };
        let answer = TrackingServiceClient::new(self.channel())
            .get_timeline(self.request(request))
            .await?;
        Ok(answer.get_ref().events.len())
    }

    /// Events that are projected.
    pub(crate) async fn projected(&self) -> Result<i64> {
        let answer = TrackingServiceClient::new(self.channel())
            .get_projection(self.request(GetProjectionRequest {}))
            .await?;
        Ok(answer.get_ref().events)
    }

    /// Events that the analytics service has projected.
    pub(crate) async fn assessed(&self) -> Result<i64> {
        let answer = AnalyticsServiceClient::new(self.channel())
            .get_accuracy(self.request(GetAccuracyRequest {}))
            .await?;
        Ok(answer.get_ref().events)
    }

    /// Arrivals that it has learned from.
    pub(crate) async fn learned(&self) -> Result<i64> {
        let answer = AnalyticsServiceClient::new(self.channel())
            .list_lanes(self.request(ListLanesRequest { page_size: 100 }))
            .await?;
        Ok(answer.get_ref().lanes.iter().map(|lane| lane.arrivals).sum())
    }
}

/// A server that speaks JSON over HTTP/1.1.
pub(crate) struct Rest {
    client: reqwest::Client,
    base: String,
    bearer: String,
    /// An order without its key.
    order: Value,
}

impl Rest {
    pub(crate) fn new(address: &str, bearer: &MetadataValue<Ascii>) -> Result<Self> {
        let order = logistics_testbed::order("");
        let place = |code: &str| json!({"code": code, "facility": ""});
        let time = |time: Option<prost_types::Timestamp>| {
            let seconds = time.unwrap_or_default().seconds;
            chrono::DateTime::from_timestamp(seconds, 0).map(|time| time.to_rfc3339())
        };
        Ok(Self {
            client: reqwest::Client::builder().build()?,
            base: format!("http://{address}/v1/shipments"),
            bearer: bearer.to_str()?.to_owned(),
            order: json!({
                "carrier": order.carrier,
                "tracking_number": order.tracking_number,
                "origin": place(&order.origin.unwrap_or_default().code),
                "destination": place(&order.destination.unwrap_or_default().code),
                "planned_departure": time(order.planned_departure),
                "promised_arrival": time(order.promised_arrival),
            }),
        })
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .header(reqwest::header::AUTHORIZATION, &self.bearer)
            .send()
            .await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("{status}: {}", answer.text().await?);
        }
        Ok(answer.json().await?)
    }

    async fn create(&self, key: &str) -> Result<String> {
        let mut order = self.order.clone();
        order["idempotency_key"] = key.into();
        let answer = self.answer(self.client.post(&self.base).json(&order)).await?;
        let id = answer["shipment"]["shipment_id"].as_str();
        Ok(id.context("no shipment")?.to_owned())
    }

    async fn timeline(&self, shipment_id: &str) -> Result<usize> {
        let path = format!("{}/{shipment_id}/timeline", self.base);
        let answer = self.answer(self.client.get(path)).await?;
        Ok(answer["events"].as_array().map_or(0, Vec::len))
    }
}
