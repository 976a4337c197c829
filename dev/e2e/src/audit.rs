//! Who asked the API server for what, from its audit log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::stage::OPERATOR_NAMESPACE;

/// A place in the audit log.
#[derive(Clone, Debug)]
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

/// A request that was answered, or a watch that was opened.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    stage: String,
    /// For example `patch`.
    pub verb: String,
    user: User,
    /// What it was about.
    #[serde(default)]
    pub object_ref: ObjectRef,
    #[serde(default)]
    response_status: Answer,
    /// When it came.
    #[serde(default)]
    pub request_received_timestamp: String,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    code: u16,
    message: String,
}

/// What a request was about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the audit log")]
pub struct ObjectRef {
    pub api_group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

impl ObjectRef {
    /// The resource with its subresource, as rules name it.
    #[must_use]
    pub fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

impl Request {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.response_status.code
    }

    /// What the API server said, where it refused.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.response_status.message
    }

    fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }
}

impl Mark {
    /// The beginning of the log.
    #[must_use]
    pub fn start(log: &Path) -> Self {
        Self {
            log: log.to_owned(),
            position: 0,
        }
    }

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

    /// Every request of the operator since then, its own lease's and watches included.
    pub fn operator_requests(&self) -> Result<Vec<Request>> {
        let mut file = File::open(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        file.seek(SeekFrom::Start(self.position))?;
        let operator = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:");
        let mut requests = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            if !line.contains(&operator) {
                continue;
            }
            // The last line may be half-written.
            let Ok(request) = serde_json::from_str::<Request>(&line) else {
                continue;
            };
            // A watch says at its end what it has said at its beginning.
            let told = request.stage == "ResponseComplete" || request.verb == "watch";
            if told && request.user.username.starts_with(&operator) {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    /// What the operator has written to a namespace since then: all but Events and its own leases. What the API server
    /// refused is no write.
    pub fn operator_writes(&self, namespace: &str) -> Result<Vec<Write>> {
        let counts = |request: &Request| {
            let about = &request.object_ref;
            request.is_write()
                && request.code() < 400
                && about.namespace == namespace
                && !matches!(about.resource.as_str(), "events" | "leases")
        };
        let requests = self.operator_requests()?;
        Ok(requests.into_iter().filter(counts).map(Write::from).collect())
    }

    /// What the operator has asked for since then in any namespace: all but watches, and its own lease.
    pub fn operator_at_work(&self) -> Result<Vec<Write>> {
        let counts = |request: &Request| request.verb != "watch" && request.object_ref.resource != "leases";
        let requests = self.operator_requests()?;
        Ok(requests.into_iter().filter(counts).map(Write::from).collect())
    }

    /// The writes to a namespace, once the operator has written nothing more for a while.
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

impl From<Request> for Write {
    fn from(request: Request) -> Self {
        Self {
            resource: request.object_ref.full_resource(),
            verb: request.verb,
            name: request.object_ref.name,
        }
    }
}
