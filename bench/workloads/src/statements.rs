//! The SQL of a durable create, as the service has it.

use anyhow::Result;
use chrono::{DateTime, Utc};
use logistics_chassis::outbox::shard_of;
use logistics_chassis::writes::Writes;
use logistics_schemas::grpc::logistics::shipment::v1::{CreateShipmentResponse, Shipment};
use prost::Message as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../peers/sql/", $name, ".sql"))
    };
}

const REPLAY: &str = sql!("many/replay");
/// The next rows of the outbox.
pub(crate) const UNSENT: &str = sql!("unsent");
/// Deletes rows of the outbox.
pub(crate) const SENT: &str = sql!("sent");

/// Creates that share a transaction. All are alike but for their ids and keys.
pub(crate) struct Creates {
    rows: Vec<Row>,
    now: DateTime<Utc>,
    response: Vec<u8>,
    headers: Value,
}

struct Row {
    shipment: Uuid,
    event: Uuid,
    key: String,
}

impl Row {
    fn new() -> Self {
        let shipment = Uuid::now_v7();
        Self {
            shipment,
            event: Uuid::now_v7(),
            key: shipment.to_string(),
        }
    }
}

const ACCOUNT: &str = "acct-1";
const SUBJECT: &str = "bench";
const METHOD: &str = "CreateShipment";
const HASH: &[u8] = &[7; 32];
const PAYLOAD: &[u8] = &[7; 100];

impl Creates {
    /// So many, as long as those of the service.
    pub(crate) fn new(length: usize) -> Self {
        let order = logistics_testbed::order("");
        let now = Utc::now();
        let id = Uuid::now_v7().to_string();
        #[allow(clippy::needless_update, reason = "fields of later versions stay empty")]
        let response = CreateShipmentResponse {
            shipment: Some(Shipment {
                shipment_id: id.clone(),
                account_id: ACCOUNT.to_owned(),
                carrier: order.carrier,
                tracking_number: order.tracking_number,
                origin: order.origin,
                destination: order.destination,
                planned_departure: order.planned_departure,
                promised_arrival: order.promised_arrival,
                status: 1,
                seq: 1,
                created_at: order.planned_departure,
                updated_at: order.planned_departure,
                ..Shipment::default()
            }),
        };
        Self {
            rows: std::iter::repeat_with(Row::new).take(length).collect(),
            now,
            response: response.encode_to_vec(),
            headers: json!([
                ["ce_specversion", "1.0"],
                ["ce_id", id],
                ["ce_source", "/logistics/test/bench/shipment"],
                ["ce_type", "logistics.shipment.created"],
                ["ce_time", "2026-01-01T00:00:00.000000Z"],
                ["ce_partitionkey", id],
                ["ce_sequence", "1"],
                ["content-type", "application/avro"],
            ]),
        }
    }

    /// Writes them with fresh ids, in the two statements that the service has for it. The second is a transaction.
    pub(crate) async fn write(&mut self, pool: &PgPool) -> Result<()> {
        self.now = Utc::now();
        self.rows.fill_with(Row::new);
        let mut connection = pool.acquire().await?;
        let same = |value: &'static str| vec![value; self.rows.len()];
        let keys: Vec<_> = self.rows.iter().map(|row| row.key.as_str()).collect();
        sqlx::query(REPLAY)
            .bind(same(ACCOUNT))
            .bind(same(SUBJECT))
            .bind(same(METHOD))
            .bind(keys)
            .execute(&mut *connection)
            .await?;
        let mut writes = Writes::default();
        self.answers(&mut writes);
        self.shipments(&mut writes);
        self.events(&mut writes);
        self.leaves(&mut writes);
        self.outbox(&mut writes);
        writes.execute(&mut *connection).await?;
        Ok(())
    }

    fn answers(&self, writes: &mut Writes) {
        writes
            .insert("idempotency", &self.rows)
            .column("account_id", |_| ACCOUNT)
            .column("subject", |_| SUBJECT)
            .column("method", |_| METHOD)
            .column("key", |row| row.key.as_str())
            .column("request_hash", |_| HASH)
            .column("response", |_| self.response.as_slice())
            .end();
    }

    fn shipments(&self, writes: &mut Writes) {
        writes
            .insert("shipments", &self.rows)
            .column("shipment_id", |row| row.shipment)
            .column("account_id", |_| ACCOUNT)
            .column("created_by", |_| SUBJECT)
            .column("carrier", |_| "UA")
            .column("tracking_number", |_| "1545")
            .column("origin_code", |_| "EWR")
            .column("origin_facility", |_| "")
            .column("destination_code", |_| "IAH")
            .column("destination_facility", |_| "")
            .column("planned_departure", |_| self.now)
            .column("promised_arrival", |_| self.now)
            .column("status", |_| "CREATED")
            .column("newest_applied", |_| None::<DateTime<Utc>>)
            .column("before_exception", |_| None::<&str>)
            .column("seq", |_| 1_i64)
            .column("created_at", |_| self.now)
            .column("updated_at", |_| self.now)
            .column("newest_seen", |_| None::<DateTime<Utc>>)
            .column("delay", |_| None::<&str>)
            .column("assignee", |_| "")
            .end();
    }

    fn events(&self, writes: &mut Writes) {
        writes
            .insert("shipment_events", &self.rows)
            .column("shipment_id", |row| row.shipment)
            .column("seq", |_| 1_i64)
            .column("event_id", |row| row.event)
            .column("reported", |_| "CREATED")
            .column("classifier", |_| "ACTUAL")
            .column("disposition", |_| "APPLIED")
            .column("occurred_at", |_| self.now)
            .column("recorded_at", |_| self.now)
            .column("location_code", |_| "EWR")
            .column("location_facility", |_| "")
            .column("reason", |_| "")
            .column("actor", |_| SUBJECT)
            .column("kind", |_| "ORDER")
            .column("retracts", |_| None::<Uuid>)
            .column("notice", |_| None::<&str>)
            .column("proof_signer", |_| None::<&str>)
            .column("proof_image_ref", |_| None::<&str>)
            .column("proof_signature_ref", |_| None::<&str>)
            .column("assignee", |_| "")
            .end();
    }

    fn leaves(&self, writes: &mut Writes) {
        writes
            .insert("audit_leaves", &self.rows)
            .column("id", |row| row.event)
            .column("recorded_at", |_| self.now)
            .column("account_id", |_| ACCOUNT)
            .column("subject", |_| SUBJECT)
            .column("roles", |_| "admin,user,shipman")
            .column("method", |_| METHOD)
            .column("object_id", |row| row.shipment)
            .column("request_hash", |_| HASH)
            .end();
    }

    fn outbox(&self, writes: &mut Writes) {
        writes
            .insert("outbox", &self.rows)
            .column("id", |row| row.event)
            .column("shard", |row| shard_of(row.shipment))
            .column("aggregate_id", |row| row.shipment)
            .column("seq", |_| 1_i64)
            .column("topic", |_| "bench.shipment.created")
            .column("key", |row| row.key.as_bytes())
            .column("payload", |_| PAYLOAD)
            .column("headers", |_| self.headers.clone())
            .end();
    }
}
