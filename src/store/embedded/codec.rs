//! The stored form of the journal's rows: versioned JSON.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::base::ClaimId;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::codec as session;
use crate::session::codec::BadRecord;
use crate::session::codec::StoredDevice;
use crate::session::codec::StoredPatch;
use crate::session::codec::StoredRecord;
use crate::store::live::Change;
use crate::token::ClaimMark;
use crate::token::codec::BadToken;
use crate::token::codec::StoredRun;
use crate::token::codec::StoredToken;

/// The version this program writes; later ones are refused.
const VERSION: u8 = 3;

/// The content of one commit.
#[derive(Debug)]
pub(super) struct Row {
    /// The store's time when it was written.
    pub(super) at: Timestamp,
    /// The changes, in this order.
    pub(super) changes: Vec<Change>,
}

/// Stored bytes that cannot be a row.
#[derive(Debug)]
pub(super) enum BadRow {
    /// Written by a later version of callgate.
    Newer(u8),
    /// Not the format of any version.
    Malformed(String),
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => {
                write!(f, "it has version {version}, and this callgate reads up to {VERSION}")
            }
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BadRow {}

impl From<BadRecord> for BadRow {
    fn from(bad: BadRecord) -> Self {
        match bad {
            BadRecord::Newer(version) => Self::Newer(version),
            BadRecord::Malformed(_) => Self::Malformed(bad.to_string()),
        }
    }
}

impl From<BadToken> for BadRow {
    fn from(bad: BadToken) -> Self {
        match bad {
            BadToken::Newer(version) => Self::Newer(version),
            BadToken::Malformed(_) => Self::Malformed(bad.to_string()),
        }
    }
}

#[derive(Serialize)]
struct StoredRow {
    v: u8,
    at: u64,
    did: Vec<StoredChange>,
}

#[derive(Deserialize)]
struct ReadRow {
    v: u8,
    at: u64,
    did: ReadChanges,
}

/// The changes of a row, each converted from its stored form as soon as it is read. A row of
/// hundreds of sessions would otherwise be in memory twice, and a replay spends its time there.
struct ReadChanges(Result<Vec<Change>, BadRow>);

impl<'de> Deserialize<'de> for ReadChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChangesVisitor).map(Self)
    }
}

struct ChangesVisitor;

impl<'de> Visitor<'de> for ChangesVisitor {
    type Value = Result<Vec<Change>, BadRow>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of changes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut stored: A) -> Result<Self::Value, A::Error> {
        let mut changes = Ok(Vec::new());
        while let Some(next) = stored.next_element::<StoredChange>()? {
            changes = changes.and_then(|mut changes: Vec<Change>| {
                changes.push(next.change()?);
                Ok(changes)
            });
        }
        Ok(changes)
    }
}

/// Only the version, which is read first, because a later one may have any other shape.
#[derive(Deserialize)]
struct Versioned {
    v: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredChange {
    Noted(u64),
    Founded { record: Box<StoredRecord>, seen: u64 },
    Patched { id: String, patch: StoredPatch },
    Seen { id: String, at: u64 },
    Joined { id: String, device: StoredDevice },
    Used { id: String, device: String },
    Left { id: String, device: String },
    Raised { id: String },
    Ended { id: String, at: u64 },
    Displaced { id: String },
    Minted(Box<StoredToken>),
    Claimed { token: String, claim: String, at: u64 },
    Ran { token: String, run: StoredRun },
    Dropped { token: String },
    Rested,
}

impl Row {
    /// The bytes of a row. An error means that it could not be read back, so the caller must not
    /// be told that it is stored.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let did = self.changes.iter().filter_map(StoredChange::of).collect();
        let stored = StoredRow { v: VERSION, at: self.at.millis(), did };
        serde_json::to_vec(&stored)
    }

    /// The row in such bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let stored: ReadRow = match serde_json::from_slice(bytes) {
            Ok(stored) => stored,
            Err(error) => return Err(explain(bytes, &error)),
        };
        if stored.v > VERSION {
            return Err(BadRow::Newer(stored.v));
        }
        Ok(Self { at: Timestamp::from_millis(stored.at), changes: stored.did.0? })
    }
}

fn explain(bytes: &[u8], error: &serde_json::Error) -> BadRow {
    match serde_json::from_slice(bytes) {
        Ok(Versioned { v }) if v > VERSION => BadRow::Newer(v),
        // The parser's error may quote stored data, so only its position is reported.
        _ => BadRow::Malformed(format!("it is no row of a journal from byte {}", error.column())),
    }
}

impl StoredChange {
    /// `None` for what a replay computes by itself.
    fn of(change: &Change) -> Option<Self> {
        Some(match change {
            Change::Noted { at } => Self::Noted(at.millis()),
            Change::Created { record, seen_at } => {
                Self::Founded { record: Box::new(StoredRecord::of(record)), seen: seen_at.millis() }
            }
            Change::Patched { id, patch, .. } => {
                Self::Patched { id: id.to_string(), patch: StoredPatch::of(patch) }
            }
            Change::Seen { id, at } => Self::Seen { id: id.to_string(), at: at.millis() },
            Change::Joined { id, device } => {
                Self::Joined { id: id.to_string(), device: StoredDevice::of(device) }
            }
            Change::Used { id, device } => {
                Self::Used { id: id.to_string(), device: device.to_string() }
            }
            Change::Displaced { id } => Self::Displaced { id: id.to_string() },
            Change::Left { id, device } => {
                Self::Left { id: id.to_string(), device: device.to_string() }
            }
            Change::Raised { id } => Self::Raised { id: id.to_string() },
            Change::Ended { id, at } => Self::Ended { id: id.to_string(), at: at.millis() },
            Change::Minted { token } => Self::Minted(Box::new(StoredToken::of(token))),
            Change::Claimed { token, mark } => Self::Claimed {
                token: session::hex(token),
                claim: mark.id.to_string(),
                at: mark.at.millis(),
            },
            Change::Ran { token, run } => {
                Self::Ran { token: session::hex(token), run: StoredRun::of(run) }
            }
            Change::Dropped { token } => Self::Dropped { token: session::hex(token) },
            Change::Rested => Self::Rested,
            Change::Touched { .. }
            | Change::Postponed { .. }
            | Change::Forgotten { .. }
            | Change::Unanswered { .. } => return None,
        })
    }

    fn change(self) -> Result<Change, BadRow> {
        let moment = Timestamp::from_millis;
        Ok(match self {
            Self::Noted(at) => Change::Noted { at: moment(at) },
            Self::Founded { record, seen } => {
                Change::Created { record: Arc::new(record.record()?), seen_at: moment(seen) }
            }
            Self::Patched { id, patch } => {
                Change::Patched { id: parse_id(&id)?, patch: patch.patch()?, next: None }
            }
            Self::Seen { id, at } => Change::Seen { id: parse_id(&id)?, at: moment(at) },
            Self::Joined { id, device } => {
                Change::Joined { id: parse_id(&id)?, device: device.device()? }
            }
            Self::Used { id, device } => {
                Change::Used { id: parse_id(&id)?, device: session::parse_device(&device)? }
            }
            Self::Displaced { id } => Change::Displaced { id: parse_id(&id)? },
            Self::Left { id, device } => {
                Change::Left { id: parse_id(&id)?, device: session::parse_device(&device)? }
            }
            Self::Raised { id } => Change::Raised { id: parse_id(&id)? },
            Self::Ended { id, at } => Change::Ended { id: parse_id(&id)?, at: moment(at) },
            Self::Minted(token) => Change::Minted { token: Arc::new(token.token()?) },
            Self::Claimed { token, claim, at } => Change::Claimed {
                token: session::parse_digest(&token)?,
                mark: ClaimMark { id: parse_claim(&claim)?, at: moment(at) },
            },
            Self::Ran { token, run } => {
                Change::Ran { token: session::parse_digest(&token)?, run: run.run()? }
            }
            Self::Dropped { token } => Change::Dropped { token: session::parse_digest(&token)? },
            Self::Rested => Change::Rested,
        })
    }
}

fn parse_id(text: &str) -> Result<SessionId, BadRow> {
    Ok(session::parse_session(text)?)
}

fn parse_claim(text: &str) -> Result<ClaimId, BadRow> {
    text.parse().map_err(|_| BadRow::Malformed("a claim cannot be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::DeviceId;
    use crate::base::Digest;
    use crate::base::TokenId;
    use crate::session::Device;
    use crate::session::JsonText;
    use crate::session::Lifetime;
    use crate::session::Patch;
    use crate::session::Record;
    use crate::token::ReplayKey;
    use crate::token::Run;
    use crate::token::RunStage;
    use crate::token::SealedAnswer;
    use crate::token::Token;
    use serde_json::json;

    const ID: SessionId = SessionId::from_bytes([7; 16]);
    const DIGEST: Digest = Digest::from_bytes([8; 32]);
    const AT: Timestamp = Timestamp::from_millis(1_000);

    fn device() -> Device {
        let id = DeviceId::from_bytes([1; 8]);
        Device { id, digest: DIGEST, since: AT, label: "\"é\"".into() }
    }

    fn every_lasting_change() -> Vec<Change> {
        let mut record = Record::new(ID, AT, Lifetime::default(), device());
        record
            .storage
            .put(&"k\"é".into(), Some(&JsonText::of(&json!({"a": [1, null, "x"]})).unwrap()));
        let entries =
            vec![("a".into(), Some(JsonText::of(&json!(null)).unwrap())), ("b".into(), None)];
        let mark = ClaimMark { id: ClaimId::from_bytes([9; 16]), at: AT };
        let run = Run {
            key: ReplayKey { call: DIGEST, body: DIGEST },
            by: mark.id,
            deadline: AT,
            lease: None,
            repeats_until: AT,
            stage: RunStage::Answered { at: AT, answer: SealedAnswer::from_bytes(vec![0, 255]) },
        };
        let token = Token {
            digest: DIGEST,
            id: TokenId::from_bytes([2; 8]),
            session: ID,
            minted_at: AT,
            expires_at: AT,
            handlers: vec!["A.b".into()],
            mode: None,
            confirm: None,
            binding: None,
            generation: 0,
            claim: Some(mark),
            run: Some(run.clone()),
        };
        vec![
            Change::Noted { at: AT },
            Change::Created { record: Arc::new(record), seen_at: AT },
            Change::Patched { id: ID, patch: Patch { entries, ..Patch::default() }, next: None },
            Change::Seen { id: ID, at: AT },
            Change::Joined { id: ID, device: device() },
            Change::Used { id: ID, device: device().id },
            Change::Left { id: ID, device: device().id },
            Change::Displaced { id: ID },
            Change::Raised { id: ID },
            Change::Ended { id: ID, at: AT },
            Change::Minted { token: Arc::new(token) },
            Change::Claimed { token: DIGEST, mark },
            Change::Ran { token: DIGEST, run },
            Change::Dropped { token: DIGEST },
            Change::Rested,
        ]
    }

    #[test]
    fn a_row_reads_back_every_change_that_lasts() {
        let row = Row { at: AT, changes: every_lasting_change() };
        assert!(row.changes.iter().all(Change::is_lasting));
        let again = Row::decode(&row.encode().unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{row:?}"));
    }

    /// If a variant is renamed, this version cannot read a journal of the previous one.
    #[test]
    fn changes_are_stored_under_names_that_stay() {
        let row = Row { at: AT, changes: every_lasting_change() };
        let stored: serde_json::Value = serde_json::from_slice(&row.encode().unwrap()).unwrap();
        let name = |change: &serde_json::Value| match change {
            serde_json::Value::String(name) => name.clone(),
            change => change.as_object().unwrap().keys().next().unwrap().clone(),
        };
        let names: Vec<_> = stored["did"].as_array().unwrap().iter().map(name).collect();
        let expected = [
            "noted",
            "founded",
            "patched",
            "seen",
            "joined",
            "used",
            "left",
            "displaced",
            "raised",
            "ended",
            "minted",
            "claimed",
            "ran",
            "dropped",
            "rested",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_row_of_a_later_version_is_named_as_such_whatever_its_shape() {
        let later = br#"{"v":4,"anything":"else"}"#;
        assert!(matches!(Row::decode(later), Err(BadRow::Newer(4))));
        let torn = Row::decode(br#"{"v":1,"at":0,"did":[{"minted""#);
        assert!(matches!(torn, Err(BadRow::Malformed(_))));
    }
}
