//! Requests to the tracking service.
//!
//! Input: the method, and whether the message is laid over a good one; the message.

use std::collections::HashSet;

use logistics_schemas::grpc::logistics::tracking::v1 as proto;
use logistics_tracking::request;

use super::refusal::{accepted, call, is_printable, is_text, request};

const METHODS: u8 = 4;
const ID: &str = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";

pub(crate) fn run(input: &[u8]) {
    let Some((method, over, message)) = call(input, METHODS) else {
        return;
    };
    match method {
        0 => timeline(over, message),
        1 => batch(over, message),
        2 => public(over, message),
        _ => stream(over, message),
    }
}

fn timeline(over: bool, message: &[u8]) {
    let template = proto::GetTimelineRequest {
        shipment_id: ID.to_owned(),
    };
    if let Some(asked) = request(over.then_some(template).as_ref(), message) {
        let _ = accepted(request::shipment_id(&asked.shipment_id));
    }
}

fn batch(over: bool, message: &[u8]) {
    let template = proto::BatchGetTimelinesRequest {
        shipment_ids: vec![ID.to_owned()],
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(ids) = accepted(request::shipment_ids(&asked.shipment_ids)) {
        assert!((1..=100).contains(&ids.len()));
        assert_eq!(ids.len(), asked.shipment_ids.len());
        assert_eq!(
            ids.iter().collect::<HashSet<_>>().len(),
            ids.len(),
            "an id is asked for twice"
        );
    }
}

fn public(over: bool, message: &[u8]) {
    let template = proto::GetPublicTimelineRequest {
        shipment_id: ID.to_owned(),
        tracking_number: "1545".to_owned(),
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some((_, number)) = accepted(request::public(&asked)) {
        assert!(is_text(&number, 1..=64, is_printable));
    }
}

fn stream(over: bool, message: &[u8]) {
    let template = proto::StreamTrackingRequest {
        shipment_id: ID.to_owned(),
        after_seq: 3,
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some((_, after)) = accepted(request::stream_start(&asked)) {
        assert!(after >= 0);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..METHODS)
        .flat_map(|method| [vec![method | 0x80], vec![method]])
        .collect();
    // Many ids, each wrong.
    seeds.push([vec![1], [0x0a, 0x02, b'x', b'y'].repeat(90)].concat());
    seeds
}
