//! The gRPC service.

use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::timestamp;
use logistics_chassis::identity::Principal;
use logistics_chassis::projection;
use logistics_domain::anomaly::Kind;
use logistics_schemas::grpc::logistics::analytics::v1 as proto;
use logistics_schemas::grpc::logistics::analytics::v1::analytics_service_server::AnalyticsService;
use sqlx::PgPool;
use tonic::{Request, Response, Status};

use crate::anomalies::Found;
use crate::histories::Lane;
use crate::shipments::Shipment;
use crate::{accuracy, anomalies, histories, request, shipments, silence};

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    pool: PgPool,
}

impl Api {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn assessment(
        &self,
        principal: &Principal,
        request: &proto::GetAssessmentRequest,
    ) -> Result<proto::Assessment, ServiceError> {
        let id = request::assessment(request)?;
        let found = shipments::get(&self.pool, id, &principal.account_id).await?;
        let missing = || ServiceError::NotFound {
            what: "assessment of shipment",
            id: request.shipment_id.clone(),
        };
        found.as_ref().map(assessment).ok_or_else(missing)
    }

    async fn lanes(
        &self,
        principal: &Principal,
        request: &proto::ListLanesRequest,
    ) -> Result<Vec<proto::Lane>, ServiceError> {
        let limit = request::lanes(request)?;
        let lanes = histories::riskiest_lanes(&self.pool, &principal.account_id, limit).await?;
        Ok(lanes.into_iter().map(lane).collect())
    }

    async fn anomalies(
        &self,
        principal: &Principal,
        request: &proto::ListAnomaliesRequest,
    ) -> Result<Vec<proto::Anomaly>, ServiceError> {
        let filter = request::anomalies(request, &principal.account_id)?;
        let mut all = silence::list(&self.pool, filter).await?;
        all.extend(anomalies::list(&self.pool, filter).await?);
        all.truncate(usize::from(filter.limit));
        Ok(all.into_iter().map(anomaly).collect())
    }

    async fn accuracy(&self, principal: &Principal) -> Result<proto::GetAccuracyResponse, ServiceError> {
        let progress = projection::progress(&self.pool, &principal.account_id).await?;
        let sums = accuracy::get(&self.pool, &principal.account_id).await?;
        Ok(proto::GetAccuracyResponse {
            shipments: progress.shipments,
            events: progress.events,
            parked: progress.parked,
            arrivals: sums.arrivals,
            mae_at_creation_minutes: sums.mean(sums.error_at_creation),
            mae_in_transit_minutes: sums.mean(sums.error_in_transit),
            mae_of_promise_minutes: sums.mean(sums.error_of_promise),
            interval_coverage: sums.coverage(),
        })
    }
}

#[tonic::async_trait]
impl AnalyticsService for Api {
    async fn get_assessment(
        &self,
        request: Request<proto::GetAssessmentRequest>,
    ) -> Result<Response<proto::GetAssessmentResponse>, Status> {
        let principal = Principal::of(&request)?;
        let assessment = self.assessment(principal, request.get_ref()).await?;
        Ok(Response::new(proto::GetAssessmentResponse {
            assessment: Some(assessment),
        }))
    }

    async fn list_lanes(
        &self,
        request: Request<proto::ListLanesRequest>,
    ) -> Result<Response<proto::ListLanesResponse>, Status> {
        let principal = Principal::of(&request)?;
        let lanes = self.lanes(principal, request.get_ref()).await?;
        Ok(Response::new(proto::ListLanesResponse { lanes }))
    }

    async fn list_anomalies(
        &self,
        request: Request<proto::ListAnomaliesRequest>,
    ) -> Result<Response<proto::ListAnomaliesResponse>, Status> {
        let principal = Principal::of(&request)?;
        let anomalies = self.anomalies(principal, request.get_ref()).await?;
        Ok(Response::new(proto::ListAnomaliesResponse { anomalies }))
    }

    async fn get_accuracy(
        &self,
        request: Request<proto::GetAccuracyRequest>,
    ) -> Result<Response<proto::GetAccuracyResponse>, Status> {
        let principal = Principal::of(&request)?;
        Ok(Response::new(self.accuracy(principal).await?))
    }
}

const KINDS: [(Kind, proto::AnomalyKind); 5] = [
    (Kind::UnusualDelay, proto::AnomalyKind::UnusualDelay),
    (Kind::Dwell, proto::AnomalyKind::Dwell),
    (Kind::ImpossibleSpeed, proto::AnomalyKind::ImpossibleSpeed),
    (Kind::IllegalTransition, proto::AnomalyKind::IllegalTransition),
    (Kind::Silence, proto::AnomalyKind::Silence),
];

pub(crate) fn kind_from_proto(wanted: proto::AnomalyKind) -> Option<Kind> {
    KINDS
        .into_iter()
        .find_map(|(kind, name)| (name == wanted).then_some(kind))
}

fn kind_to_proto(wanted: Kind) -> proto::AnomalyKind {
    KINDS
        .into_iter()
        .find_map(|(kind, name)| (kind == wanted).then_some(name))
        .unwrap_or_default()
}

fn anomaly(found: Found) -> proto::Anomaly {
    proto::Anomaly {
        shipment_id: found.shipment_id.to_string(),
        kind: kind_to_proto(found.anomaly.kind).into(),
        severity: found.anomaly.severity,
        text: found.anomaly.text,
        occurred_at: Some(timestamp(found.occurred_at)),
        seq: found.seq,
    }
}

fn assessment(shipment: &Shipment) -> proto::Assessment {
    let assessment = &shipment.assessment;
    let reasons = assessment.risk.reasons.iter().map(|reason| proto::RiskReason {
        factor: reason.factor.clone(),
        contribution: reason.contribution,
        text: reason.text.clone(),
    });
    proto::Assessment {
        shipment_id: shipment.id.to_string(),
        risk: assessment.risk.probability,
        reasons: reasons.collect(),
        estimated_arrival: Some(timestamp(assessment.estimated)),
        earliest_arrival: Some(timestamp(assessment.earliest)),
        latest_arrival: Some(timestamp(assessment.latest)),
        seq: shipment.seq,
        actual_arrival: shipment.journey.arrived.map(timestamp),
    }
}

fn lane(lane: Lane) -> proto::Lane {
    proto::Lane {
        carrier: lane.carrier,
        origin: lane.origin,
        destination: lane.destination,
        arrivals: lane.arrivals,
        late_share: lane.late_share,
        median_delay_minutes: lane.median_delay,
    }
}
