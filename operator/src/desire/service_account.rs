//! One `ServiceAccount` for each workload and one for the migration; none gets a token of the Kubernetes API.

use logistics_schemas::Workload;
use serde_json::json;

use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::MIGRATE;

pub(super) fn service_accounts(context: Context<'_>) -> Vec<Child> {
    let names = context.names;
    let workloads = Workload::ALL
        .into_iter()
        .map(|workload| (names.workload(workload), workload.name()));
    workloads
        .chain([(names.migrate(), MIGRATE)])
        .map(|(name, component)| {
            let labels = names.component_labels(component);
            let fields = json!({"automountServiceAccountToken": false});
            object::child(context, ChildKind::ServiceAccount, name, &labels, fields)
        })
        .collect()
}
