//! The stored form of a session: versioned JSON, separate from the domain type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::ser::Error as _;
use serde_json::value::RawValue;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::UserId;
use crate::base::text::hex;
use crate::session::lifetime::Lifetime;
use crate::session::patch::AccessChange;
use crate::session::patch::Patch;
use crate::session::record::Access;
use crate::session::record::Device;
use crate::session::record::Record;
use crate::session::storage::JsonText;
use crate::session::storage::Storage;
use crate::session::storage::StorageEntry;

/// The version that this program writes. It reads every version up to this one and refuses later
/// ones, so that an old program never misinterprets what a newer one stored.
pub const VERSION: u8 = 1;

/// Stored bytes that are not a valid session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadRecord {
    /// Written by a later version of callgate.
    Newer(u8),
    /// Not written by any known version.
    Malformed(&'static str),
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "a record has version {version}, and this callgate reads up to {VERSION}; start \
                 the newer callgate"
            ),
            Self::Malformed(part) => write!(f, "a record cannot be read: {part}"),
        }
    }
}

impl std::error::Error for BadRecord {}

/// A session as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredRecord {
    v: u8,
    id: String,
    created: u64,
    idle: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absolute: Option<u32>,
    #[serde(default, skip_serializing_if = "is_false")]
    known: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    privileges: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Key to revision and value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<Arc<str>, (u64, StoredJson)>,
    revision: u64,
    devices: Vec<StoredDevice>,
    /// Records that were written before generations existed are of generation 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    generation: u64,
}

/// A browser's right to a session as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredDevice {
    id: String,
    digest: String,
    since: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    label: String,
}

/// A change of a session as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredPatch {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entries: Vec<(Arc<str>, StoredValue)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<StoredAccess>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotate: Option<StoredDevice>,
}

/// One JSON value, or none for a key that is removed. A list, because JSON cannot distinguish an
/// absent value from null.
type StoredValue = Vec<StoredJson>;

/// JSON text that is embedded into other JSON unchanged.
#[derive(Debug)]
struct StoredJson(JsonText);

impl Serialize for StoredJson {
    /// Fails for a text that is not JSON: it would corrupt the document around it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.0.text()).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredJson {
    /// Borrows from the input, so that a value is copied once.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(JsonText::from_raw).map(Self)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredAccess {
    #[serde(default, skip_serializing_if = "is_false")]
    clear: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    grant: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    known: bool,
}

impl StoredAccess {
    fn change(self) -> Result<AccessChange, BadRecord> {
        Ok(AccessChange {
            clear: self.clear,
            grant: self.grant,
            user_name: self.user,
            account: account(self.account.as_deref())?,
            known: self.known,
        })
    }
}

fn account(id: Option<&str>) -> Result<Option<UserId>, BadRecord> {
    id.map(|id| id.parse().map_err(|_| BadRecord::Malformed("account"))).transpose()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl StoredRecord {
    /// The stored form of a session.
    pub fn of(record: &Record) -> Self {
        let entries = record.storage.entries();
        Self {
            v: VERSION,
            id: record.id.to_string(),
            created: record.created_at.millis(),
            idle: record.lifetime.idle_minutes,
            absolute: record.lifetime.absolute_minutes,
            known: record.access.known,
            privileges: record.access.privileges.clone(),
            user: record.access.user_name.clone(),
            account: record.access.account.map(|account| account.to_string()),
            storage: entries
                .map(|(key, entry)| {
                    (Arc::clone(key), (entry.revision, StoredJson(entry.json.clone())))
                })
                .collect(),
            revision: record.storage.last_revision(),
            devices: record.devices.iter().map(StoredDevice::of).collect(),
            generation: record.generation,
        }
    }

    /// Converts to the domain type.
    pub fn record(self) -> Result<Record, BadRecord> {
        if self.v > VERSION {
            return Err(BadRecord::Newer(self.v));
        }
        let entries = self
            .storage
            .into_iter()
            .map(|(key, (revision, StoredJson(json)))| (key, StorageEntry { revision, json }));
        let devices = self.devices.into_iter().map(StoredDevice::device);
        let mut devices: Vec<Device> = devices.collect::<Result<_, _>>()?;
        // The parser reserves capacity for four, and there may be a million sessions with one.
        devices.shrink_to_fit();
        Ok(Record {
            id: parse_session(&self.id)?,
            created_at: Timestamp::from_millis(self.created),
            lifetime: Lifetime { idle_minutes: self.idle, absolute_minutes: self.absolute },
            access: Access {
                known: self.known,
                privileges: self.privileges,
                user_name: self.user,
                account: account(self.account.as_deref())?,
            },
            storage: Storage::from_parts(entries.collect(), self.revision),
            devices,
            generation: self.generation,
        })
    }
}

impl StoredDevice {
    /// The stored form of a device.
    pub fn of(device: &Device) -> Self {
        Self {
            id: device.id.to_string(),
            digest: hex(&device.digest),
            since: device.since.millis(),
            label: device.label.clone(),
        }
    }

    /// Converts to the domain type.
    pub fn device(self) -> Result<Device, BadRecord> {
        Ok(Device {
            id: self.id.parse().map_err(|_| BadRecord::Malformed("device id"))?,
            digest: parse_digest(&self.digest)?,
            since: Timestamp::from_millis(self.since),
            label: self.label,
        })
    }
}

impl StoredPatch {
    /// The stored form of a patch that has been accepted. What it expected is not stored.
    pub fn of(patch: &Patch) -> Self {
        let entries = patch.entries.iter();
        Self {
            entries: entries
                .map(|(key, json)| {
                    (Arc::clone(key), json.iter().cloned().map(StoredJson).collect())
                })
                .collect(),
            access: patch.access.as_ref().map(|change| StoredAccess {
                clear: change.clear,
                grant: change.grant.clone(),
                user: change.user_name.clone(),
                account: change.account.map(|account| account.to_string()),
                known: change.known,
            }),
            idle: patch.idle_minutes,
            rotate: patch.rotate.as_ref().map(StoredDevice::of),
        }
    }

    /// Converts to the domain type.
    pub fn patch(self) -> Result<Patch, BadRecord> {
        let entries = self.entries.into_iter();
        Ok(Patch {
            entries: entries
                .map(|(key, json)| (key, json.into_iter().next().map(|StoredJson(json)| json)))
                .collect(),
            expect: None,
            expect_access: None,
            access: self.access.map(StoredAccess::change).transpose()?,
            idle_minutes: self.idle,
            rotate: self.rotate.map(StoredDevice::device).transpose()?,
        })
    }
}

/// Encodes a session, for stores outside of this crate that keep each session whole; those in this
/// crate write [`StoredRecord`]s into rows of their own. On an error nothing may be stored: the
/// session could not be read back.
pub fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StoredRecord::of(record))
}

/// Decodes a session.
pub fn decode(bytes: &[u8]) -> Result<Record, BadRecord> {
    let stored: StoredRecord =
        serde_json::from_slice(bytes).map_err(|_| BadRecord::Malformed("not a session"))?;
    stored.record()
}

/// Encodes a device, for stores that add browsers without writing the whole session. The result is
/// one line: JSON escapes line breaks.
pub fn encode_device(device: &Device) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StoredDevice::of(device))
}

/// Decodes a device.
pub fn decode_device(bytes: &[u8]) -> Result<Device, BadRecord> {
    let stored: StoredDevice =
        serde_json::from_slice(bytes).map_err(|_| BadRecord::Malformed("not a device"))?;
    stored.device()
}

/// Parses a stored session id.
pub fn parse_session(text: &str) -> Result<SessionId, BadRecord> {
    text.parse().map_err(|_| BadRecord::Malformed("session id"))
}

/// Parses a stored device id.
pub fn parse_device(text: &str) -> Result<DeviceId, BadRecord> {
    text.parse().map_err(|_| BadRecord::Malformed("device id"))
}

/// Parses a stored digest.
pub fn parse_digest(text: &str) -> Result<Digest, BadRecord> {
    hex::read(text).map(Digest::from_bytes).map_err(|_| BadRecord::Malformed("digest"))
}

/// The stored form of a digest.
pub fn hex(digest: &Digest) -> String {
    hex::lower(digest.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> Record {
        let device = Device {
            id: DeviceId::from_bytes([2; 8]),
            digest: Digest::from_bytes([3; 32]),
            since: Timestamp::from_millis(4),
            label: "Firefox \"quoted\"".into(),
        };
        let id = SessionId::from_bytes([1; 16]);
        let life = Lifetime { idle_minutes: 90, absolute_minutes: Some(720) };
        let mut record = Record::new(id, Timestamp::from_millis(5), life, device);
        record.access = Access {
            known: true,
            privileges: vec!["a".into()],
            user_name: "Ann".into(),
            account: Some(UserId::from_bytes([0xAC; 16])),
        };
        record
            .storage
            .put(&"k".into(), Some(&JsonText::of(&json!({"deep": [1, null, "é\n"]})).unwrap()));
        record.storage.put(&"gone".into(), None);
        record.generation = 3;
        record
    }

    #[test]
    fn a_session_reads_back_what_was_stored() {
        let record = record();
        let again = decode(&encode(&record).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
        assert_eq!(again.storage.find("k").unwrap().json, record.storage.find("k").unwrap().json);
    }

    #[test]
    fn a_session_from_before_generations_is_of_the_first_one() {
        let mut record = record();
        record.generation = 0;
        let text = String::from_utf8(encode(&record).unwrap()).unwrap();
        assert!(!text.contains("generation"));
        assert_eq!(decode(text.as_bytes()).unwrap().generation, 0);
    }

    #[test]
    fn a_session_that_was_read_takes_no_room_for_browsers_it_does_not_have() {
        let again = decode(&encode(&record()).unwrap()).unwrap();
        assert_eq!((again.devices.len(), again.devices.capacity()), (1, 1));
    }

    #[test]
    fn a_value_that_is_no_json_is_an_error_and_not_null() {
        let mut record = record();
        record.storage.put(&"k".into(), Some(&JsonText::broken()));
        assert!(encode(&record).is_err());
        let entries = vec![("k".into(), Some(JsonText::broken()))];
        let patch = StoredPatch::of(&Patch { entries, ..Patch::default() });
        assert!(serde_json::to_vec(&patch).is_err());
    }

    #[test]
    fn a_later_version_is_refused_and_not_misread() {
        let text =
            String::from_utf8(encode(&record()).unwrap()).unwrap().replace("\"v\":1", "\"v\":2");
        assert_eq!(decode(text.as_bytes()).unwrap_err(), BadRecord::Newer(2));
        assert!(matches!(decode(b"{}").unwrap_err(), BadRecord::Malformed(_)));
    }

    #[test]
    fn a_patch_reads_back_what_was_stored() {
        let patch = Patch {
            entries: vec![
                ("a".into(), Some(JsonText::of(&json!(null)).unwrap())),
                ("b".into(), None),
            ],
            expect: Some(("a".into(), 7)),
            expect_access: Some(Access::default()),
            access: Some(AccessChange {
                clear: true,
                grant: vec!["p".into()],
                user_name: Some("Ben".to_owned()),
                account: Some(UserId::from_bytes([0xBE; 16])),
                ..Default::default()
            }),
            idle_minutes: Some(75),
            rotate: record().devices.pop(),
        };
        let text = serde_json::to_string(&StoredPatch::of(&patch)).unwrap();
        let again = serde_json::from_str::<StoredPatch>(&text).unwrap().patch().unwrap();
        let accepted = Patch { expect: None, expect_access: None, ..patch };
        assert_eq!(format!("{again:?}"), format!("{accepted:?}"));
    }
}
