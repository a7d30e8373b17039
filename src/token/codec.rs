//! The stored form of a token: versioned JSON, apart from the type the program works with.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::hex;
use crate::token::ClaimMark;
use crate::token::Token;

/// The version this program writes; later ones are refused.
pub const VERSION: u8 = 1;

/// Stored bytes that cannot be a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadToken {
    /// Written by a later version of callgate.
    Newer(u8),
    /// Not what any version writes.
    Malformed(&'static str),
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "a token has version {version}, and this callgate reads up to {VERSION}; start \
                 the newer callgate"
            ),
            Self::Malformed(part) => write!(f, "a token cannot be read: {part}"),
        }
    }
}

impl std::error::Error for BadToken {}

/// A token as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredToken {
    v: u8,
    digest: String,
    id: String,
    session: String,
    minted: u64,
    expires: u64,
    #[serde(default, rename = "for", skip_serializing_if = "Vec::is_empty")]
    handlers: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<String>,
    /// The winning attempt and its moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<(String, u64)>,
}

impl StoredToken {
    /// The stored form of a token.
    pub fn of(token: &Token) -> Self {
        Self {
            v: VERSION,
            digest: hex::lower(token.digest.bytes()),
            id: token.id.to_string(),
            session: token.session.to_string(),
            minted: token.minted_at.millis(),
            expires: token.expires_at.millis(),
            handlers: token.handlers.clone(),
            mode: token.mode.map(|mode| mode.to_string()),
            confirm: token.confirm.map(|wish| wish.to_string()),
            binding: token.binding.map(|digest| hex::lower(digest.bytes())),
            claim: token.claim.map(|mark| (mark.id.to_string(), mark.at.millis())),
        }
    }

    /// The token.
    pub fn token(self) -> Result<Token, BadToken> {
        if self.v > VERSION {
            return Err(BadToken::Newer(self.v));
        }
        let claim = match self.claim {
            Some((id, at)) => Some(ClaimMark {
                id: id.parse().map_err(|_| BadToken::Malformed("claim"))?,
                at: Timestamp::from_millis(at),
            }),
            None => None,
        };
        let mode = self.mode.map(|name| name.parse()).transpose();
        let confirm = self.confirm.map(|name| name.parse()).transpose();
        let binding = self.binding.map(|text| hex::read(&text).map(Digest::from_bytes));
        Ok(Token {
            digest: hex::read(&self.digest)
                .map(Digest::from_bytes)
                .map_err(|_| BadToken::Malformed("digest"))?,
            id: self.id.parse().map_err(|_| BadToken::Malformed("id"))?,
            session: self.session.parse().map_err(|_| BadToken::Malformed("session"))?,
            minted_at: Timestamp::from_millis(self.minted),
            expires_at: Timestamp::from_millis(self.expires),
            handlers: self.handlers,
            mode: mode.map_err(|_| BadToken::Malformed("mode"))?,
            confirm: confirm.map_err(|_| BadToken::Malformed("confirm"))?,
            binding: binding.transpose().map_err(|_| BadToken::Malformed("binding"))?,
            claim,
        })
    }
}

/// Bytes of a token, for stores outside of this crate that keep each token whole; those in this
/// crate write [`StoredToken`]s into rows of their own. An error means that nothing may be stored.
pub fn encode(token: &Token) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StoredToken::of(token))
}

/// The token in such bytes.
pub fn decode(bytes: &[u8]) -> Result<Token, BadToken> {
    let stored: StoredToken =
        serde_json::from_slice(bytes).map_err(|_| BadToken::Malformed("not a token"))?;
    stored.token()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ClaimId;
    use crate::base::Confirm;
    use crate::base::RestoreMode;
    use crate::base::SessionId;
    use crate::base::TokenId;

    #[test]
    fn a_token_reads_back_what_was_stored_and_later_versions_are_refused() {
        let mark =
            ClaimMark { id: ClaimId::from_bytes([9; 16]), at: Timestamp::from_millis(3_000) };
        let token = Token {
            digest: Digest::from_bytes([1; 32]),
            id: TokenId::from_bytes([2; 8]),
            session: SessionId::from_bytes([3; 16]),
            minted_at: Timestamp::from_millis(1_000),
            expires_at: Timestamp::from_millis(20_000),
            handlers: vec!["A.b".into(), "C.d".into()],
            mode: Some(RestoreMode::Transfer),
            confirm: Some(Confirm::Foreign),
            binding: Some(Digest::from_bytes([4; 32])),
            claim: Some(mark),
        };
        assert_eq!(decode(&encode(&token).unwrap()).unwrap(), token);
        let plain = Token {
            handlers: Vec::new(),
            mode: None,
            confirm: None,
            binding: None,
            claim: None,
            ..token
        };
        let bytes = encode(&plain).unwrap();
        assert_eq!(decode(&bytes).unwrap(), plain);
        // What earlier versions wrote had no word of confirmation, and none is written for none.
        assert!(!String::from_utf8(bytes).unwrap().contains("confirm"));
        let later =
            String::from_utf8(encode(&plain).unwrap()).unwrap().replace("\"v\":1", "\"v\":9");
        assert_eq!(decode(later.as_bytes()).unwrap_err(), BadToken::Newer(9));
    }
}
