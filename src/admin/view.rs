//! Sessions and tokens as operators see them: names, times and sizes; no secret and no value.
//!
//! Names that an application chose, and the user agents of browsers, may contain anything. Parts
//! that may be a token or a cookie are hidden.

use serde_json::Value;
use serde_json::json;

use crate::base::Timestamp;
use crate::base::limits::STORAGE_KEY_BYTES_MAX;
use crate::base::text::masked::masked;
use crate::session::Device;
use crate::store::port::Opened;
use crate::token::Token;

/// A session in a list at `now`.
pub(super) fn session(opened: &Opened, now: Timestamp) -> Value {
    let Opened { record, seen_at, .. } = opened;
    // After a crash a store extends the time of last use by what it may have lost, possibly beyond
    // now.
    let seen = (*seen_at).min(now);
    let privileges: Vec<String> = record.access.privileges.iter().map(|it| shown(it)).collect();
    json!({
        "id": record.id.to_string(),
        "user": shown(&record.access.user_name),
        "guest": !record.access.known,
        "privileges": privileges,
        "created": record.created_at.to_string(),
        "seen": seen.to_string(),
        "expires": opened.ends_at().to_string(),
        "deviceCount": record.devices.len(),
        "storageBytes": record.storage.bytes(),
    })
}

/// A session in detail, with its unspent tokens. `all` says whether the list of them is complete.
pub(super) fn whole_session(
    opened: &Opened,
    (tokens, all): (&[Token], bool),
    now: Timestamp,
) -> Value {
    let record = &opened.record;
    let device = |device: &Device| {
        let (id, since) = (device.id.to_string(), device.since.to_string());
        json!({ "id": id, "since": since, "label": shown(&device.label) })
    };
    let entries = record.storage.entries();
    let storage =
        entries.map(|(key, entry)| json!({ "key": shown(key), "bytes": entry.json.text().len() }));
    let mut whole = session(opened, now);
    if let Value::Object(members) = &mut whole {
        members.insert("idleMinutes".to_owned(), record.lifetime.idle_minutes.into());
        members.insert("absoluteMinutes".to_owned(), record.lifetime.absolute_minutes.into());
        members.insert("devices".to_owned(), record.devices.iter().map(device).collect());
        members.insert("storage".to_owned(), storage.collect());
        members.insert("tokens".to_owned(), tokens.iter().map(token).collect());
        members.insert("tokensComplete".to_owned(), all.into());
    }
    whole
}

/// An unspent token.
pub(super) fn token(token: &Token) -> Value {
    let handlers: Vec<String> = token.handlers.iter().map(|it| shown(it)).collect();
    json!({
        "id": token.id.to_string(),
        "session": token.session.to_string(),
        "minted": token.minted_at.to_string(),
        "expires": token.expires_at.to_string(),
        "handlers": handlers,
        "mode": token.mode.map(|mode| mode.to_string()),
    })
}

fn shown(text: &str) -> String {
    masked(text, STORAGE_KEY_BYTES_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::DeviceId;
    use crate::base::Digest;
    use crate::base::SessionId;
    use crate::session::Lifetime;
    use crate::session::Record;
    use std::sync::Arc;

    #[test]
    fn nobody_was_seen_in_a_moment_to_come() {
        let at = Timestamp::from_millis;
        let device = Device {
            id: DeviceId::from_bytes([2; 8]),
            digest: Digest::from_bytes([3; 32]),
            since: at(0),
            label: String::new(),
        };
        let life = Lifetime { idle_minutes: 60, absolute_minutes: None };
        let record = Arc::new(Record::new(SessionId::from_bytes([1; 16]), at(0), life, device));
        let seen = |millis, now| {
            let (record, seen_at) = (Arc::clone(&record), at(millis));
            session(&Opened { record, seen_at, needed_until: at(0) }, at(now))["seen"].clone()
        };
        assert_eq!(seen(1_000, 5_000), at(1_000).to_string());
        assert_eq!(seen(9_000, 5_000), at(5_000).to_string());
    }
}
