//! Checks of how a workload runs.

use logistics_schemas::Workload;
use serde_json::Value;

use super::{Findings, pod_template, scalar};
use crate::api::{self, Resources};
use crate::quantity;

/// Wanted use of CPU in percent where none is given.
const DEFAULT_CPU_UTILIZATION: i32 = 70;

/// How a workload runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidWorkload {
    /// The image tag.
    pub version: String,
    /// Number of pods, where nothing scales it.
    pub replicas: i32,
    /// How the number of pods is chosen, where it is not fixed.
    pub autoscaling: Option<ValidAutoscaling>,
    /// CPU and memory.
    pub resources: Resources,
    /// Most pods that an eviction may take away at a time.
    pub max_unavailable: i32,
    /// What is merged into the pod template.
    pub pod_template: Option<Value>,
}

/// How each workload runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidWorkloads {
    shipment: ValidWorkload,
    tracking: ValidWorkload,
    analytics: ValidWorkload,
}

impl ValidWorkloads {
    pub(super) fn new(mut of: impl FnMut(Workload) -> ValidWorkload) -> Self {
        Self {
            shipment: of(Workload::Shipment),
            tracking: of(Workload::Tracking),
            analytics: of(Workload::Analytics),
        }
    }

    /// How a workload runs.
    #[must_use]
    pub const fn get(&self, workload: Workload) -> &ValidWorkload {
        match workload {
            Workload::Shipment => &self.shipment,
            Workload::Tracking => &self.tracking,
            Workload::Analytics => &self.analytics,
        }
    }
}

#[cfg(test)]
impl ValidWorkloads {
    pub(crate) fn edit(&mut self, workload: Workload, act: impl FnOnce(&mut ValidWorkload)) {
        act(match workload {
            Workload::Shipment => &mut self.shipment,
            Workload::Tracking => &mut self.tracking,
            Workload::Analytics => &mut self.analytics,
        });
    }
}

/// How the number of pods is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidAutoscaling {
    /// Least number of pods.
    pub min_replicas: i32,
    /// Greatest number of pods.
    pub max_replicas: i32,
    /// Wanted use of CPU in percent of the request.
    pub cpu: Option<i32>,
    /// Wanted use of memory in percent of the request.
    pub memory: Option<i32>,
    /// `spec.behavior` of the `HorizontalPodAutoscaler`.
    pub behavior: Option<Value>,
}

pub(super) fn workload(
    workload: Workload,
    platform: &api::LogisticsPlatformSpec,
    findings: &mut Findings,
) -> ValidWorkload {
    let all = &platform.workloads;
    let spec = match workload {
        Workload::Shipment => &all.shipment,
        Workload::Tracking => &all.tracking,
        Workload::Analytics => &all.analytics,
    };
    let path = format!("spec.workloads.{workload}");
    if !(1..=100).contains(&spec.replicas) {
        findings.add(
            &format!("{path}.replicas"),
            spec.replicas,
            "is not between 1 and 100",
        );
    }
    resources(&format!("{path}.resources"), &spec.resources, findings);
    if !(1..=100).contains(&spec.disruption.max_unavailable) {
        let field = format!("{path}.disruption.maxUnavailable");
        findings.add(
            &field,
            spec.disruption.max_unavailable,
            "is not between 1 and 100",
        );
    }
    ValidWorkload {
        version: match &spec.version {
            None => platform.version.clone(),
            Some(version) => findings.take(&format!("{path}.version"), version, scalar::image_tag(version)),
        },
        replicas: spec.replicas,
        autoscaling: spec
            .autoscaling
            .as_ref()
            .map(|autoscaling| self::autoscaling(&path, autoscaling, &spec.resources, findings)),
        resources: spec.resources.clone(),
        max_unavailable: spec.disruption.max_unavailable,
        pod_template: spec
            .pod_template
            .as_ref()
            .map(|template| pod_template::check(&format!("{path}.podTemplate"), template, findings)),
    }
}

fn autoscaling(
    path: &str,
    autoscaling: &api::Autoscaling,
    resources: &Resources,
    findings: &mut Findings,
) -> ValidAutoscaling {
    let path = format!("{path}.autoscaling");
    let (least, most) = (autoscaling.min_replicas, autoscaling.max_replicas);
    for (name, value) in [("minReplicas", least), ("maxReplicas", most)] {
        if !(1..=100).contains(&value) {
            findings.add(&format!("{path}.{name}"), value, "is not between 1 and 100");
        }
    }
    if most < least {
        let remedy = "is less than minReplicas; raise it, or lower minReplicas";
        findings.add(&format!("{path}.maxReplicas"), most, remedy);
    }
    let cpu = match (autoscaling.cpu, autoscaling.memory) {
        (None, None) => Some(DEFAULT_CPU_UTILIZATION),
        (cpu, _) => cpu,
    };
    let requested = |amount: fn(&api::ResourceList) -> bool| {
        [&resources.requests, &resources.limits]
            .into_iter()
            .flatten()
            .any(amount)
    };
    for (name, target, requested) in [
        ("cpu", cpu, requested(|list| list.cpu.is_some())),
        (
            "memory",
            autoscaling.memory,
            requested(|list| list.memory.is_some()),
        ),
    ] {
        let Some(target) = target else { continue };
        let field = format!("{path}.{name}");
        if !(1..=1000).contains(&target) {
            findings.add(&field, target, "is not between 1 and 1000");
        }
        if !requested {
            let remedy = format!("is a share of a request that is missing; set resources.requests.{name}");
            findings.add(&field, target, remedy);
        }
    }
    ValidAutoscaling {
        min_replicas: least,
        max_replicas: most,
        cpu,
        memory: autoscaling.memory,
        behavior: autoscaling
            .behavior
            .as_ref()
            .map(|behavior| Value::Object(behavior.0.clone())),
    }
}

fn resources(path: &str, resources: &Resources, findings: &mut Findings) {
    let requests = resources.requests.clone().unwrap_or_default();
    let limits = resources.limits.clone().unwrap_or_default();
    for (name, request, limit) in [
        ("cpu", requests.cpu, limits.cpu),
        ("memory", requests.memory, limits.memory),
    ] {
        let mut amount = |side: &str, quantity: Option<api::Quantity>| {
            let text = quantity?.0;
            let value = quantity::parse(&text);
            if value.is_none_or(|value| value <= 0) {
                let remedy = "is not an amount; write for example 250m or 256Mi";
                findings.add(&format!("{path}.{side}.{name}"), text, remedy);
            }
            value
        };
        let (request, limit) = (amount("requests", request), amount("limits", limit));
        if let (Some(request), Some(limit)) = (request, limit)
            && request > limit
        {
            let shown = resources
                .requests
                .as_ref()
                .map_or(String::new(), |list| format!("{list:?}"));
            let remedy = format!("is more than limits.{name}; lower the request or raise the limit");
            findings.add(&format!("{path}.requests.{name}"), shown, remedy);
        }
    }
}
