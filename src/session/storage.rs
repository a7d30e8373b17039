//! The application's values in a session: JSON by key, each key with its own revision.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::STORAGE_KEY_BYTES_MAX;
use crate::base::limits::STORAGE_KEYS_MAX;

/// One JSON value as its text, shared instead of copied.
///
/// Most requests read few of a session's values, so a value is parsed when it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

impl JsonText {
    /// The text of this value, unless it is nested deeper than [`JSON_DEPTH_MAX`] arrays and
    /// objects: a parser would refuse to read it back.
    pub fn of(value: &Value) -> Result<Self, TooDeep> {
        if is_deeper(value, JSON_DEPTH_MAX) {
            return Err(TooDeep);
        }
        Ok(Self(value.to_string().into()))
    }

    /// Accepts JSON text that a parser has accepted already.
    pub fn from_raw(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }

    /// Text that is not JSON, which only a test can make.
    #[cfg(test)]
    pub(crate) fn broken() -> Self {
        Self("{\"half\":".into())
    }

    /// Parses the value.
    pub fn value(&self) -> Value {
        // The text is JSON, and no deeper than a parser accepts; null is also what a key without a
        // value reads as.
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Prints the length only: an application's values may be private.
impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}

/// A JSON value is nested too deep to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the value is nested more than {JSON_DEPTH_MAX} deep; store it flatter, or as a text"
        )
    }
}

impl std::error::Error for TooDeep {}

/// Whether a value is nested deeper than this many arrays and objects. Descends no deeper than
/// that.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let inside = |value: &Value| is_deeper(value, levels - 1);
    match value {
        Value::Array(values) => levels == 0 || values.iter().any(inside),
        Value::Object(values) => levels == 0 || values.values().any(inside),
        _ => false,
    }
}

/// One value and its revision.
#[derive(Debug, Clone)]
pub struct StorageEntry {
    /// Larger than the revision of any value that was set earlier in this session.
    pub revision: u64,
    /// The value.
    pub json: JsonText,
}

/// All values of one session.
///
/// Revisions come from one counter that only grows, so a key that was removed and set again never
/// has a revision that it had before.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// Sorted by key. A session has a handful of keys, and there may be a million sessions: a tree
    /// would use half a kilobyte for its first node.
    entries: Vec<(Arc<str>, StorageEntry)>,
    last_revision: u64,
    bytes: usize,
}

/// The storage would exceed its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageFull;

impl fmt::Display for StorageFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "session storage is limited to {STORAGE_KEYS_MAX} keys of {STORAGE_KEY_BYTES_MAX} \
             bytes and {STORAGE_BYTES_MAX} bytes of JSON in all; keep large values elsewhere and \
             store their id"
        )
    }
}

impl std::error::Error for StorageFull {}

impl Storage {
    /// Restores a storage from [`Storage::entries`] and [`Storage::last_revision`].
    pub fn from_parts(mut entries: Vec<(Arc<str>, StorageEntry)>, last_revision: u64) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(later, _), (earlier, _)| later == earlier);
        entries.shrink_to_fit();
        let bytes = entries.iter().map(|(key, entry)| key.len() + entry.json.0.len()).sum();
        let newest = entries.iter().map(|(_, entry)| entry.revision).max().unwrap_or(0);
        Self { entries, last_revision: last_revision.max(newest), bytes }
    }

    /// The value of a key.
    pub fn find(&self, key: &str) -> Option<&StorageEntry> {
        let at = self.position(key).ok()?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// The revision of a key; 0 when it has no value.
    pub fn revision(&self, key: &str) -> u64 {
        self.find(key).map_or(0, |entry| entry.revision)
    }

    /// Every key with its value, in the order of the keys.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &StorageEntry)> {
        self.entries.iter().map(|(key, entry)| (key, entry))
    }

    /// The revision of the latest write.
    pub fn last_revision(&self) -> u64 {
        self.last_revision
    }

    /// Total bytes of all keys and JSON texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets a key, or removes it with `None`.
    pub fn put(&mut self, key: &Arc<str>, json: Option<&JsonText>) {
        self.last_revision += 1;
        let entry = json.map(|json| {
            self.bytes += key.len() + json.0.len();
            StorageEntry { revision: self.last_revision, json: json.clone() }
        });
        let old = match (self.position(key), entry) {
            (Ok(at), Some(entry)) => {
                self.entries.get_mut(at).map(|(_, held)| std::mem::replace(held, entry))
            }
            (Ok(at), None) => Some(self.entries.remove(at).1),
            (Err(at), Some(entry)) => {
                self.entries.insert(at, (Arc::clone(key), entry));
                None
            }
            (Err(_), None) => None,
        };
        if let Some(old) = old {
            self.bytes -= key.len() + old.json.0.len();
        }
    }

    /// The index of a key, or the index at which to insert it.
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(held, _)| (**held).cmp(key))
    }

    /// Refuses a storage that is the result of a change to `before` and exceeds a limit, unless it
    /// exceeds it by no more than `before` did: an application can always free space.
    pub fn check_after(&self, before: &Self) -> Result<(), StorageFull> {
        let within = |is: usize, was: usize, max: usize| is <= max || is <= was;
        let fits = within(self.bytes, before.bytes, STORAGE_BYTES_MAX)
            && within(self.entries.len(), before.entries.len(), STORAGE_KEYS_MAX)
            && self.keys_fit_after(before);
        if fits { Ok(()) } else { Err(StorageFull) }
    }

    fn keys_fit_after(&self, before: &Self) -> bool {
        let mut long = self.entries.iter().filter(|(key, _)| key.len() > STORAGE_KEY_BYTES_MAX);
        long.all(|(key, _)| before.position(key).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// This many arrays within each other.
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(7), |inner, _| json!([inner]))
    }

    #[test]
    fn a_value_reads_back_at_any_depth_that_is_let_in() {
        let deepest = nested(JSON_DEPTH_MAX);
        assert_eq!(JsonText::of(&deepest).unwrap().value(), deepest);
        let object = json!({ "k": nested(JSON_DEPTH_MAX) });
        for too_deep in [nested(JSON_DEPTH_MAX + 1), nested(1_000), object] {
            assert_eq!(JsonText::of(&too_deep).unwrap_err(), TooDeep);
        }
    }

    #[test]
    fn a_key_set_again_after_removal_has_a_new_revision() {
        let mut storage = Storage::default();
        let key: Arc<str> = "cart".into();
        storage.put(&key, Some(&JsonText::of(&json!([1])).unwrap()));
        let first = storage.revision("cart");
        storage.put(&key, None);
        assert_eq!((storage.revision("cart"), storage.bytes()), (0, 0));
        storage.put(&key, Some(&JsonText::of(&json!([1])).unwrap()));
        assert!(storage.revision("cart") > first);
    }

    #[test]
    fn bytes_are_counted_through_every_change() {
        let mut storage = Storage::default();
        let key: Arc<str> = "k".into();
        storage.put(&key, Some(&JsonText::of(&json!("aaaa")).unwrap()));
        storage.put(&key, Some(&JsonText::of(&json!("a")).unwrap()));
        let again = Storage::from_parts(storage.entries.clone(), 0);
        assert_eq!((storage.bytes(), again.bytes()), (4, 4));
        assert_eq!(again.last_revision(), 2);
    }

    #[test]
    fn limits_hold_for_size_and_number_and_key() {
        let fits = |keys: usize, value: usize, name: usize| {
            let mut storage = Storage::default();
            for n in 0..keys {
                let key: Arc<str> = format!("{n:0>name$}").into();
                storage.put(&key, Some(&JsonText::of(&json!("x".repeat(value))).unwrap()));
            }
            storage.check_after(&Storage::default()).is_ok()
        };
        assert!(fits(STORAGE_KEYS_MAX, 1, 5) && !fits(STORAGE_KEYS_MAX + 1, 1, 5));
        assert!(fits(1, 1, STORAGE_KEY_BYTES_MAX) && !fits(1, 1, STORAGE_KEY_BYTES_MAX + 1));
        assert!(fits(1, STORAGE_BYTES_MAX - 7, 5) && !fits(1, STORAGE_BYTES_MAX - 6, 5));
    }
}
