//! The database credentials of each service.

use k8s_openapi::ByteString;
use logistics_schemas::Workload;
use serde_json::json;

use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::CREDENTIAL_ID;

pub(super) fn secrets(context: Context<'_>) -> Vec<Child> {
    Workload::ALL
        .into_iter()
        .map(|workload| secret(context, workload))
        .collect()
}

fn secret(context: Context<'_>, workload: Workload) -> Child {
    let names = context.names;
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let fields = json!({
        "metadata": {"annotations": {CREDENTIAL_ID: context.credentials.id(workload)}},
        "type": "kubernetes.io/basic-auth",
        "data": {
            "username": bytes(&names.database_role(workload)),
            "password": bytes(context.credentials.password(workload)),
        },
    });
    let labels = names.component_labels(workload.name());
    object::child(
        context,
        ChildKind::Secret,
        names.credentials(workload),
        &labels,
        fields,
    )
}
