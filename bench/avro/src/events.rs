//! Events as the services write them.

use chrono::{DateTime, TimeDelta, Utc};
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use uuid::Uuid;

use crate::event::{
    Location, ProofOfDelivery, RiskReason, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged,
};

const SHIPMENT: Uuid = Uuid::from_u128(0x0198_c5a4_7d2e_7c3b_9f10_2a4b_6c8d_0e1f);

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_454) + TimeDelta::minutes(minute)
}

fn place(code: &str) -> Location {
    Location {
        code: code.to_owned(),
        facility: "Terminal C".to_owned(),
    }
}

pub(crate) fn created() -> ShipmentCreated {
    ShipmentCreated {
        shipment_id: SHIPMENT,
        seq: 1,
        account_id: "acme".to_owned(),
        actor: "ann".to_owned(),
        carrier: "UA".to_owned(),
        tracking_number: "1545".to_owned(),
        origin: place("EWR"),
        destination: place("IAH"),
        planned_departure: at(315),
        promised_arrival: at(530),
        recorded_at: at(0),
    }
}

pub(crate) fn changed() -> ShipmentStatusChanged {
    ShipmentStatusChanged {
        shipment_id: SHIPMENT,
        seq: 4,
        account_id: "acme".to_owned(),
        actor: "scanner-17".to_owned(),
        reported: Status::Delivered,
        status: Status::Delivered,
        classifier: Classifier::Actual,
        disposition: Disposition::Applied,
        occurred_at: at(541),
        recorded_at: at(542),
        location: Some(place("IAH")),
        reason: "weather".to_owned(),
        kind: Kind::Scan,
        retracts: None,
        delay: None,
        notice: None,
        proof: Some(ProofOfDelivery {
            signer: "Bob".to_owned(),
            image_ref: "s3://proofs/0198c5a4.jpg".to_owned(),
            signature_ref: String::new(),
        }),
        assignee: String::new(),
    }
}

pub(crate) fn assessed() -> ShipmentAssessed {
    let reason = |factor: &str, contribution| RiskReason {
        factor: factor.to_owned(),
        contribution,
        text: "33 of 77 arrivals with this carrier were late.".to_owned(),
    };
    ShipmentAssessed {
        shipment_id: SHIPMENT,
        seq: 2,
        account_id: "acme".to_owned(),
        risk: 0.42,
        reasons: vec![
            reason("overall_history", -0.91),
            reason("carrier_history", 0.16),
            reason("departure_delay", 1.32),
        ],
        estimated_arrival: at(541),
        earliest_arrival: at(530),
        latest_arrival: at(560),
        assessed_at: at(320),
    }
}
