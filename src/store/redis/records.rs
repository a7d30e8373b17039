//! Records in Redis: a hash of their values, and a sorted set of their keys, in one slot.

use std::fmt;
use std::sync::Arc;

use redis::Cmd;
use redis::Value;

use crate::store::error::StoreError;
use crate::store::port::Pending;
use crate::store::port::RecordChange;
use crate::store::port::Records;
use crate::store::redis::rows;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Topology;
use crate::store::redis::servers::topology::Weight;

/// The records of one application.
pub(super) struct RedisRecords {
    topology: Arc<Topology>,
    /// The sorted set and the hash.
    keys: [String; 2],
}

impl RedisRecords {
    pub(super) fn new(topology: Arc<Topology>, keys: [String; 2]) -> Self {
        Self { topology, keys }
    }

    async fn get(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, CommandError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let [_, values] = &self.keys;
        let mut command = Cmd::new();
        command.arg("HMGET").arg(values).arg(&keys);
        let Value::Array(found) = self.topology.query(values, command).await? else {
            return Err(CommandError::Garbled("the values of records"));
        };
        found.into_iter().map(value).collect()
    }

    async fn page(
        &self,
        (least, end): (Vec<u8>, Vec<u8>),
        at_most: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
        let at_most = rows::number(u64::try_from(at_most).unwrap_or(u64::MAX));
        let words = [least, end, at_most];
        let call = Call { keys: &self.keys, words: &words, weight: Weight::Light };
        let Value::Array(page) = self.topology.run(&topology::LIST_RECORDS, call).await? else {
            return Err(CommandError::Garbled("a page of records"));
        };
        let mut page = page.into_iter();
        let mut records = Vec::new();
        while let (Some(key), Some(found)) = (page.next(), page.next()) {
            records.push((rows::text(key)?, rows::bytes(found)?));
        }
        Ok(records)
    }

    async fn change(&self, changes: Vec<RecordChange>) -> Result<bool, CommandError> {
        let mut words = Vec::with_capacity(changes.len() * 5);
        for RecordChange { key, expected, value } in changes {
            words.push(key.into_bytes());
            for optional in [expected, value] {
                words.push(if optional.is_some() { b"1".to_vec() } else { b"0".to_vec() });
                words.push(optional.unwrap_or_default());
            }
        }
        let call = Call { keys: &self.keys, words: &words, weight: Weight::Heavy };
        match self.topology.run(&topology::WRITE_RECORDS, call).await? {
            Value::Int(done) => Ok(done == 1),
            _ => Err(CommandError::Garbled("the outcome of a write of records")),
        }
    }
}

impl Records for RedisRecords {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        Box::pin(async move { self.get(keys).await.map_err(StoreError::from) })
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let least = match after.filter(|after| *after >= prefix) {
            Some(after) => [b"(", after.as_bytes()].concat(),
            None => [b"[", prefix.as_bytes()].concat(),
        };
        // No key has the byte FF, because it is UTF-8.
        let end = [b"(", prefix.as_bytes(), b"\xFF"].concat();
        Box::pin(async move { self.page((least, end), at_most).await.map_err(StoreError::from) })
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        Box::pin(async move { self.change(changes).await.map_err(StoreError::from) })
    }
}

fn value(found: Value) -> Result<Option<Vec<u8>>, CommandError> {
    match found {
        Value::Nil => Ok(None),
        found => rows::bytes(found).map(Some),
    }
}

impl fmt::Debug for RedisRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRecords").field("keys", &self.keys).finish_non_exhaustive()
    }
}
