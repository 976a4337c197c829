//! Pod templates, under the restricted Pod Security standard.

use logistics_schemas::Workload;
use serde_json::{Value, json};

use super::config_map::Authority;
use super::{Context, overlay};
use crate::names::{ADMIN_PORT, GRPC_PORT, MIGRATE, REVISION, path};
use crate::validate::ValidTls;

/// The user, group and file group of all containers. Files of Secrets are readable for the group only.
const USER: u32 = 65532;

/// Mode 0440 of mounted Secrets.
const SECRET_MODE: u32 = 0o440;

/// Seconds from the stop signal to the kill; the workloads drain within it.
const GRACE_SECONDS: u32 = 45;

/// What the pods of a revision are spread over.
const SPREAD_OVER: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];

/// Seconds in which routes forget a pod before it is told to stop.
const UNROUTE_SECONDS: u32 = 3;

/// The pod template of a service's revision.
pub(super) fn service(context: Context<'_>, workload: Workload, revision: &str, config: &str) -> Value {
    let names = context.names;
    let valid = context.valid;
    let mut labels = names.component_labels(workload.name());
    labels.insert(REVISION.into(), revision.into());
    let settings = valid.workload(workload);
    labels.insert("app.kubernetes.io/version".into(), settings.version.clone());
    let mut files = Files::default();
    files.config_map(
        "config",
        &names.config(workload.name(), config),
        path::CONFIG,
        None,
    );
    files.secret("database", &names.credentials(workload), path::DATABASE);
    let auth = &valid.auth;
    files.config_map("auth", &auth.jwks_config_map, path::AUTH, Some(&auth.jwks_key));
    files.authority(Authority::Kafka, &valid.kafka.tls);
    files.authority(Authority::Registry, &valid.registry.tls);
    files.authority(Authority::Database, &valid.database.tls);
    if let Some(sasl) = &valid.kafka.sasl {
        files.secret("kafka", &sasl.secret, path::KAFKA);
    }
    if let Some(secret) = &valid.registry.secret {
        files.secret("registry", secret, path::REGISTRY);
    }
    if let Some(redis) = valid.redis_of(workload) {
        files.authority(Authority::Cache, &redis.tls);
        if let Some(secret) = &redis.secret {
            files.optional_secret("cache", secret, path::CACHE);
        }
    }
    let mut container = container(context, workload.name(), &valid.image(workload), &files);
    container["resources"] = json!(settings.resources);
    container["ports"] = json!([
        {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
        {"name": "http-admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
    ]);
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": {"path": path, "port": "http-admin", "scheme": "HTTP"},
            "periodSeconds": period, "timeoutSeconds": 2, "failureThreshold": failures,
        })
    };
    container["startupProbe"] = probe("/livez", 1, 120);
    container["readinessProbe"] = probe("/readyz", 2, 3);
    container["livenessProbe"] = probe("/livez", 10, 3);
    container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": UNROUTE_SECONDS}}});
    let mut spec = pod_spec(context, &names.workload(workload), &container, &files);
    spec["terminationGracePeriodSeconds"] = json!(GRACE_SECONDS);
    spec["topologySpreadConstraints"] = SPREAD_OVER
        .iter()
        .map(|topology| {
            json!({
                // A cluster of one zone or one node must still be able to run everything.
                "maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(workload, revision)},
            })
        })
        .collect();
    let mut template = json!({"metadata": {"labels": labels}, "spec": spec});
    if let Some(over) = &settings.pod_template {
        overlay::merge(&mut template, over);
    }
    template
}

/// The pod template of the migration: it alone sees the database owner's credentials.
pub(super) fn migration(context: Context<'_>, hash: &str, config_map: &str) -> Value {
    let names = context.names;
    let mut labels = names.component_labels(MIGRATE);
    labels.insert(REVISION.into(), hash.into());
    labels.insert("app.kubernetes.io/version".into(), context.valid.version.clone());
    let mut files = Files::default();
    files.config_map("config", config_map, path::CONFIG, None);
    files.secret("admin", &context.valid.database.owner_secret, path::ADMIN);
    for workload in Workload::ALL {
        let folder = format!("{}/{workload}", path::ROLES);
        files.secret(&format!("role-{workload}"), &names.credentials(workload), &folder);
    }
    files.authority(Authority::Database, &context.valid.database.tls);
    let mut container = container(context, MIGRATE, &context.valid.migration_image(), &files);
    container["args"] = json!([MIGRATE]);
    container["resources"] =
        json!({"requests": {"cpu": "25m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}});
    let mut spec = pod_spec(context, &names.migrate(), &container, &files);
    spec["restartPolicy"] = json!("Never");
    json!({"metadata": {"labels": labels}, "spec": spec})
}

fn container(context: Context<'_>, name: &str, image: &str, files: &Files) -> Value {
    let field = |name: &str, path: String| json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}});
    json!({
        "name": name,
        "image": image,
        "imagePullPolicy": context.valid.image.pull_policy.as_str(),
        "env": [
            {"name": "LOGISTICS_CONFIG", "value": format!("{}/{}", path::CONFIG, path::CONFIG_FILE)},
            field("LOGISTICS_REVISION", format!("metadata.labels['{REVISION}']")),
            field("POD_NAME", "metadata.name".into()),
        ],
        "volumeMounts": files.mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

fn pod_spec(context: Context<'_>, service_account: &str, container: &Value, files: &Files) -> Value {
    let mut spec = json!({
        "serviceAccountName": service_account,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": files.volumes,
    });
    let secrets = &context.valid.image.pull_secrets;
    if !secrets.is_empty() {
        spec["imagePullSecrets"] = secrets.iter().map(|name| json!({"name": name})).collect();
    }
    spec
}

/// Mounted files of a pod.
#[derive(Default)]
struct Files {
    volumes: Vec<Value>,
    mounts: Vec<Value>,
}

impl Files {
    fn mount(&mut self, name: &str, path: &str) {
        self.mounts
            .push(json!({"name": name, "mountPath": path, "readOnly": true}));
    }

    fn secret(&mut self, name: &str, secret: &str, path: &str) {
        let items = json!([{"key": "username", "path": "username"}, {"key": "password", "path": "password"}]);
        let source = json!({"secretName": secret, "defaultMode": SECRET_MODE, "items": items});
        self.volumes.push(json!({"name": name, "secret": source}));
        self.mount(name, path);
    }

    /// The same of a Secret that may lack keys, or be gone: nothing depends on it.
    fn optional_secret(&mut self, name: &str, secret: &str, path: &str) {
        self.secret(name, secret, path);
        if let Some(volume) = self.volumes.last_mut() {
            volume["secret"]["optional"] = true.into();
        }
    }

    /// Mounts a ConfigMap, or one key of it.
    fn config_map(&mut self, name: &str, config_map: &str, path: &str, key: Option<&str>) {
        let mut source = json!({"name": config_map});
        if let Some(key) = key {
            source["items"] = json!([{"key": key, "path": key}]);
        }
        self.volumes.push(json!({"name": name, "configMap": source}));
        self.mount(name, path);
    }

    fn authority(&mut self, authority: Authority, tls: &ValidTls) {
        if let ValidTls::Authority { config_map, key } = tls {
            let name = format!("ca-{}", authority.folder());
            self.config_map(&name, config_map, &authority.path().to_string_lossy(), Some(key));
        }
    }
}
