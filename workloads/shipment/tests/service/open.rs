//! What everybody may ask, without a token: health and reflection.

use anyhow::{Context as _, Result};
use logistics_shipment::MIGRATIONS;
use logistics_testbed::Testbed;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::Service;

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_are_open() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;

    let mut health = HealthClient::new(service.channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await?.into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(service.channel.clone());
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut answers = reflection
        .server_reflection_info(futures::stream::once(async { request }))
        .await?
        .into_inner();
    let answer = answers
        .message()
        .await?
        .context("no answer")?
        .message_response
        .context("empty")?;
    let MessageResponse::ListServicesResponse(list) = answer else {
        anyhow::bail!("{answer:?}");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(
        names.contains(&"logistics.shipment.v1.ShipmentService".to_owned()),
        "{names:?}"
    );
    service.stop().await
}
