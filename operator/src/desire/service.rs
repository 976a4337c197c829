//! Services: one for each revision that runs, and two of a workload, which clients call: the apex and its pods.
//!
//! The apex has an address: routes of a mesh or of the Gateway API weigh Services that have one, and `kubectl
//! port-forward` wants one too. But a gRPC client keeps its connection, and with it one pod. The headless Service next to
//! it gives the pods' own addresses to clients that spread their calls themselves (docs/clients.md).

use logistics_schemas::Workload;
use serde_json::{Value, json};

use super::controller_revision::Revision;
use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::{ADMIN_PORT, GRPC_PORT, REVISION};

fn grpc() -> Value {
    json!({"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "grpc"})
}

fn admin() -> Value {
    json!({
        "name": "http-admin", "port": ADMIN_PORT, "targetPort": "http-admin", "protocol": "TCP", "appProtocol": "http",
    })
}

/// The Service of a revision.
pub(super) fn of_revision(context: Context<'_>, revision: &Revision) -> Child {
    let names = context.names;
    let mut labels = names.component_labels(revision.workload.name());
    labels.insert(REVISION.into(), revision.hash.clone());
    let fields = json!({
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(revision.workload, &revision.hash),
            "ports": [grpc(), admin()],
        },
    });
    let name = names.revision(revision.workload, &revision.hash);
    object::child(context, ChildKind::Service, name, &labels, fields)
}

/// The Services that clients call: the apex, and the headless one with the same pods. Both select the revision that takes
/// calls.
pub(super) fn of_workload(context: Context<'_>, workload: Workload) -> [Child; 2] {
    let names = context.names;
    let route = context
        .release
        .workloads
        .get(&workload)
        .map_or("", |release| release.route.as_str());
    let spec = json!({
        "type": "ClusterIP",
        "selector": names.selector(workload, route),
        "ports": [grpc()],
    });
    let mut headless = spec.clone();
    headless["clusterIP"] = json!("None");
    let labels = names.component_labels(workload.name());
    let service = |name, spec: Value| {
        object::child(
            context,
            ChildKind::Service,
            name,
            &labels,
            json!({ "spec": spec }),
        )
    };
    [
        service(names.workload(workload), spec),
        service(names.pods(workload), headless),
    ]
}
