//! Wrong input and wrong callers are refused by the services themselves, and nothing is half-written.

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use dev_demo::call::Caller;
use dev_demo::counts;
use dev_demo::run::Callers;
use dev_e2e::orders::{event, order};
use dev_e2e::stage::Stage;
use dev_rig::issuer::{Claims, Issuer};
use logistics_schemas::grpc::logistics::analytics::v1::{GetAccuracyRequest, ListLanesRequest};
use logistics_schemas::grpc::logistics::shipment::v1::{
    CancelShipmentRequest, CreateShipmentRequest, GetShipmentRequest, ListShipmentsRequest,
    RecordEventRequest,
};
use logistics_schemas::grpc::logistics::tracking::v1::{GetProjectionRequest, GetTimelineRequest};
use logistics_schemas::grpc::logistics::r#type::v1::Status;
use tonic::Code;
use tonic_types::StatusExt as _;

type Spoil<T> = fn(&mut T);

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_with_every_field_that_is_wrong() -> Result<()> {
    let stage = Stage::ready().await?;
    let services = stage.services();
    let callers = stage.callers(&stage.new_account("input"))?;
    let good = services
        .shipment
        .clone()
        .create_shipment(callers.user.plain(order()))
        .await?
        .into_inner();
    let id = good.shipment.context("no shipment in the answer")?.shipment_id;
    let before = counts::shipment(&services, &callers.admin).await?;

    for (fields, spoil) in wrong_orders() {
        let mut request = order();
        spoil(&mut request);
        let answer = services
            .shipment
            .clone()
            .create_shipment(callers.user.plain(request))
            .await;
        violates(&answer.map(drop), fields)?;
    }
    for (fields, spoil) in wrong_events() {
        let mut request = event(&id, Status::InTransit, TimeDelta::hours(1));
        spoil(&mut request);
        let answer = services
            .shipment
            .clone()
            .record_event(callers.shipman.plain(request))
            .await;
        violates(&answer.map(drop), fields)?;
    }
    let pages = ListShipmentsRequest {
        page_size: 501,
        page_token: "nonsense".into(),
    };
    let answer = services
        .shipment
        .clone()
        .list_shipments(callers.user.plain(pages))
        .await;
    violates(&answer.map(drop), &["page_size", "page_token"])?;
    let timeline = GetTimelineRequest {
        shipment_id: "1".into(),
    };
    let answer = services
        .tracking
        .clone()
        .get_timeline(callers.user.plain(timeline))
        .await;
    violates(&answer.map(drop), &["shipment_id"])?;

    // The same key with another body is another request under a name that is taken.
    let mut first = order();
    services
        .shipment
        .clone()
        .create_shipment(callers.user.plain(first.clone()))
        .await?;
    first.carrier = "DL".into();
    let answer = services
        .shipment
        .clone()
        .create_shipment(callers.user.plain(first))
        .await;
    violates(&answer.map(drop), &["idempotency_key"])?;

    let after = counts::shipment(&services, &callers.admin).await?;
    ensure!(
        (after.shipments, after.events) == (before.shipments + 1, before.events + 1),
        "{before:?} {after:?}"
    );
    Ok(())
}

fn wrong_orders() -> Vec<(&'static [&'static str], Spoil<CreateShipmentRequest>)> {
    const ALL: &[&str] = &[
        "idempotency_key",
        "carrier",
        "tracking_number",
        "origin",
        "destination",
        "planned_departure",
        "promised_arrival",
    ];
    vec![
        (ALL, |order| *order = CreateShipmentRequest::default()),
        (&["carrier"], |order| order.carrier = "united airlines".into()),
        (&["tracking_number"], |order| {
            order.tracking_number = "1".repeat(65);
        }),
        (&["origin.code"], |order| {
            order.origin.get_or_insert_default().code = "newark".into();
        }),
        (&["promised_arrival"], |order| {
            order.promised_arrival = order.planned_departure;
        }),
        (&["idempotency_key"], |order| {
            order.idempotency_key = "k".repeat(129);
        }),
        (&["planned_departure"], |order| {
            order.planned_departure.get_or_insert_default().seconds = i64::MAX;
        }),
    ]
}

fn wrong_events() -> Vec<(&'static [&'static str], Spoil<RecordEventRequest>)> {
    vec![
        (&["status"], |event| event.status = Status::Unspecified.into()),
        (&["status"], |event| event.status = 99),
        (&["status"], |event| event.status = Status::Created.into()),
        (&["classifier"], |event| event.classifier = 7),
        (&["occurred_at"], |event| event.occurred_at = None),
        (&["shipment_id", "reason"], |event| {
            event.shipment_id = "not-a-uuid".into();
            event.reason = "It Was Late!".into();
        }),
    ]
}

fn violates(answer: &Result<(), tonic::Status>, fields: &[&str]) -> Result<()> {
    let Err(status) = answer else {
        anyhow::bail!("accepted, although {fields:?} should be refused");
    };
    ensure!(status.code() == Code::InvalidArgument, "{fields:?}: {status:?}");
    let details = status
        .get_details_bad_request()
        .with_context(|| format!("no BadRequest in {status:?}"))?;
    let found: Vec<&str> = details
        .field_violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    ensure!(found == fields, "violations {found:?} instead of {fields:?}");
    let explained = details
        .field_violations
        .iter()
        .all(|violation| !violation.description.is_empty());
    ensure!(explained, "a violation without a description: {details:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_callers_are_refused_and_nothing_is_written() -> Result<()> {
    let stage = Stage::ready().await?;
    let services = stage.services();
    let account = stage.new_account("callers");
    let callers = stage.callers(&account)?;
    let good = services
        .shipment
        .clone()
        .create_shipment(callers.user.plain(order()))
        .await?
        .into_inner();
    let id = good.shipment.context("no shipment in the answer")?.shipment_id;
    let before = counts::shipment(&services, &callers.admin).await?;

    for (name, caller) in unknown_callers(&stage.issuer, &account)? {
        let answers = [
            services
                .shipment
                .clone()
                .create_shipment(caller.plain(order()))
                .await
                .map(drop),
            services
                .tracking
                .clone()
                .get_projection(caller.plain(GetProjectionRequest {}))
                .await
                .map(drop),
            services
                .analytics
                .clone()
                .get_accuracy(caller.plain(GetAccuracyRequest::default()))
                .await
                .map(drop),
        ];
        for answer in answers {
            let code = answer.err().map(|status| status.code());
            ensure!(code == Some(Code::Unauthenticated), "{name}: {code:?}");
        }
    }
    wrong_roles(&stage, &callers, &id).await?;

    // Another account's shipment does not exist for the caller: neither reading nor writing says otherwise.
    let other = stage.callers(&stage.new_account("other"))?;
    let get = GetShipmentRequest {
        shipment_id: id.clone(),
    };
    let timeline = GetTimelineRequest {
        shipment_id: id.clone(),
    };
    let scan = event(&id, Status::InTransit, TimeDelta::hours(1));
    let answers = [
        services
            .shipment
            .clone()
            .get_shipment(other.user.plain(get))
            .await
            .map(drop),
        services
            .shipment
            .clone()
            .record_event(other.shipman.plain(scan))
            .await
            .map(drop),
        services
            .shipment
            .clone()
            .cancel_shipment(other.user.plain(cancellation(&id)))
            .await
            .map(drop),
        services
            .tracking
            .clone()
            .get_timeline(other.user.plain(timeline))
            .await
            .map(drop),
    ];
    for answer in answers {
        let code = answer.err().map(|status| status.code());
        ensure!(
            code == Some(Code::NotFound),
            "another account's shipment: {code:?}"
        );
    }

    ensure!(
        counts::shipment(&services, &callers.admin).await? == before,
        "a refused call has written something"
    );
    Ok(())
}

async fn wrong_roles(stage: &Stage, callers: &Callers, id: &str) -> Result<()> {
    let services = stage.services();
    let scan = event(id, Status::InTransit, TimeDelta::hours(1));
    let answers = [
        (
            "shipman creates",
            services
                .shipment
                .clone()
                .create_shipment(callers.shipman.plain(order()))
                .await
                .map(drop),
        ),
        (
            "shipman cancels",
            services
                .shipment
                .clone()
                .cancel_shipment(callers.shipman.plain(cancellation(id)))
                .await
                .map(drop),
        ),
        (
            "user scans",
            services
                .shipment
                .clone()
                .record_event(callers.user.plain(scan))
                .await
                .map(drop),
        ),
        (
            "user projects",
            services
                .tracking
                .clone()
                .get_projection(callers.user.plain(GetProjectionRequest {}))
                .await
                .map(drop),
        ),
        (
            "shipman lists lanes",
            services
                .analytics
                .clone()
                .list_lanes(callers.shipman.plain(ListLanesRequest::default()))
                .await
                .map(drop),
        ),
    ];
    for (name, answer) in answers {
        let code = answer.err().map(|status| status.code());
        ensure!(code == Some(Code::PermissionDenied), "{name}: {code:?}");
    }
    Ok(())
}

fn cancellation(id: &str) -> CancelShipmentRequest {
    CancelShipmentRequest {
        idempotency_key: uuid::Uuid::new_v4().to_string(),
        shipment_id: id.to_owned(),
        reason: String::new(),
    }
}

/// Callers whom no service may know: each is an administrator but for one thing.
fn unknown_callers(issuer: &Issuer, account: &str) -> Result<Vec<(&'static str, Caller)>> {
    let spoilt = |spoil: fn(&mut Claims)| -> Result<Caller> {
        let mut claims = issuer.claims("mallory", &["admin"], account);
        spoil(&mut claims);
        Caller::with_token(&issuer.sign(&claims)?)
    };
    let good = issuer.claims("mallory", &["admin"], account);
    let stranger = Issuer::generate(&good.iss, &good.aud)?.sign(&good)?;
    let mut cut = issuer.sign(&good)?;
    cut.truncate(cut.len() - 4);
    Ok(vec![
        ("no token", Caller::anonymous()),
        ("no JWT", Caller::with_token("letmein")?),
        (
            "expired",
            spoilt(|claims| (claims.iat, claims.exp) = (claims.iat - 7200, claims.exp - 7200))?,
        ),
        ("wrong audience", spoilt(|claims| claims.aud = "another".into())?),
        (
            "wrong issuer",
            spoilt(|claims| claims.iss = "https://another.example".into())?,
        ),
        ("another key", Caller::with_token(&stranger)?),
        ("cut signature", Caller::with_token(&cut)?),
    ])
}
