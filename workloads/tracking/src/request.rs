//! Checks requests.

use std::collections::HashSet;

use logistics_chassis::errors::ServiceError;
use logistics_chassis::fields::Fields;
use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use uuid::Uuid;

/// Most timelines of one answer.
const TIMELINES: usize = 100;

pub fn shipment_id(value: &str) -> Result<Uuid, ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", value);
    fields.finish()?;
    id.ok_or_else(unreported)
}

pub fn stream_start(request: &proto::StreamTrackingRequest) -> Result<(Uuid, i64), ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    if request.after_seq < 0 {
        fields.wrong(
            "after_seq",
            &request.after_seq.to_string(),
            "give the seq of the last event that you have, or 0",
        );
    }
    fields.finish()?;
    Ok((id.ok_or_else(unreported)?, request.after_seq))
}

/// The shipments of a `BatchGetTimelinesRequest`.
pub fn shipment_ids(values: &[String]) -> Result<Vec<Uuid>, ServiceError> {
    let mut fields = Fields::new();
    if values.is_empty() {
        fields.missing("shipment_ids", "give 1 to 100 ids");
    } else if values.len() > TIMELINES {
        fields.wrong(
            "shipment_ids",
            &format!("{} ids", values.len()),
            "give 1 to 100 ids",
        );
    }
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for (at, value) in values.iter().take(TIMELINES).enumerate() {
        let field = format!("shipment_ids[{at}]");
        let Some(id) = fields.uuid(&field, value) else {
            continue;
        };
        if !seen.insert(id) {
            fields.wrong(&field, value, "give each id once");
        }
        ids.push(id);
    }
    fields.finish()?;
    Ok(ids)
}

/// The id and the number of a `GetPublicTimelineRequest`.
pub fn public(request: &proto::GetPublicTimelineRequest) -> Result<(Uuid, String), ServiceError> {
    let mut fields = Fields::new();
    let id = fields.uuid("shipment_id", &request.shipment_id);
    let number = fields.text(
        "tracking_number",
        &request.tracking_number,
        1..=64,
        |c| !c.is_control(),
        "give the carrier's number, 1 to 64 printable characters",
    );
    fields.finish()?;
    Ok((id.ok_or_else(unreported)?, number))
}

/// A field is absent although nothing was found wrong: a mistake of this module, not of the caller.
fn unreported() -> ServiceError {
    ServiceError::internal("check the request", "a wrong value was not reported")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_fields<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> Vec<String> {
        match result {
            Err(ServiceError::Invalid(violations)) => violations.into_iter().map(|one| one.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_is_of_1_to_100_ids_each_once() {
        let ids = |count: usize| (0..count).map(|_| Uuid::now_v7().to_string()).collect::<Vec<_>>();
        assert_eq!(shipment_ids(&ids(100)).unwrap().len(), 100);
        assert_eq!(wrong_fields(shipment_ids(&[])), ["shipment_ids"]);
        assert_eq!(wrong_fields(shipment_ids(&ids(101))), ["shipment_ids"]);
        let mut twice = ids(2);
        twice.push(twice[0].clone());
        twice.push("nonsense".to_owned());
        assert_eq!(
            wrong_fields(shipment_ids(&twice)),
            ["shipment_ids[2]", "shipment_ids[3]"]
        );
    }

    #[test]
    fn the_public_needs_an_id_and_a_number() {
        let nothing = proto::GetPublicTimelineRequest::default();
        assert_eq!(wrong_fields(public(&nothing)), ["shipment_id", "tracking_number"]);
    }
}
