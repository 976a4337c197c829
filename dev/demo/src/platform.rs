//! The platform itself: applies the custom resource and waits until it is Ready.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde::Deserialize as _;
use serde_json::{Value, json};

const FIELD_MANAGER: &str = "dev-demo";
const PAUSE: Duration = Duration::from_millis(250);

/// One condition of the status.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// For example `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
    /// The generation it speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}

/// The platform was not Ready in time.
#[derive(Debug)]
pub struct NotReady {
    waited: Duration,
    conditions: Vec<Condition>,
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the platform was not Ready after {} s", self.waited.as_secs())?;
        if self.conditions.is_empty() {
            write!(
                f,
                "; its status is empty: does the operator run? (`kubectl -n logistics-system get pods`)"
            )?;
        }
        self.conditions
            .iter()
            .try_for_each(|condition| write!(f, "\n  {condition}"))
    }
}

impl std::error::Error for NotReady {}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={} {}", self.kind, self.status, self.reason)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

/// What kind of object a platform is.
#[must_use]
pub fn kind() -> ApiResource {
    let kind = GroupVersionKind::gvk("logistics-platform.io", "v1alpha1", "LogisticsPlatform");
    ApiResource::from_gvk_with_plural(&kind, "logisticsplatforms")
}

/// The platforms of a namespace.
#[must_use]
pub fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind())
}

/// Images that take the place of the sample's.
#[derive(Clone, Debug, Default)]
pub struct Release {
    /// For `spec.version`.
    pub version: Option<String>,
    /// For `spec.image.repository`.
    pub repository: Option<String>,
}

/// The Secret of a platform with the credentials for Redis.
#[must_use]
pub fn redis_secret(platform: &str) -> String {
    format!("{platform}-redis")
}

/// The Secret of a platform with the user of Kafka.
#[must_use]
pub fn kafka_secret(platform: &str) -> String {
    format!("{platform}-kafka")
}

/// Has a platform say who it is to the Kafka of the development cluster.
pub fn use_kafka_user(platform: &mut Value) {
    let name = platform["metadata"]["name"].as_str().unwrap_or_default();
    let secret = kafka_secret(name);
    let kafka = &mut platform["spec"]["kafka"];
    kafka["bootstrapServers"] = json!("kafka.backing.svc:9096");
    kafka["sasl"] = json!({"credentials": {"secretRef": {"name": secret}}});
}

/// Has a platform keep timelines in the Redis of the development cluster.
pub fn use_cache(platform: &mut Value) {
    let name = platform["metadata"]["name"].as_str().unwrap_or_default();
    platform["spec"]["cache"] = json!({"redis": {
        "host": "redis.backing.svc",
        "tls": {"caConfigMapRef": {"name": "backing-ca"}},
        "credentials": {"secretRef": {"name": redis_secret(name)}},
    }});
}

/// Reads the sample, under a name, with other images where these are given.
pub fn sample(path: &Path, namespace: &str, name: &str, release: &Release) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("--sample {}: read it", path.display()))?;
    let mut platform = None;
    for document in serde_norway::Deserializer::from_str(&text) {
        let document =
            Value::deserialize(document).with_context(|| format!("--sample {}", path.display()))?;
        if document["kind"] == "LogisticsPlatform" {
            ensure!(
                platform.is_none(),
                "--sample {}: more than one LogisticsPlatform",
                path.display()
            );
            platform = Some(document);
        }
    }
    let Some(mut platform) = platform else {
        bail!("--sample {}: no LogisticsPlatform in it", path.display());
    };
    platform["metadata"]["name"] = json!(name);
    platform["metadata"]["namespace"] = json!(namespace);
    if let Some(version) = &release.version {
        platform["spec"]["version"] = json!(version);
    }
    if let Some(repository) = &release.repository {
        platform["spec"]["image"]["repository"] = json!(repository);
    }
    Ok(platform)
}

/// Applies a platform, by server-side apply.
pub async fn apply(client: &Client, platform: &Value) -> Result<DynamicObject> {
    let field = |name: &str| {
        platform["metadata"][name]
            .as_str()
            .with_context(|| format!("metadata.{name} is missing"))
    };
    let (namespace, name) = (field("namespace")?, field("name")?);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api(client, namespace)
        .patch(name, &parameters, &Patch::Apply(platform))
        .await
        .with_context(|| format!("apply LogisticsPlatform {namespace}/{name}; is the operator installed?"))
}

/// Waits until the status says Ready of the newest generation; tells each change of a condition.
pub async fn ready(
    client: &Client,
    namespace: &str,
    name: &str,
    limit: Duration,
    tell: impl Fn(Duration, &Condition),
) -> Result<DynamicObject> {
    let api = api(client, namespace);
    let start = Instant::now();
    let mut told: Vec<Condition> = Vec::new();
    loop {
        let platform = api
            .get(name)
            .await
            .with_context(|| format!("read LogisticsPlatform {namespace}/{name}"))?;
        let conditions = conditions(&platform);
        for condition in &conditions {
            let same = |old: &Condition| {
                (&old.kind, &old.status, &old.reason)
                    == (&condition.kind, &condition.status, &condition.reason)
            };
            if !told.iter().any(same) {
                tell(start.elapsed(), condition);
            }
        }
        if is_ready(&platform, &conditions) {
            return Ok(platform);
        }
        if start.elapsed() > limit {
            return Err(NotReady {
                waited: limit,
                conditions,
            }
            .into());
        }
        told = conditions;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The conditions of a platform's status.
#[must_use]
pub fn conditions(platform: &DynamicObject) -> Vec<Condition> {
    let list = platform.data["status"]["conditions"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(|value| Condition::deserialize(value).ok())
        .collect()
}

fn is_ready(platform: &DynamicObject, conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| {
        condition.kind == "Ready"
            && condition.status == "True"
            && condition.observed_generation >= platform.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(generation: i64, status: &str, observed: i64) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "logistics-platform.io/v1alpha1", "kind": "LogisticsPlatform",
            "metadata": {"name": "acme", "generation": generation},
            "status": {"conditions": [{"type": "Ready", "status": status, "observedGeneration": observed}]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_counts_only_for_the_newest_generation() {
        let ready = |platform: DynamicObject| is_ready(&platform, &conditions(&platform));
        assert!(ready(platform(2, "True", 2)));
        assert!(!ready(platform(2, "True", 1)));
        assert!(!ready(platform(2, "False", 2)));
    }

    #[test]
    fn the_sample_takes_another_name_and_version() {
        let file = std::env::temp_dir().join(format!("dev-demo-sample-{}.yaml", std::process::id()));
        std::fs::write(
            &file,
            "kind: ConfigMap\n---\nkind: LogisticsPlatform\nspec: {version: '1'}\n",
        )
        .unwrap();
        let release = Release {
            version: Some("2".into()),
            repository: Some("r".into()),
        };
        let platform = sample(&file, "n", "p", &release);
        std::fs::write(&file, "kind: ConfigMap\n").unwrap();
        let none = sample(&file, "n", "p", &Release::default());
        std::fs::remove_file(&file).unwrap();
        let platform = platform.unwrap();
        assert_eq!(
            platform["spec"],
            json!({"version": "2", "image": {"repository": "r"}})
        );
        assert_eq!(platform["metadata"], json!({"name": "p", "namespace": "n"}));
        assert!(none.unwrap_err().to_string().contains("no LogisticsPlatform"));
    }
}
