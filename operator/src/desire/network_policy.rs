//! Which connections pods take and make: one `NetworkPolicy` for each workload, and one for the migration, which takes none.

use std::collections::BTreeSet;

use logistics_schemas::Workload;
use serde_json::{Value, json};

use super::{Context, object};
use crate::child::{Child, ChildKind};
use crate::names::{ADMIN_PORT, GRPC_PORT, MIGRATE};
use crate::validate::{ValidNetworkPolicy, ValidPlatform};

/// Port of DNS.
const DNS_PORT: u16 = 53;

pub(super) fn policies(context: Context<'_>) -> Vec<Child> {
    let Some(policy) = &context.valid.network_policy else {
        return Vec::new();
    };
    let names = context.names;
    let mut children: Vec<_> = Workload::ALL
        .into_iter()
        .map(|workload| {
            let ports = service_ports(context.valid, workload);
            child(
                context,
                workload.name(),
                names.workload(workload),
                &ingress(policy),
                policy,
                &ports,
            )
        })
        .collect();
    let ports = [context.valid.database.port].into();
    children.push(child(
        context,
        MIGRATE,
        names.migrate(),
        &json!([]),
        policy,
        &ports,
    ));
    children
}

fn child(
    context: Context<'_>,
    component: &str,
    name: String,
    ingress: &Value,
    policy: &ValidNetworkPolicy,
    ports: &BTreeSet<u16>,
) -> Child {
    let names = context.names;
    let mut spec = json!({
        "podSelector": {"matchLabels": names.component_selector(component)},
        "policyTypes": ["Ingress"],
        "ingress": ingress,
    });
    if let Some(also) = &policy.egress {
        spec["policyTypes"] = json!(["Ingress", "Egress"]);
        spec["egress"] = egress(ports, also);
    }
    let labels = names.component_labels(component);
    object::child(
        context,
        ChildKind::NetworkPolicy,
        name,
        &labels,
        json!({"spec": spec}),
    )
}

fn ingress(policy: &ValidNetworkPolicy) -> Value {
    let mut calls = json!({"ports": [tcp(GRPC_PORT)]});
    if !policy.from.is_empty() {
        calls["from"] = policy.from.clone().into();
    }
    // Probes and metrics: who reads them is not known here, and they hold no data of shipments.
    json!([calls, {"ports": [tcp(ADMIN_PORT)]}])
}

fn egress(ports: &BTreeSet<u16>, also: &[Value]) -> Value {
    let dns = json!({"ports": [{"port": DNS_PORT, "protocol": "UDP"}, tcp(DNS_PORT)]});
    let backing = json!({"ports": ports.iter().map(|port| tcp(*port)).collect::<Vec<_>>()});
    [dns, backing].into_iter().chain(also.iter().cloned()).collect()
}

fn tcp(port: u16) -> Value {
    json!({"port": port, "protocol": "TCP"})
}

/// The ports of what a service stands on.
fn service_ports(valid: &ValidPlatform, workload: Workload) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = valid
        .kafka
        .bootstrap_servers
        .split(',')
        .filter_map(|server| server.rsplit_once(':')?.1.parse().ok())
        .collect();
    ports.insert(valid.database.port);
    ports.insert(port_of(&valid.registry.url));
    ports.extend(valid.redis_of(workload).map(|redis| redis.port));
    ports.extend(valid.otlp.as_ref().map(|otlp| port_of(&otlp.endpoint)));
    ports
}

/// The port of a URL that was checked before.
fn port_of(url: &str) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let default = if scheme == "http" { 80 } else { 443 };
    authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(default)
}
