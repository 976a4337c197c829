//! Requests to the analytics service.
//!
//! Input: the method, and whether the message is laid over a good one; the message.

use logistics_analytics::request;
use logistics_domain::anomaly::Kind;
use logistics_schemas::grpc::logistics::analytics::v1 as proto;

use super::refusal::{accepted, call, request};

const METHODS: u8 = 3;
const ID: &str = "0198c5a4-7d2e-7c3b-9f10-2a4b6c8d0e1f";

pub(crate) fn run(input: &[u8]) {
    let Some((method, over, message)) = call(input, METHODS) else {
        return;
    };
    match method {
        0 => assessment(over, message),
        1 => lanes(over, message),
        _ => anomalies(over, message),
    }
}

fn assessment(over: bool, message: &[u8]) {
    let template = proto::GetAssessmentRequest {
        shipment_id: ID.to_owned(),
    };
    if let Some(asked) = request(over.then_some(template).as_ref(), message) {
        let _ = accepted(request::assessment(&asked));
    }
}

fn lanes(over: bool, message: &[u8]) {
    let template = proto::ListLanesRequest { page_size: 5 };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(limit) = accepted(request::lanes(&asked)) {
        assert!((1..=100).contains(&limit));
        assert!(asked.page_size == 0 || i32::from(limit) == asked.page_size);
    }
}

fn anomalies(over: bool, message: &[u8]) {
    let template = proto::ListAnomaliesRequest {
        shipment_id: ID.to_owned(),
        kind: proto::AnomalyKind::Dwell.into(),
        page_size: 5,
    };
    let Some(asked) = request(over.then_some(template).as_ref(), message) else {
        return;
    };
    if let Some(filter) = accepted(request::anomalies(&asked, "acme")) {
        assert_eq!(filter.account_id, "acme");
        assert!((1..=500).contains(&filter.limit));
        assert_eq!(filter.shipment_id.is_none(), asked.shipment_id.is_empty());
        let name = filter.kind.map_or("UNSPECIFIED", Kind::as_str);
        assert_eq!(asked.kind().as_str_name(), format!("ANOMALY_KIND_{name}"));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    (0..METHODS)
        .flat_map(|method| [vec![method | 0x80], vec![method], vec![method | 0x80, 0x18, 0x01]])
        .collect()
}
