//! Checks requests.

use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::Fields;
use logistics_schemas::grpc::logistics::analytics::v1 as proto;
use uuid::Uuid;

use crate::anomalies::Filter;
use crate::api::kind_from_proto;

/// Lanes in an answer where the caller names no number, and the most.
const LANES: (u16, u16) = (10, 100);
/// The same of anomalies.
const ANOMALIES: (u16, u16) = (100, 500);

pub fn assessment(request: &proto::GetAssessmentRequest) -> Result<Uuid, ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    fields.finish()?;
    id.ok_or_else(|| ServiceError::internal("check the request", "a wrong value was not reported"))
}

/// How many lanes.
pub fn lanes(request: &proto::ListLanesRequest) -> Result<u16, ServiceError> {
    let mut fields = Fields::new();
    let limit = fields.page_size(request.page_size, LANES.0, LANES.1);
    fields.finish()?;
    Ok(limit)
}

pub fn anomalies<'a>(
    request: &proto::ListAnomaliesRequest,
    account_id: &'a str,
) -> Result<Filter<'a>, ServiceError> {
    let mut fields = Fields::new();
    let shipment_id = match request.shipment_id.as_str() {
        "" => None,
        id => fields.uuid("shipment_id", id),
    };
    let kind = proto::AnomalyKind::try_from(request.kind);
    if kind.is_err() {
        let remedy = "give a kind of AnomalyKind, or none for all";
        fields.wrong("kind", &request.kind.to_string(), remedy);
    }
    let limit = fields.page_size(request.page_size, ANOMALIES.0, ANOMALIES.1);
    fields.finish()?;
    Ok(Filter {
        account_id,
        shipment_id,
        kind: kind.ok().and_then(kind_from_proto),
        limit,
    })
}
