//! Records in PostgreSQL: a table, and a function that compares and writes.

use tokio_postgres::types::Type;

use crate::store::error::StoreError;
use crate::store::port::Pending;
use crate::store::port::RecordChange;
use crate::store::port::Records;

use super::Postgres;
use super::limit;
use super::query::Effect;
use super::rows;

/// As with sessions, a result always has a row, so that a standby, where the fence fails, is not
/// mistaken for an empty database.
pub(super) const READ: &str = "SELECT r.key, r.value FROM (SELECT callgate.fence_v1(false)) AS f \
    LEFT JOIN callgate.record r ON r.app = $1 AND r.key = ANY($2)";
pub(super) const LIST: &str = "SELECT r.key, r.value FROM (SELECT callgate.fence_v1(false)) AS f \
    LEFT JOIN LATERAL (SELECT * FROM callgate.record r WHERE r.app = $1 \
      AND starts_with(r.key, $2) AND r.key >= $2 AND ($3::text IS NULL OR r.key > $3) \
      ORDER BY r.key LIMIT $4) AS r ON true ORDER BY r.key";
pub(super) const WRITE: &str = "SELECT callgate.write_records_v1($1, $2, $3, $4)";

impl Records for Postgres {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            let params = self.params().with(keys.clone(), Type::TEXT_ARRAY);
            let found = self.query(Effect::Reads, &self.statements.read_records, params).await?;
            let found = records(&found)?;
            let value = |key: String| {
                found.iter().find(|(found, _)| *found == key).map(|(_, value)| value.clone())
            };
            Ok(keys.into_iter().map(value).collect())
        })
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        Box::pin(async move {
            let params = self.params().with(prefix, Type::TEXT).with(after, Type::TEXT);
            let params = params.with(limit(at_most), Type::INT8);
            records(&self.query(Effect::Reads, &self.statements.list_records, params).await?)
        })
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        Box::pin(async move {
            let (mut keys, mut expected, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for change in changes {
                keys.push(change.key);
                expected.push(change.expected);
                values.push(change.value);
            }
            let params = self.params().with(keys, Type::TEXT_ARRAY);
            let params = params.with(expected, Type::BYTEA_ARRAY).with(values, Type::BYTEA_ARRAY);
            let rows = self.query(Effect::Writes, &self.statements.write_records, params).await?;
            rows::read(rows::first(&rows)?, 0)
        })
    }
}

fn records(rows: &[tokio_postgres::Row]) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(key) = rows::read::<Option<String>>(row, 0)? {
            records.push((key, rows::read(row, 1)?));
        }
    }
    Ok(records)
}
