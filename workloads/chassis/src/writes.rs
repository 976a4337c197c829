//! Rows of several tables in one statement: one round trip, and by itself a transaction.

use sqlx::postgres::{PgArguments, PgHasArrayType};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, PgExecutor, Postgres, Type};

/// Writes that are sent as one statement, in which none sees another's effect. The first is done first.
#[derive(Default)]
pub struct Writes {
    parts: Vec<String>,
    arguments: PgArguments,
    /// A value that PostgreSQL cannot take.
    refused: Option<sqlx::error::BoxDynError>,
}

/// Rows on their way into [`Writes`], one column after the other.
#[must_use = "without `end` nothing is written"]
pub struct Columns<'w, 'r, R> {
    writes: &'w mut Writes,
    rows: &'r [R],
    act: Act,
    names: Vec<&'static str>,
    first: usize,
}

enum Act {
    Insert(&'static str),
    Update(&'static str),
}

impl Writes {
    /// New rows of a table, in order: what the table numbers is numbered so.
    pub fn insert<'w, 'r, R>(&'w mut self, table: &'static str, rows: &'r [R]) -> Columns<'w, 'r, R> {
        self.rows(Act::Insert(table), rows)
    }

    /// New values for rows of a table; the first column tells which rows.
    pub fn update<'w, 'r, R>(&'w mut self, table: &'static str, rows: &'r [R]) -> Columns<'w, 'r, R> {
        self.rows(Act::Update(table), rows)
    }

    fn rows<'w, 'r, R>(&'w mut self, act: Act, rows: &'r [R]) -> Columns<'w, 'r, R> {
        let first = self.arguments.len() + 1;
        Columns {
            writes: self,
            rows,
            act,
            names: Vec::new(),
            first,
        }
    }

    /// Sends them. Without any there is nothing to send.
    pub async fn execute(self, executor: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
        if let Some(error) = self.refused {
            return Err(sqlx::Error::Encode(error));
        }
        let Some((first, others)) = self.parts.split_first() else {
            return Ok(());
        };
        // PostgreSQL does what stands behind the names first.
        let others = others.iter().enumerate();
        let others: Vec<_> = others
            .map(|(at, part)| format!("part_{at} AS ({part})"))
            .collect();
        let sql = if others.is_empty() {
            first.clone()
        } else {
            format!("WITH {} {first}", others.join(", "))
        };
        // Nothing but names of tables and columns of this program is in it.
        let query = sqlx::query_with(AssertSqlSafe(sql), self.arguments);
        query.execute(executor).await.map(drop)
    }
}

impl<'r, R> Columns<'_, 'r, R> {
    /// One column: its name, and its value in a row.
    pub fn column<T>(mut self, name: &'static str, value_of: impl Fn(&'r R) -> T) -> Self
    where
        T: Encode<'r, Postgres> + Type<Postgres> + PgHasArrayType,
    {
        let values: Vec<T> = self.rows.iter().map(value_of).collect();
        if !values.is_empty() {
            self.names.push(name);
            if let Err(error) = self.writes.arguments.add(values) {
                self.writes.refused = Some(error);
            }
        }
        self
    }

    /// The end of the columns.
    pub fn end(self) {
        if self.rows.is_empty() {
            return;
        }
        let names = self.names.join(", ");
        let places = (self.first..).take(self.names.len());
        let places = places
            .map(|place| format!("${place}"))
            .collect::<Vec<_>>()
            .join(", ");
        self.writes.parts.push(match self.act {
            Act::Insert(table) => format!(
                "INSERT INTO {table} ({names}) SELECT {names} \
                 FROM unnest({places}) WITH ORDINALITY AS row ({names}, at) ORDER BY at"
            ),
            Act::Update(table) => {
                let (key, values) = self.names.split_first().map_or(("", &[][..]), |(key, values)| (*key, values));
                let values: Vec<_> = values.iter().map(|name| format!("{name} = row.{name}")).collect();
                format!(
                    "UPDATE {table} SET {} FROM unnest({places}) AS row ({names}) WHERE {table}.{key} = row.{key}",
                    values.join(", ")
                )
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_writes_all_and_leaves_out_what_has_no_rows() {
        let mut writes = Writes::default();
        writes
            .insert("first", &[1_i64, 2])
            .column("a", |row| *row)
            .column("b", |row| row + 1)
            .end();
        writes.insert("none", &[0_i64; 0]).column("a", |row| *row).end();
        writes
            .update("second", &["x"])
            .column("k", |row| *row)
            .column("v", |_| true)
            .end();
        assert_eq!(
            writes.parts,
            [
                "INSERT INTO first (a, b) SELECT a, b FROM unnest($1, $2) WITH ORDINALITY AS row (a, b, at) ORDER BY at",
                "UPDATE second SET v = row.v FROM unnest($3, $4) AS row (k, v) WHERE second.k = row.k",
            ]
        );
    }
}
