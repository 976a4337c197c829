//! The operator's connection to the fake API server, on which faults happen.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures::{Future, StreamExt};
use http::Response;
use logistics_operator::retry_after::RetryAfterLayer;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::Layer;

use crate::api::{self, Answer, Refusal, Request, Store};
use crate::faults::{Fault, Faults, WatchFault};
use crate::lease::LeaseNews;
use crate::monitor::{Deed, Monitor};
use crate::mutant::Mutant;
use crate::spoil::spoil;

/// All that a schedule is made of.
pub(crate) struct World {
    /// The cluster.
    pub store: Arc<Store>,
    /// What goes wrong.
    pub faults: Faults,
    /// What is noted.
    pub monitor: Monitor,
    /// What is broken on purpose.
    pub mutant: Mutant,
}

/// A connection of one instance of the operator.
#[derive(Clone)]
pub(crate) struct Wire {
    world: Arc<World>,
    instance: u32,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Reply = Result<Response<Body>, Failure>;

impl Wire {
    pub(crate) fn new(world: Arc<World>, instance: u32) -> Self {
        Self { world, instance }
    }

    /// A client on this connection.
    pub(crate) fn client(self) -> kube::Client {
        kube::Client::new(RetryAfterLayer.layer(self), "default")
    }

    /// Serves a request; what it does goes on when the client gives up.
    async fn serve(self, request: http::Request<kube::client::Body>, reply: oneshot::Sender<Reply>) {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap_or_default();
        let mut request = Request::new(&parts, body.to_vec());
        self.world.mutant.edit(&mut request);
        let monitor = &self.world.monitor;
        let scope = scope(&request);
        monitor.asked(&request, scope.as_deref(), self.instance);
        let what = label(&request);
        let begun = Instant::now();
        let fault = self.world.faults.request(&what, request.is_write());
        if fault != Fault::None {
            monitor.met_fault();
            monitor.note(format_args!("{request} meets {fault:?}"));
        }
        let mut answer = self.meet(&request, scope, fault).await;
        if self.world.mutant.is_blind_to_failure(&request)
            && !answer.as_ref().is_ok_and(|answer| answer.status().is_success())
        {
            answer = Mutant::pretend(&request, self.world.store.get(&request.key()).as_deref());
        }
        let news = answer.as_ref().ok().and_then(|answer| answer.extensions().get());
        let news: Option<LeaseNews> = news.cloned();
        // What nobody hears tells nothing.
        if reply.send(answer).is_ok()
            && let Some(news) = news
        {
            monitor.lease(self.instance, &news, request.is_write().then_some(begun));
        }
    }

    /// Answers a request that meets a fault.
    async fn meet(&self, request: &Request, scope: Option<String>, fault: Fault) -> Reply {
        let monitor = &self.world.monitor;
        match fault {
            Fault::None => self.answer(request, self.world.mutant),
            Fault::Conflict => refuse(&Refusal::conflict(
                &request.plural,
                &request.key().name,
                "try again",
            )),
            Fault::TooMany(seconds, as_status) => {
                if let Some(scope) = scope {
                    monitor.paused(scope, self.instance, Duration::from_secs(seconds));
                }
                self.world.mutant.too_many(seconds, as_status)
            }
            Fault::ServerError(500) => refuse(&Refusal::internal()),
            Fault::ServerError(_) => refuse(&Refusal::unavailable()),
            Fault::Cut => broken(),
            Fault::Lost => {
                let _ = self.act(request);
                broken()
            }
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                self.answer(request, self.world.mutant)
            }
            Fault::Late(pause) => {
                let answer = self.act(request);
                tokio::time::sleep(pause).await;
                self.deliver(request, answer)
            }
            Fault::Ghost(pause) => {
                tokio::time::sleep(pause).await;
                let _ = self.act(request);
                // The client has given up long before.
                tokio::time::sleep(Duration::from_mins(1)).await;
                broken()
            }
        }
    }

    /// Does what is asked.
    fn act(&self, request: &Request) -> Answer {
        let World { store, monitor, .. } = &*self.world;
        if !request.is_write() {
            return api::serve(store, request, self.world.faults.weather.page_size);
        }
        let key = request.key();
        let before = store.get(&key);
        let answer = api::serve(store, request, usize::MAX);
        let after = store.get(&key);
        let granted = matches!(answer, Answer::Body(..));
        let outcome = match &answer {
            Answer::Refused(refusal) => format!("{} {}", refusal.code, refusal.message),
            _ if before == after => "unchanged".to_owned(),
            _ => version(after.as_deref()).map_or("gone".to_owned(), |version| format!("v{version}")),
        };
        monitor.note(format_args!("{request}: {outcome}"));
        monitor.wrote(&Deed {
            request,
            key: &key,
            before: before.as_deref(),
            after: after.as_deref(),
            granted,
        });
        answer
    }

    fn answer(&self, request: &Request, mutant: Mutant) -> Reply {
        if request.is_write() && mutant.loses(request) {
            return Mutant::pretend(request, self.world.store.get(&request.key()).as_deref());
        }
        let answer = self.act(request);
        self.deliver(request, answer)
    }

    fn deliver(&self, request: &Request, answer: Answer) -> Reply {
        match answer {
            Answer::Refused(refusal) => {
                let mut reply = refuse(&refusal)?;
                if request.plural == "leases" && request.verb() == "get" {
                    reply.extensions_mut().insert(lease_news(&Value::Null));
                }
                Ok(reply)
            }
            Answer::Body(code, object) => {
                if let Some(version) = version(Some(&object)).filter(|_| request.verb() != "list") {
                    self.world.monitor.told(&request.key(), version);
                }
                for item in object["items"].as_array().into_iter().flatten() {
                    let mut key = request.key();
                    let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
                    (key.name, key.namespace) = (text("name"), text("namespace"));
                    self.world
                        .monitor
                        .told(&key, version(Some(item)).unwrap_or_default());
                }
                let mut reply = respond(code, &object)?;
                if request.plural == "leases" && request.verb() != "list" {
                    reply.extensions_mut().insert(lease_news(&object));
                }
                Ok(reply)
            }
            Answer::Watch(watch) => {
                let fault = self.world.faults.watch(&label(request));
                if fault != WatchFault::None {
                    self.world.monitor.met_fault();
                    self.world.monitor.note(format_args!("{request} meets {fault:?}"));
                }
                let mutant = self.world.mutant;
                let told = api::watch(self.world.store.clone(), watch);
                let told = told.filter(move |told| std::future::ready(!mutant.hides(told)));
                let (world, instance) = (self.world.clone(), self.instance);
                let lines = spoil(told, fault, self.world.faults.until()).map(move |told| {
                    let told = told?;
                    if told.version > 0 {
                        world.monitor.told(&told.key, told.version);
                        // That it was deleted makes the operator look.
                        if told.key.plural == "leases" && matches!(told.event, "ADDED" | "MODIFIED") {
                            let line: Value = serde_json::from_str(&told.line).unwrap_or_default();
                            world.monitor.lease(instance, &lease_news(&line["object"]), None);
                        }
                    }
                    Ok::<_, std::io::Error>(told.line)
                });
                Ok(Response::new(Body::from_stream(lines)))
            }
        }
    }
}

impl tower::Service<http::Request<kube::client::Body>> for Wire {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let (reply, answer) = oneshot::channel();
        tokio::spawn(self.clone().serve(request, reply));
        Box::pin(async move { answer.await? })
    }
}

/// What has to wait when the server asks for it: the writes for a platform, or the watch of a kind.
fn scope(request: &Request) -> Option<String> {
    // Discovery; and Events.
    if request.plural.is_empty() || request.plural == "events" {
        // Each is sent once, at the same time as others, and is lost when it is refused: none is tried again.
        return None;
    }
    if request.plural == "leases" || request.verb() == "get" {
        return Some(request.to_string());
    }
    if request.name.is_some() {
        // Names of children begin with the platform's.
        let name = request.name.as_deref().unwrap_or_default();
        return Some(format!("platform {}", name.split('-').next().unwrap_or_default()));
    }
    Some(format!("watch {}", request.watched()))
}

/// What a request is, without what differs from run to run: the digests in names.
fn label(request: &Request) -> String {
    // The names of Events are times.
    let name = request
        .name
        .clone()
        .filter(|_| request.plural != "events")
        .unwrap_or_default();
    let digest = |part: &&str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<_> = name.split('-').filter(|part| !digest(part)).collect();
    format!("{} {} {}", request.verb(), request.plural, parts.join("-"))
}

fn version(object: Option<&Value>) -> Option<u64> {
    object?["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

pub(crate) fn respond(code: u16, body: &Value) -> Reply {
    let builder = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    Ok(builder.body(Body::from(body.to_string()))?)
}

fn refuse(refusal: &Refusal) -> Reply {
    respond(refusal.code, &refusal.to_json())
}

/// What a Lease tells its reader.
fn lease_news(lease: &Value) -> LeaseNews {
    LeaseNews {
        holder: lease["spec"]["holderIdentity"].as_str().map(str::to_owned),
        version: version(Some(lease)).unwrap_or_default(),
    }
}

fn broken() -> Reply {
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
}
