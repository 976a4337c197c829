//! Which role may call which RPC: the one table, as the `.proto` files say it.

use super::Role;
use super::Role::{Admin, Shipman, User};

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token and without bounds: probes and reflection.
    Open,
    /// Anybody, without a token, within the bounds of every other call.
    Everybody,
    /// Callers with one of these roles.
    Roles(&'static [Role]),
}

const RPCS: [(&str, &[Role]); 20] = [
    (
        "/logistics.shipment.v1.ShipmentService/CreateShipment",
        &[Admin, User],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/CreateShipments",
        &[Admin, User],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/FindShipment",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/GetShipment",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/ListShipments",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/RecordEvent",
        &[Admin, Shipman],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/RecordDelivery",
        &[Admin, Shipman],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/ReportDelay",
        &[Admin, Shipman],
    ),
    ("/logistics.shipment.v1.ShipmentService/RetractEvent", &[Admin]),
    (
        "/logistics.shipment.v1.ShipmentService/ReturnShipment",
        &[Admin, User],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/AssignShipment",
        &[Admin, User],
    ),
    (
        "/logistics.shipment.v1.ShipmentService/CancelShipment",
        &[Admin, User],
    ),
    (
        "/logistics.tracking.v1.TrackingService/GetTimeline",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.tracking.v1.TrackingService/BatchGetTimelines",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.tracking.v1.TrackingService/StreamTracking",
        &[Admin, User, Shipman],
    ),
    ("/logistics.tracking.v1.TrackingService/GetProjection", &[Admin]),
    (
        "/logistics.analytics.v1.AnalyticsService/GetAssessment",
        &[Admin, User, Shipman],
    ),
    (
        "/logistics.analytics.v1.AnalyticsService/ListLanes",
        &[Admin, User],
    ),
    (
        "/logistics.analytics.v1.AnalyticsService/ListAnomalies",
        &[Admin, User],
    ),
    ("/logistics.analytics.v1.AnalyticsService/GetAccuracy", &[Admin]),
];

/// What needs no token.
const EVERYBODY: [&str; 1] = ["/logistics.tracking.v1.TrackingService/GetPublicTimeline"];

const OPEN: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// Who may call the RPC with this path; `None` where there is no such RPC, which then nobody may call.
#[must_use]
pub fn access(path: &str) -> Option<Access> {
    if OPEN.iter().any(|prefix| path.starts_with(prefix)) {
        return Some(Access::Open);
    }
    if EVERYBODY.contains(&path) {
        return Some(Access::Everybody);
    }
    RPCS.iter()
        .find(|(rpc, _)| *rpc == path)
        .map(|(_, roles)| Access::Roles(roles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    /// The RPCs of the contract, each with the roles that its comment names, and whether it says that it needs none.
    fn contract() -> Vec<(String, Vec<Role>, bool)> {
        let set = prost_types::FileDescriptorSet::decode(logistics_schemas::grpc::DESCRIPTORS).unwrap();
        let mut rpcs = Vec::new();
        for file in set.file {
            let comments = file.source_code_info.clone().unwrap_or_default().location;
            for (service_at, service) in file.service.iter().enumerate() {
                for (at, method) in service.method.iter().enumerate() {
                    let path = [
                        6,
                        i32::try_from(service_at).unwrap(),
                        2,
                        i32::try_from(at).unwrap(),
                    ];
                    let comment = comments
                        .iter()
                        .find(|location| location.path == path)
                        .map(|location| location.leading_comments().to_owned())
                        .unwrap_or_default();
                    rpcs.push((
                        format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                        roles_in(&comment),
                        comment.contains("Open to everybody"),
                    ));
                }
            }
        }
        rpcs
    }

    fn roles_in(comment: &str) -> Vec<Role> {
        let text = comment.replace('\n', " ");
        let list = text
            .split("Roles: ")
            .nth(1)
            .or_else(|| text.split("Role: ").nth(1));
        let list = list
            .unwrap_or_default()
            .split(['.', ';'])
            .next()
            .unwrap_or_default();
        list.split(", ")
            .filter_map(|name| Role::from_name(name.trim()))
            .collect()
    }

    #[test]
    fn the_table_is_the_contract() {
        let contract = contract();
        assert_eq!(contract.len(), RPCS.len() + EVERYBODY.len());
        for (path, roles, open) in contract {
            if open {
                assert_eq!(access(&path), Some(Access::Everybody), "{path}");
                assert!(roles.is_empty(), "{path} is open and names roles");
                continue;
            }
            assert!(!roles.is_empty(), "{path} does not say who may call it");
            let Some(Access::Roles(allowed)) = access(&path) else {
                panic!("{path} is not in the table");
            };
            assert_eq!(allowed, roles, "{path}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_for_nobody() {
        assert_eq!(access("/logistics.shipment.v1.ShipmentService/DropAll"), None);
        assert_eq!(access("/logistics.shipment.v1.ShipmentService/"), None);
        assert_eq!(access("/grpc.health.v1.Health/Check"), Some(Access::Open));
    }
}
