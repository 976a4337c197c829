//! Who may not call is refused by the service itself, and nothing is written.

use anyhow::Result;
use dev_rig::issuer::Issuer;
use logistics_schemas::grpc::logistics::r#type::v1::Status as ShipmentStatus;
use logistics_shipment::MIGRATIONS;
use logistics_testbed::{Testbed, bearer, order, scan};
use tonic::Code;

use crate::support::{Caller, Service, rows};

#[tokio::test(flavor = "multi_thread")]
async fn callers_without_a_good_token_are_refused() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let claims = testbed.issuer.claims("ann", &["admin"], "acme");
    let spoilt = |spoil: fn(&mut dev_rig::issuer::Claims)| {
        let mut claims = claims.clone();
        spoil(&mut claims);
        testbed.issuer.sign(&claims)
    };
    let stranger = Issuer::generate("https://issuer.test", "logistics")?;
    let cases = [
        ("no token", None),
        ("no JWT", Some(bearer("nonsense")?)),
        (
            "expired",
            Some(bearer(&spoilt(|claims| claims.exp = claims.iat - 60)?)?),
        ),
        (
            "wrong audience",
            Some(bearer(&spoilt(|claims| claims.aud = "other".to_owned())?)?),
        ),
        (
            "wrong issuer",
            Some(bearer(&spoilt(|claims| {
                claims.iss = "https://other".to_owned();
            })?)?),
        ),
        (
            "no account",
            Some(bearer(&spoilt(|claims| claims.account_id = String::new())?)?),
        ),
        ("another's key", Some(bearer(&stranger.sign(&claims)?)?)),
    ];
    for (name, bearer) in cases {
        let status = Caller::new(&service, bearer)
            .create(order("k"))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{name}: {status:?}");
    }

    let roles = [
        ("create", vec!["shipman"]),
        ("create", vec![]),
        ("record", vec!["user"]),
    ];
    for (rpc, roles) in roles {
        let caller = Caller::new(&service, Some(testbed.bearer("bob", &roles, "acme")?));
        let nobody = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";
        let status = if rpc == "create" {
            caller.create(order("k")).await.unwrap_err()
        } else {
            caller
                .record(scan("k", nobody, ShipmentStatus::PickedUp, 1_357_034_100))
                .await
                .unwrap_err()
        };
        assert_eq!(
            status.code(),
            Code::PermissionDenied,
            "{rpc} {roles:?}: {status:?}"
        );
    }
    assert_eq!(rows(&testbed).await?, "0|0|0");

    let metrics = reqwest::get(format!("{}/metrics", service.admin))
        .await?
        .text()
        .await?;
    let refused = r#"grpc_method="CreateShipment",grpc_code="Unauthenticated"} 7"#;
    assert!(metrics.contains(refused), "{metrics}");
    service.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_accounts_see_nothing() -> Result<()> {
    let testbed = Testbed::start(&[&MIGRATIONS]).await?;
    let service = Service::start(&testbed, "a").await?;
    let ann = Caller::admin(&testbed, &service, "acme")?;
    let eve = Caller::admin(&testbed, &service, "other")?;
    let shipment = ann.create(order("k")).await?;

    assert_eq!(
        eve.get(&shipment.shipment_id).await.unwrap_err().code(),
        Code::NotFound
    );
    let picked_up = scan(
        "k",
        &shipment.shipment_id,
        ShipmentStatus::PickedUp,
        1_357_034_100,
    );
    assert_eq!(eve.record(picked_up).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        eve.cancel("k", &shipment.shipment_id).await.unwrap_err().code(),
        Code::NotFound
    );
    assert!(eve.list(0, "").await?.shipments.is_empty());
    assert_eq!(rows(&testbed).await?, "1|1|1");
    service.stop().await
}
