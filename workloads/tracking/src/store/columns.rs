//! The columns of a row, one after the other. To look each of them up by its name costs more than its value.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

/// What is left of a row.
pub(super) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    /// All of a row.
    pub(super) const fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    /// The next one.
    pub(super) fn take<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T, sqlx::Error> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at)
    }

    /// A name of the domain in the next one.
    pub(super) fn name<T>(&mut self) -> Result<T, sqlx::Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        self.optional_name()?
            .ok_or_else(|| self.wrong("it is NULL".into()))
    }

    /// The same where there may be none.
    pub(super) fn optional_name<T>(&mut self) -> Result<Option<T>, sqlx::Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let text: Option<&str> = self.take()?;
        text.map(str::parse)
            .transpose()
            .map_err(|source: T::Err| self.wrong(source.into()))
    }

    /// The last one taken is not what it should be.
    fn wrong(&self, source: sqlx::error::BoxDynError) -> sqlx::Error {
        sqlx::Error::ColumnDecode {
            index: (self.next - 1).to_string(),
            source,
        }
    }
}
