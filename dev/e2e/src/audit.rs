//! Who wrote what, from the API server's audit log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::stage::OPERATOR_NAMESPACE;

/// A place in the audit log.
pub struct Mark {
    log: PathBuf,
    position: u64,
}

/// A write that the operator has made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// For example `patch`.
    pub verb: String,
    /// For example `services`, or `logisticsplatforms/status`.
    pub resource: String,
    /// Name of the object; empty for a creation by POST.
    pub name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

impl Mark {
    /// The end of the log as it is now.
    pub fn now(log: &Path) -> Result<Self> {
        let length = std::fs::metadata(log)
            .with_context(|| format!("read {}", log.display()))?
            .len();
        Ok(Self {
            log: log.to_owned(),
            position: length,
        })
    }

    /// What the operator has written to a namespace since then: all but Events and its own leases.
    pub fn operator_writes(&self, namespace: &str) -> Result<Vec<Write>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.position))?;
        let operator = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:");
        let mut writes = Vec::new();
        for line in BufReader::new(file).lines() {
            // The last line may be half-written.
            let Ok(entry) = serde_json::from_str::<Entry>(&line?) else {
                continue;
            };
            let written = matches!(
                entry.verb.as_str(),
                "create" | "update" | "patch" | "delete" | "deletecollection"
            );
            let counts = entry.stage == "ResponseComplete"
                && entry.user.username.starts_with(&operator)
                && entry.object_ref.namespace == namespace
                && !matches!(entry.object_ref.resource.as_str(), "events" | "leases");
            if written && counts {
                writes.push(Write::from(entry));
            }
        }
        Ok(writes)
    }
}

impl Mark {
    /// The same, once the operator has written nothing more for a while.
    pub async fn operator_writes_at_rest(
        &self,
        namespace: &str,
        quiet: Duration,
        limit: Duration,
    ) -> Result<Vec<Write>> {
        let start = Instant::now();
        let mut last = (self.operator_writes(namespace)?, Instant::now());
        while last.1.elapsed() < quiet {
            ensure!(
                start.elapsed() < limit,
                "the operator does not come to rest: it has written {:?}",
                last.0
            );
            tokio::time::sleep(quiet / 10).await;
            let writes = self.operator_writes(namespace)?;
            if writes != last.0 {
                last = (writes, Instant::now());
            }
        }
        Ok(last.0)
    }
}

impl From<Entry> for Write {
    fn from(entry: Entry) -> Self {
        let ObjectRef {
            resource,
            subresource,
            name,
            ..
        } = entry.object_ref;
        let resource = if subresource.is_empty() {
            resource
        } else {
            format!("{resource}/{subresource}")
        };
        Self {
            verb: entry.verb,
            resource,
            name,
        }
    }
}
