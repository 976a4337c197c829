//! How the Prometheus Operator finds the workloads' metrics.

use serde_json::json;

use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::{COMPONENT, INSTANCE, REVISION};

pub(super) fn pod_monitor(context: Context<'_>) -> Option<Child> {
    let prometheus = context.valid.prometheus.as_ref()?;
    if !context.observed.optional.contains(&ChildKind::PodMonitor) {
        return None;
    }
    let names = context.names;
    let fields = json!({
        "spec": {
            "selector": {"matchLabels": {INSTANCE: names.0.name}},
            "podTargetLabels": [COMPONENT, REVISION],
            "podMetricsEndpoints": [{
                "port": "http-admin", "path": "/metrics", "interval": format!("{}s", prometheus.interval.as_secs()),
            }],
        },
    });
    let mut labels = prometheus.labels.clone();
    labels.extend(names.labels());
    Some(object::child(
        context,
        ChildKind::PodMonitor,
        names.0.name.clone(),
        &labels,
        fields,
    ))
}
