//! Reads what the services say of the shipments that were sent.

use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result};
use chrono::DateTime;
use dev_flights::Leg;
use logistics_schemas::grpc::logistics::analytics::v1::{
    Assessment, GetAccuracyResponse, GetAssessmentRequest, Lane as LaneAnswer, ListLanesRequest,
};
use logistics_schemas::grpc::logistics::tracking::v1::GetTimelineRequest;
use logistics_schemas::grpc::logistics::r#type::v1::ShipmentEvent;
use prost_types::Timestamp;

use crate::call::{Caller, Services, patiently};
use crate::report::{Accuracy, Lane, Timeline};
use crate::send::Sent;

/// How many lanes are shown.
const LANES: i32 = 10;

/// The timeline and the assessment of the shipment that arrived latest against its promise.
pub(crate) async fn timeline(
    services: &Services,
    caller: &Caller,
    legs: &[Leg],
    sent: &Sent,
) -> Result<Timeline> {
    let (index, leg) = legs
        .iter()
        .enumerate()
        .max_by_key(|(_, leg)| leg.arrival_delay())
        .context("no legs")?;
    let id = sent
        .shipment_ids
        .get(&index)
        .context("the latest leg has no shipment id")?;
    let timeline = patiently(&AtomicU64::new(0), || {
        let mut client = services.tracking.clone();
        let request = caller.plain(GetTimelineRequest {
            shipment_id: id.clone(),
        });
        async move { client.get_timeline(request).await }
    })
    .await
    .context("GetTimeline")?;
    let assessment = patiently(&AtomicU64::new(0), || {
        let mut client = services.analytics.clone();
        let request = caller.plain(GetAssessmentRequest {
            shipment_id: id.clone(),
        });
        async move { client.get_assessment(request).await }
    })
    .await
    .context("GetAssessment")?
    .assessment
    .context("the answer to GetAssessment holds no assessment")?;
    let mut lines = vec![format!("promised {}", moment(timeline.promised_arrival.as_ref()))];
    lines.extend(assessment_lines(&assessment));
    Ok(Timeline {
        shipment_id: id.clone(),
        title: format!(
            "{} {}, {} → {}",
            leg.carrier, leg.flight, leg.origin, leg.destination
        ),
        events: timeline.events.iter().map(event_line).collect(),
        assessment: lines,
    })
}

/// The riskiest lanes of the account.
pub(crate) async fn lanes(services: &Services, caller: &Caller) -> Result<Vec<Lane>> {
    let answer = patiently(&AtomicU64::new(0), || {
        let mut client = services.analytics.clone();
        let request = caller.plain(ListLanesRequest { page_size: LANES });
        async move { client.list_lanes(request).await }
    })
    .await
    .context("ListLanes")?;
    Ok(answer.lanes.into_iter().map(Lane::from).collect())
}

impl From<LaneAnswer> for Lane {
    fn from(lane: LaneAnswer) -> Self {
        Self {
            lane: format!("{} {} → {}", lane.carrier, lane.origin, lane.destination),
            arrivals: lane.arrivals,
            late_share: lane.late_share,
            median_delay: lane.median_delay_minutes,
        }
    }
}

impl From<GetAccuracyResponse> for Accuracy {
    fn from(answer: GetAccuracyResponse) -> Self {
        Self {
            arrivals: answer.arrivals,
            promise: answer.mae_of_promise_minutes,
            at_creation: answer.mae_at_creation_minutes,
            in_transit: answer.mae_in_transit_minutes,
            interval_coverage: answer.interval_coverage,
        }
    }
}

fn event_line(event: &ShipmentEvent) -> [String; 4] {
    let short = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_owned();
    [
        moment(event.occurred_at.as_ref()),
        short(event.status().as_str_name(), "STATUS_"),
        event
            .location
            .as_ref()
            .map(|place| place.code.clone())
            .unwrap_or_default(),
        short(event.disposition().as_str_name(), "DISPOSITION_").to_lowercase(),
    ]
}

fn assessment_lines(assessment: &Assessment) -> Vec<String> {
    let mut lines = vec![
        format!(
            "estimated {}, between {} and {}",
            moment(assessment.estimated_arrival.as_ref()),
            moment(assessment.earliest_arrival.as_ref()),
            moment(assessment.latest_arrival.as_ref())
        ),
        format!("risk of over 15 minutes late: {:.0} %", assessment.risk * 100.0),
    ];
    lines.extend(
        assessment
            .reasons
            .iter()
            .map(|reason| format!("  {:+.2}  {}", reason.contribution, reason.text)),
    );
    if let Some(arrival) = &assessment.actual_arrival {
        lines.push(format!("arrived {}", moment(Some(arrival))));
    }
    lines
}

fn moment(time: Option<&Timestamp>) -> String {
    time.and_then(|time| DateTime::from_timestamp(time.seconds, 0))
        .map_or_else(
            || "-".to_owned(),
            |time| time.format("%Y-%m-%d %H:%M UTC").to_string(),
        )
}
