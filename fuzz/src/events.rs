//! Events of all kinds, made from bytes.

use arbitrary::{Result, Unstructured};
use chrono::{DateTime, Utc};
use logistics_chassis::codec::{
    Location, ProofOfDelivery, RiskReason, ShipmentAssessed, ShipmentCreated, ShipmentStatusChanged,
};
use logistics_domain::delay::DelayReason;
use logistics_domain::status::{Classifier, Disposition, Kind, Status};
use uuid::Uuid;

/// 2026-01-01, in microseconds since 1970.
const NOW: i64 = 1_767_225_600_000_000;
const MINUTE: i64 = 60_000_000;

type Bytes<'a, 'b> = &'a mut Unstructured<'b>;

fn one_of<T: Copy>(bytes: Bytes<'_, '_>, all: &[T]) -> Result<T> {
    bytes.choose(all).copied()
}

fn maybe<T>(bytes: Bytes<'_, '_>, make: fn(Bytes<'_, '_>) -> Result<T>) -> Result<Option<T>> {
    if bytes.arbitrary()? {
        make(bytes).map(Some)
    } else {
        Ok(None)
    }
}

/// A time in microseconds, as events have it: mostly within weeks of now, sometimes any that there is.
pub(crate) fn time(bytes: Bytes<'_, '_>) -> Result<DateTime<Utc>> {
    let micros = match bytes.arbitrary::<u8>()? {
        0 => DateTime::<Utc>::MIN_UTC.timestamp_micros(),
        1 => DateTime::<Utc>::MAX_UTC.timestamp_micros(),
        2 => bytes.arbitrary()?,
        _ => NOW + i64::from(bytes.arbitrary::<i16>()?) * MINUTE,
    };
    Ok(DateTime::from_timestamp_micros(micros).unwrap_or_default())
}

fn text(bytes: Bytes<'_, '_>) -> Result<String> {
    bytes.arbitrary()
}

fn uuid(bytes: Bytes<'_, '_>) -> Result<Uuid> {
    Ok(Uuid::from_u128(u128::from(bytes.arbitrary::<u8>()?)))
}

fn code(bytes: Bytes<'_, '_>) -> Result<String> {
    Ok(one_of(bytes, &["EWR", "IAH", "ORD", ""])?.to_owned())
}

fn location(bytes: Bytes<'_, '_>) -> Result<Location> {
    Ok(Location {
        code: code(bytes)?,
        facility: text(bytes)?,
    })
}

fn reason(bytes: Bytes<'_, '_>) -> Result<DelayReason> {
    one_of(bytes, &DelayReason::ALL)
}

fn proof(bytes: Bytes<'_, '_>) -> Result<ProofOfDelivery> {
    Ok(ProofOfDelivery {
        signer: text(bytes)?,
        image_ref: text(bytes)?,
        signature_ref: text(bytes)?,
    })
}

pub(crate) fn created(bytes: Bytes<'_, '_>) -> Result<ShipmentCreated> {
    Ok(ShipmentCreated {
        shipment_id: uuid(bytes)?,
        seq: 1,
        planned_departure: time(bytes)?,
        promised_arrival: time(bytes)?,
        recorded_at: time(bytes)?,
        carrier: one_of(bytes, &["UA", "MQ"])?.to_owned(),
        origin: location(bytes)?,
        destination: location(bytes)?,
        account_id: text(bytes)?,
        actor: text(bytes)?,
        tracking_number: text(bytes)?,
    })
}

pub(crate) fn changed(bytes: Bytes<'_, '_>) -> Result<ShipmentStatusChanged> {
    Ok(ShipmentStatusChanged {
        shipment_id: uuid(bytes)?,
        seq: 2 + i64::from(bytes.arbitrary::<u32>()?),
        reported: one_of(bytes, &Status::ALL)?,
        status: one_of(bytes, &Status::ALL)?,
        classifier: one_of(bytes, &Classifier::ALL)?,
        disposition: one_of(bytes, &Disposition::ALL)?,
        occurred_at: time(bytes)?,
        recorded_at: time(bytes)?,
        location: maybe(bytes, location)?,
        kind: one_of(bytes, &Kind::ALL)?,
        retracts: maybe(bytes, uuid)?,
        delay: maybe(bytes, reason)?,
        notice: maybe(bytes, reason)?,
        proof: maybe(bytes, proof)?,
        account_id: text(bytes)?,
        actor: text(bytes)?,
        reason: text(bytes)?,
        assignee: text(bytes)?,
    })
}

pub(crate) fn assessed(bytes: Bytes<'_, '_>) -> Result<ShipmentAssessed> {
    let reason = |bytes: Bytes<'_, '_>| -> Result<RiskReason> {
        Ok(RiskReason {
            factor: text(bytes)?,
            contribution: bytes.arbitrary()?,
            text: text(bytes)?,
        })
    };
    Ok(ShipmentAssessed {
        shipment_id: uuid(bytes)?,
        seq: bytes.arbitrary()?,
        account_id: text(bytes)?,
        risk: bytes.arbitrary()?,
        reasons: (0..bytes.int_in_range(0..=3)?)
            .map(|_: u8| reason(bytes))
            .collect::<Result<_>>()?,
        estimated_arrival: time(bytes)?,
        earliest_arrival: time(bytes)?,
        latest_arrival: time(bytes)?,
        assessed_at: time(bytes)?,
    })
}
