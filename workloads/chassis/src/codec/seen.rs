//! What the registry has told, kept in the service's database: a service that restarts while the registry is away goes on
//! as before.

use sqlx::PgPool;

/// Schemas that were seen.
#[derive(Clone, Debug)]
pub(super) struct Seen(PgPool);

impl Seen {
    pub(super) const fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// The id under which a subject had exactly this schema.
    pub(super) async fn id_of(&self, subject: &str, schema: &str) -> Option<u32> {
        let found: Result<Option<i64>, _> = sqlx::query_scalar(
            "SELECT id FROM seen_schemas WHERE subject = $1 AND schema = $2 ORDER BY seen_at DESC LIMIT 1",
        )
        .bind(subject)
        .bind(schema)
        .fetch_optional(&self.0)
        .await;
        u32::try_from(told(found)??).ok()
    }

    /// The schema with this id.
    pub(super) async fn schema_of(&self, id: u32) -> Option<String> {
        let found = sqlx::query_scalar("SELECT schema FROM seen_schemas WHERE id = $1")
            .bind(i64::from(id))
            .fetch_optional(&self.0)
            .await;
        told(found)?
    }

    /// Keeps a schema; a registry that was made anew may have given its id to another one before.
    pub(super) async fn keep(&self, id: u32, subject: Option<&str>, schema: &str) {
        let kept = sqlx::query(
            "INSERT INTO seen_schemas (id, subject, schema) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET schema = EXCLUDED.schema, seen_at = EXCLUDED.seen_at,
                 subject = coalesce(EXCLUDED.subject, CASE WHEN seen_schemas.schema = EXCLUDED.schema
                                                           THEN seen_schemas.subject END)",
        )
        .bind(i64::from(id))
        .bind(subject)
        .bind(schema)
        .execute(&self.0)
        .await;
        told(kept);
    }
}

/// Without the database there is nothing to go on with, but nothing is lost either.
fn told<T>(result: Result<T, sqlx::Error>) -> Option<T> {
    result
        .inspect_err(|error| tracing::warn!(%error, "the schemas that were seen cannot be used"))
        .ok()
}
