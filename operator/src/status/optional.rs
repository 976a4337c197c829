//! Conditions of what a spec may ask for and that Ready does not depend on.

use logistics_schemas::Workload;

use super::Facts;
use super::concern::Finding;
use crate::child::ChildKind;
use crate::names::Names;
use crate::reason::Reason;

/// Whether Prometheus finds the metrics.
pub(super) fn monitoring(facts: Facts<'_>) -> Option<Finding> {
    facts.valid.prometheus.as_ref()?;
    Some(if facts.observed.optional.contains(&ChildKind::PodMonitor) {
        Finding::good(Reason::Monitored, "a PodMonitor shows Prometheus the pods")
    } else {
        let message = "the cluster has no PodMonitor (monitoring.coreos.com/v1), or the operator may not watch its definition; \
                       install the Prometheus Operator, or remove spec.observability.prometheus";
        Finding::wrong(Reason::ApiMissing, message)
    })
}

/// Whether the autoscalers can do their work.
pub(super) fn scaling(facts: Facts<'_>) -> Option<Finding> {
    let scaled: Vec<_> = Workload::ALL
        .into_iter()
        .filter(|workload| facts.valid.workload(*workload).autoscaling.is_some())
        .collect();
    if scaled.is_empty() {
        return None;
    }
    let names = Names(&facts.valid.identity);
    let inactive = scaled.iter().find_map(|workload| {
        let revision = facts.release.workloads.get(workload)?.serving.as_ref()?;
        let name = names.revision(*workload, revision);
        let live = facts.observed.child(ChildKind::HorizontalPodAutoscaler, &name)?;
        let condition = live
            .condition("ScalingActive")
            .filter(|c| c["status"] == "False")?;
        Some(format!(
            "HorizontalPodAutoscaler {name}: {}; the cluster needs the metrics API (metrics-server)",
            condition["message"].as_str().unwrap_or("it does not scale")
        ))
    });
    Some(match inactive {
        Some(message) => Finding::wrong(Reason::ScalingInactive, message),
        None => Finding::good(Reason::Scaling, "the autoscalers choose the number of pods"),
    })
}
