//! Records in the memory of one process.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::store::error::StoreError;
use crate::store::port::Pending;
use crate::store::port::RecordChange;
use crate::store::port::Records;

/// Keeps records in a map.
#[derive(Default)]
pub(super) struct RecordMap(Mutex<State>);

#[derive(Default)]
struct State {
    records: BTreeMap<String, Vec<u8>>,
    closed: bool,
}

impl RecordMap {
    /// Refuses every later operation.
    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    /// No operation can panic half-way, so a poisoned lock guards a whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T + Send + 'a,
    ) -> Pending<'a, T> {
        Box::pin(async move {
            let mut state = self.state();
            if state.closed {
                return Err(StoreError::Refused("it is closed"));
            }
            Ok(work(&mut state.records))
        })
    }
}

impl Records for RecordMap {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        self.run(move |records| keys.iter().map(|key| records.get(key).cloned()).collect())
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(move |records| {
            let first = match after.filter(|after| *after >= prefix) {
                Some(after) => Bound::Excluded(after),
                None => Bound::Included(prefix.clone()),
            };
            let found = records.range((first, Bound::Unbounded));
            let found = found.take_while(|(key, _)| key.starts_with(&prefix)).take(at_most);
            found.map(|(key, value)| (key.clone(), value.clone())).collect()
        })
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        self.run(move |records| {
            let fits = changes.iter().all(|it| records.get(&it.key) == it.expected.as_ref());
            if fits {
                for RecordChange { key, value, .. } in changes {
                    match value {
                        Some(value) => drop(records.insert(key, value)),
                        None => drop(records.remove(&key)),
                    }
                }
            }
            fits
        })
    }
}

/// Without the values, which may be hashes of passwords.
impl fmt::Debug for RecordMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordMap({} records)", self.state().records.len())
    }
}
