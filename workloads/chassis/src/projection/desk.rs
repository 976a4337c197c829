//! The parked records over HTTP, on the control port: only this pod's own loopback reaches it, and through
//! `kubectl port-forward` whoever Kubernetes lets.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use logistics_schemas::dead_letters::{Refusal, SUBJECT_HEADER};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::redrive::{LogPlace, RedriveError};
use super::{Projection, Projector};

/// Time between two redrives or purges: they share the database with the service's own work.
const PACE: Duration = Duration::from_millis(20);

/// Longest page.
const LONGEST_PAGE: u16 = 500;

/// Longest name of who asks, in characters.
const LONGEST_SUBJECT: usize = 256;

struct Desk<P> {
    projection: Arc<Projection<P>>,
    /// When the next change may be made.
    next: Mutex<Instant>,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    all: bool,
    after: Option<String>,
    limit: Option<u16>,
}

/// The routes.
pub(super) fn routes<P: Projector>(projection: Arc<Projection<P>>) -> Router {
    let desk = Desk {
        projection,
        next: Mutex::new(Instant::now()),
    };
    Router::new()
        .route("/dlq", get(list::<P>))
        .route("/dlq/{topic}/{partition}/{offset}", get(show::<P>))
        .route("/dlq/{topic}/{partition}/{offset}/redrive", post(redrive::<P>))
        .route("/dlq/{topic}/{partition}/{offset}/purge", post(purge::<P>))
        .with_state(Arc::new(desk))
}

async fn list<P: Projector>(State(desk): State<Arc<Desk<P>>>, Query(listing): Query<Listing>) -> Response {
    let after = match listing.after.as_deref().map(parse) {
        None => None,
        Some(Some(place)) => Some(place),
        Some(None) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "after: give the id of a record: topic/partition/offset",
            );
        }
    };
    let limit = listing.limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
    answer(desk.projection.parked(listing.all, after.as_ref(), limit).await)
}

type Parts = (String, i32, i64);

async fn show<P: Projector>(State(desk): State<Arc<Desk<P>>>, Path(parts): Path<Parts>) -> Response {
    answer(desk.projection.content(&place(parts)).await)
}

async fn redrive<P: Projector>(
    State(desk): State<Arc<Desk<P>>>,
    Path(parts): Path<Parts>,
    headers: HeaderMap,
) -> Response {
    desk.take_turn().await;
    let place = place(parts);
    let subject = subject(&headers);
    tracing::info!(%place, subject, "redrive of a parked record");
    answer(desk.projection.redrive(&place, &subject).await)
}

async fn purge<P: Projector>(
    State(desk): State<Arc<Desk<P>>>,
    Path(parts): Path<Parts>,
    headers: HeaderMap,
) -> Response {
    desk.take_turn().await;
    let place = place(parts);
    let subject = subject(&headers);
    tracing::warn!(%place, subject, "purge of a parked record");
    answer(desk.projection.purge(&place, &subject).await)
}

impl<P> Desk<P> {
    async fn take_turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + PACE;
    }
}

fn place((topic, partition, offset): Parts) -> LogPlace {
    LogPlace {
        topic,
        partition,
        offset,
    }
}

/// `topic/partition/offset`.
fn parse(id: &str) -> Option<LogPlace> {
    let mut parts = id.rsplitn(3, '/');
    let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
    Some(place((
        topic.to_owned(),
        partition.parse().ok()?,
        offset.parse().ok()?,
    )))
}

/// Who asks, as they say.
fn subject(headers: &HeaderMap) -> String {
    let told = headers.get(SUBJECT_HEADER).and_then(|value| value.to_str().ok());
    told.unwrap_or("unknown").chars().take(LONGEST_SUBJECT).collect()
}

fn answer<T: serde::Serialize>(result: Result<T, RedriveError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => {
            let status = match &error {
                RedriveError::NotParked(_) => StatusCode::NOT_FOUND,
                RedriveError::NotFirst(..) | RedriveError::Gap(..) => StatusCode::CONFLICT,
                RedriveError::Projection(error) => {
                    tracing::warn!(%error, "a request about parked records failed");
                    return refuse(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the service cannot do it now, its log says why; try again",
                    );
                }
            };
            refuse(status, &error.to_string())
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    let error = error.to_owned();
    (status, Json(Refusal { error })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_place_in_the_log() {
        let place = parse("shipment.created/3/17").map(|place| place.to_string());
        assert_eq!(place.as_deref(), Some("shipment.created/3/17"));
        for wrong in ["", "a/b", "a/b/1", "a/1/b", "a/1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
