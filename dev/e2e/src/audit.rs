//! Who asked the API server for what, from its audit log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::stage::{OPERATOR_NAMESPACE, OPERATOR_RELEASE};

/// A place in the audit log.
#[derive(Clone, Debug)]
pub struct Mark {
    log: PathBuf,
    position: u64,
}

/// From when to when something was away; times as the audit log writes them, which sort like text.
pub type Absence = (String, Option<String>);

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
        let operator = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:");
        let mut requests = self.read(|line| line.contains(&operator))?;
        requests.retain(|request| request.user.username.starts_with(&operator));
        Ok(requests)
    }

    /// The requests that were answered, and the watches that were opened, in the lines that may matter.
    fn read(&self, matters: impl Fn(&str) -> bool) -> Result<Vec<Request>> {
        let mut file = File::open(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        file.seek(SeekFrom::Start(self.position))?;
        let mut requests = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line?;
            // The last line may be half-written.
            if matters(&line)
                && let Ok(request) = serde_json::from_str::<Request>(&line)
                // A watch says at its end what it has said at its beginning.
                && (request.stage == "ResponseComplete" || request.verb == "watch")
            {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    /// The times in which the operator's role was not bound to it, because it was uninstalled.
    pub fn without_rights(&self) -> Result<Vec<Absence>> {
        let mut absences: Vec<Absence> = Vec::new();
        for request in self.read(|line| line.contains(r#""clusterrolebindings""#))? {
            let about = &request.object_ref;
            if about.name != OPERATOR_RELEASE || request.code() >= 400 {
                continue;
            }
            let at = request.request_received_timestamp;
            match request.verb.as_str() {
                "delete" => absences.push((at, None)),
                "create" | "patch" | "update" => {
                    if let Some((_, end @ None)) = absences.last_mut() {
                        *end = Some(at);
                    }
                }
                _ => {}
            }
        }
        Ok(absences)
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
