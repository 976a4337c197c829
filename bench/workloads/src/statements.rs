//! The SQL of a durable create, which the peers have too.

use anyhow::Result;
use chrono::{DateTime, Utc};
use logistics_schemas::grpc::logistics::shipment::v1::{CreateShipmentResponse, Shipment};
use prost::Message as _;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../peers/sql/", $name, ".sql"))
    };
}

const REPLAY: &str = sql!("many/replay");
const IDEMPOTENCY: &str = sql!("many/idempotency");
const SHIPMENTS: &str = sql!("many/shipments");
const EVENTS: &str = sql!("many/events");
const AUDIT: &str = sql!("many/audit");
const OUTBOX: &str = sql!("many/outbox");
/// The next rows of the outbox.
pub(crate) const UNSENT: &str = sql!("unsent");
/// Deletes rows of the outbox.
pub(crate) const SENT: &str = sql!("sent");

/// The columns of creates that share a transaction. All are alike but for their ids and keys.
pub(crate) struct Rows {
    length: usize,
    now: DateTime<Utc>,
    shipments: Vec<Uuid>,
    events: Vec<Uuid>,
    keys: Vec<String>,
    response: Vec<u8>,
    headers: Value,
}

impl Rows {
    /// So many, as long as those of the service.
    pub(crate) fn new(length: usize) -> Self {
        let order = logistics_testbed::order("");
        let now = Utc::now();
        let id = Uuid::now_v7().to_string();
        #[allow(clippy::needless_update, reason = "fields of later versions stay empty")]
        let response = CreateShipmentResponse {
            shipment: Some(Shipment {
                shipment_id: id.clone(),
                account_id: "acct-1".to_owned(),
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
            length,
            now,
            shipments: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
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

    /// Gives all of them fresh ids and keys.
    fn renew(&mut self) {
        let fresh = || Uuid::now_v7();
        self.now = Utc::now();
        self.shipments = std::iter::repeat_with(fresh).take(self.length).collect();
        self.events = std::iter::repeat_with(fresh).take(self.length).collect();
        self.keys = self.shipments.iter().map(Uuid::to_string).collect();
    }

    fn same<T: Clone>(&self, value: T) -> Vec<T> {
        vec![value; self.length]
    }

    /// Writes them with fresh ids, as the service does.
    pub(crate) async fn write(&mut self, connection: &mut PgConnection) -> Result<()> {
        self.renew();
        let hash = [7_u8; 32];
        for (sql, with_answers) in [(REPLAY, false), (IDEMPOTENCY, true)] {
            let mut query = sqlx::query(sql)
                .bind(self.same("acct-1"))
                .bind(self.same("bench"))
                .bind(self.same("CreateShipment"))
                .bind(&self.keys);
            if with_answers {
                query = query
                    .bind(self.same(hash.as_slice()))
                    .bind(self.same(self.response.as_slice()));
            }
            query.execute(&mut *connection).await?;
        }
        self.shipments(connection).await?;
        self.events(connection).await?;
        sqlx::query(AUDIT)
            .bind(&self.events)
            .bind(self.same(self.now))
            .bind(self.same("acct-1"))
            .bind(self.same("bench"))
            .bind(self.same("admin,user,shipman"))
            .bind(self.same("CreateShipment"))
            .bind(&self.shipments)
            .bind(self.same(hash.as_slice()))
            .execute(&mut *connection)
            .await?;
        self.outbox(connection).await
    }

    async fn shipments(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query(SHIPMENTS)
            .bind(&self.shipments)
            .bind(self.same("acct-1"))
            .bind(self.same("bench"))
            .bind(self.same("UA"))
            .bind(self.same("1545"))
            .bind(self.same("EWR"))
            .bind(self.same(""))
            .bind(self.same("IAH"))
            .bind(self.same(""))
            .bind(self.same(self.now))
            .bind(self.same(self.now))
            .bind(self.same("CREATED"))
            .bind(self.same(1_i64))
            .bind(self.same(self.now))
            .bind(self.same(self.now))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn events(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query(EVENTS)
            .bind(&self.shipments)
            .bind(self.same(1_i64))
            .bind(&self.events)
            .bind(self.same("CREATED"))
            .bind(self.same("ACTUAL"))
            .bind(self.same("APPLIED"))
            .bind(self.same(self.now))
            .bind(self.same(self.now))
            .bind(self.same("EWR"))
            .bind(self.same(""))
            .bind(self.same(""))
            .bind(self.same("bench"))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn outbox(&self, connection: &mut PgConnection) -> Result<()> {
        let keys: Vec<&[u8]> = self.keys.iter().map(String::as_bytes).collect();
        let shards: Vec<i16> = self
            .shipments
            .iter()
            .map(|id| i16::from(id.as_bytes()[15]) % 64)
            .collect();
        sqlx::query(OUTBOX)
            .bind(&self.events)
            .bind(shards)
            .bind(&self.shipments)
            .bind(self.same(1_i64))
            .bind(self.same("bench.shipment.created"))
            .bind(keys)
            .bind(self.same([7_u8; 100].as_slice()))
            .bind(self.same(self.headers.clone()))
            .execute(connection)
            .await?;
        Ok(())
    }
}
