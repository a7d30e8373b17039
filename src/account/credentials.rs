//! What is stored of the password of one account.

use serde::Deserialize;
use serde::Serialize;

use crate::account::attempts::Attempts;
use crate::account::password::PasswordHash;
use crate::account::user::BadDocument;
use crate::account::user::VERSION;
use crate::base::Timestamp;

/// The hashes of a password, and the failed attempts to guess it. It is a record of its own, so
/// that counting attempts never disturbs a change of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The hash of the password.
    pub password: PasswordHash,
    /// The hash of its client digest, where the settings allow it.
    pub digest: Option<PasswordHash>,
    /// When it was set.
    pub changed_at: Timestamp,
    /// The attempts since the last right password.
    pub attempts: Attempts,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    password: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    changed: u64,
    checked: u32,
    last: u64,
    refused: u64,
}

impl Credentials {
    /// The bytes for a store.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Stored {
            v: VERSION,
            password: self.password.as_str().to_owned(),
            digest: self.digest.as_ref().map(|digest| digest.as_str().to_owned()),
            changed: self.changed_at.millis(),
            checked: self.attempts.checked,
            last: self.attempts.last.millis(),
            refused: self.attempts.refused,
        })
    }

    /// The credentials in these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadDocument> {
        let stored: Stored = BadDocument::read(bytes)?;
        Ok(Self {
            password: PasswordHash::stored(stored.password),
            digest: stored.digest.map(PasswordHash::stored),
            changed_at: Timestamp::from_millis(stored.changed),
            attempts: Attempts {
                checked: stored.checked,
                last: Timestamp::from_millis(stored.last),
                refused: stored.refused,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_read_back_what_was_written() {
        let credentials = Credentials {
            password: PasswordHash::stored("$argon2id$v=19$x".to_owned()),
            digest: Some(PasswordHash::stored("$argon2id$v=19$y".to_owned())),
            changed_at: Timestamp::from_millis(7),
            attempts: Attempts { checked: 2, last: Timestamp::from_millis(9), refused: 3 },
        };
        let plain = Credentials { digest: None, ..credentials.clone() };
        for written in [credentials, plain] {
            assert_eq!(Credentials::decode(&written.encode().unwrap()), Ok(written));
        }
        assert_eq!(Credentials::decode(b"{\"v\":9}"), Err(BadDocument::Newer(9)));
        assert_eq!(Credentials::decode(b"{\"v\":1}"), Err(BadDocument::Malformed));
    }
}
