//! Operators that are broken on purpose: the checks must find each of them. What is broken is what goes over the wire, as
//! it would be if the operator were so.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use crate::api::{Request, Told};
use crate::wire::respond;

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// It takes writes for done that never were: the server answers them and does nothing.
    LosesWrites,
    /// It never learns that a child is gone.
    NeverForgets,
    /// It does not say which object it means: neither uid nor resourceVersion.
    IgnoresConflicts,
    /// It does not hear how long it has to wait.
    IgnoresRetryAfter,
    /// It writes every minute though nothing differs.
    WritesAlways,
    /// It never learns that the Lease is lost, as one that does not ask for the permit of a write.
    IgnoresLoss,
    /// It makes a new password whenever it is in doubt.
    ForgetsPasswords,
}

type Reply = Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>>;

impl Mutant {
    /// Changes a request.
    pub(crate) fn edit(self, request: &mut Request) {
        match self {
            Self::IgnoresConflicts if request.is_write() => request.edit(|body| {
                for field in ["/metadata", "/preconditions"] {
                    if let Some(Value::Object(map)) = body.pointer_mut(field) {
                        map.remove("uid");
                        map.remove("resourceVersion");
                    }
                }
            }),
            Self::ForgetsPasswords if request.is_apply() && request.plural == "secrets" => {
                request.edit(|body| {
                    // A create that does not mind what is there.
                    if let Some(Value::Object(meta)) = body.pointer_mut("/metadata") {
                        meta.remove("resourceVersion");
                    }
                });
            }
            _ => {}
        }
    }

    /// Whether a write is answered and not done.
    pub(crate) fn loses(self, request: &Request) -> bool {
        self == Self::LosesWrites && request.is_apply() && request.plural == "services"
    }

    /// The answer to a write that is not done.
    pub(crate) fn pretend(request: &Request, live: Option<&Value>) -> Reply {
        let mut object = request.object();
        object["metadata"]["uid"] = live.map_or(json!("pretended"), |live| live["metadata"]["uid"].clone());
        object["metadata"]["resourceVersion"] = "1000000".into();
        respond(200, &object)
    }

    /// Whether an event is kept from the operator.
    pub(crate) fn hides(self, told: &Told) -> bool {
        match self {
            Self::NeverForgets => told.event == "DELETED" && told.key.plural != "logisticsplatforms",
            Self::IgnoresLoss => told.key.plural == "leases",
            _ => false,
        }
    }

    /// Whether the operator believes that a write succeeded though it did not.
    pub(crate) fn is_blind_to_failure(self, request: &Request) -> bool {
        self == Self::IgnoresLoss && request.plural == "leases" && request.is_write()
    }

    /// How flow control answers.
    pub(crate) fn too_many(self, seconds: u64, as_status: bool) -> Reply {
        let mut reply = if as_status {
            let body = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "TooManyRequests", "code": 429,
                "message": "too many requests", "details": {"retryAfterSeconds": seconds},
            });
            respond(429, &body)?
        } else {
            let text = "Too many requests, please try again later.\n";
            let builder = Response::builder()
                .status(429)
                .header("content-type", "text/plain; charset=utf-8");
            builder.body(Body::from(text))?
        };
        reply.headers_mut().insert("retry-after", seconds.into());
        if self == Self::IgnoresRetryAfter {
            let (mut parts, _) = reply.into_parts();
            parts.headers.remove("retry-after");
            return Ok(Response::from_parts(parts, Body::from("Too many requests")));
        }
        Ok(reply)
    }
}
