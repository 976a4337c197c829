//! Services: one for each revision that runs, and the apex Service of a workload, which clients call.
//!
//! All are of type `ClusterIP`, not headless: routes of a mesh or of the Gateway API weigh Services that have an address,
//! and `kubectl port-forward` wants one too. A gRPC client that is to spread its calls over pods without a mesh opens
//! several connections, which the services end after `max_connection_age`.

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

/// The Service that clients call; it selects the revision that takes calls.
pub(super) fn apex(context: Context<'_>, workload: Workload) -> Child {
    let names = context.names;
    let route = context
        .release
        .workloads
        .get(&workload)
        .map_or("", |release| release.route.as_str());
    let fields = json!({
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(workload, route),
            "ports": [grpc()],
        },
    });
    let labels = names.component_labels(workload.name());
    object::child(
        context,
        ChildKind::Service,
        names.workload(workload),
        &labels,
        fields,
    )
}
