//! Small documents under keys, kept beside sessions and tokens: the accounts.
//!
//! A record is what was written last; it never expires. A write names the value that it replaces,
//! so of two writers that read the same value one is refused and reads again. A value that is
//! replaced by an equal one cannot be told from an unchanged one, and need not be.

use std::fmt;

use super::Operation;
use super::Pending;
use super::StoreReply;

/// Keeps records, on behalf of a store.
///
/// Rules for implementations: a write happens completely or not at all, and returns once it is as
/// durable as the operations of [`Store`](super::Store) are; of concurrent writes to one key at most
/// one finds the value that it expects. After [`StoreError::Unreachable`] a write may have happened.
///
/// [`StoreError::Unreachable`]: crate::store::StoreError::Unreachable
pub trait Records: fmt::Debug + Send + Sync {
    /// Reads the values of these keys, in their order and at one moment.
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>>;

    /// One page of the records whose keys begin with `prefix`, in the order of the bytes of their
    /// keys, beginning after the key `after`.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>>;

    /// Makes every change if each key has the value that its change expects. Otherwise makes none
    /// and returns false.
    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool>;
}

/// A change of one record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// The key. A write has at most one change of each key.
    pub key: String,
    /// The value that it must have; `None` if there must be none.
    pub expected: Option<Vec<u8>>,
    /// The value that it gets; `None` removes the record.
    pub value: Option<Vec<u8>>,
}

/// Without the values, which may be hashes of passwords.
impl fmt::Debug for RecordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordChange").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Performs an operation on records. Any other is returned as it is.
pub(crate) fn on_records(
    records: &dyn Records,
    operation: Operation,
) -> Result<Pending<'_, StoreReply>, Operation> {
    Ok(match operation {
        Operation::ReadRecords { keys } => reply(records.read(keys)),
        Operation::ListRecords { prefix, after, at_most } => {
            reply(records.list(&prefix, after.as_deref(), at_most))
        }
        Operation::WriteRecords { changes } => reply(records.write(changes)),
        other => return Err(other),
    })
}

fn reply<'a, T: Into<StoreReply> + Send + 'a>(done: Pending<'a, T>) -> Pending<'a, StoreReply> {
    Box::pin(async move { done.await.map(Into::into) })
}
