//! The stored form of a token: versioned JSON, separate from the domain type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde::Serialize;

use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::text::hex;
use crate::token::AnswerRight;
use crate::token::ClaimMark;
use crate::token::ReplayKey;
use crate::token::Run;
use crate::token::RunStage;
use crate::token::SealedAnswer;
use crate::token::Token;

/// The version this program writes; later ones are refused.
pub const VERSION: u8 = 2;

/// Stored bytes that are not a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadToken {
    /// Written by a later version of callgate.
    Newer(u8),
    /// Not written by any known version.
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
    /// Tokens that were written before generations existed are of generation 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    generation: u64,
    /// The winning attempt and its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<StoredRun>,
}

/// The stored form of a run, with its token or by itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredRun {
    call: String,
    body: String,
    by: String,
    deadline: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<u64>,
    until: u64,
    stage: StoredStage,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredStage {
    Running,
    Answered {
        at: u64,
        sealed: String,
        /// Responses that were stored before rights existed depend on none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        right: Option<StoredRight>,
    },
    NotKept,
    Interrupted,
    Unbegun,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredRight {
    Credential(String),
    Grant(u64),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
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
            confirm: token.confirm.map(|confirm| confirm.to_string()),
            binding: token.binding.map(|digest| hex::lower(digest.bytes())),
            generation: token.generation,
            claim: token.claim.map(|mark| (mark.id.to_string(), mark.at.millis())),
            run: token.run.as_ref().map(StoredRun::of),
        }
    }

    /// Converts to the domain type.
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
            generation: self.generation,
            claim,
            run: self.run.map(StoredRun::run).transpose()?,
        })
    }
}

impl StoredRun {
    /// The stored form of a run.
    pub fn of(run: &Run) -> Self {
        Self {
            call: hex::lower(run.key.call.bytes()),
            body: hex::lower(run.key.body.bytes()),
            by: run.by.to_string(),
            deadline: run.deadline.millis(),
            lease: run.lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)),
            until: run.repeats_until.millis(),
            stage: match &run.stage {
                RunStage::Running => StoredStage::Running,
                RunStage::Answered { at, answer, right } => StoredStage::Answered {
                    at: at.millis(),
                    sealed: STANDARD_NO_PAD.encode(answer.bytes()),
                    right: right.map(|right| match right {
                        AnswerRight::Credential(digest) => {
                            StoredRight::Credential(hex::lower(digest.bytes()))
                        }
                        AnswerRight::Grant { generation } => StoredRight::Grant(generation),
                    }),
                },
                RunStage::NotKept => StoredStage::NotKept,
                RunStage::Interrupted => StoredStage::Interrupted,
                RunStage::NotStarted => StoredStage::Unbegun,
            },
        }
    }

    /// Converts to the domain type.
    pub fn run(self) -> Result<Run, BadToken> {
        let digest = |text: &str| {
            hex::read(text).map(Digest::from_bytes).map_err(|_| BadToken::Malformed("run"))
        };
        Ok(Run {
            key: ReplayKey { call: digest(&self.call)?, body: digest(&self.body)? },
            by: self.by.parse().map_err(|_| BadToken::Malformed("run"))?,
            deadline: Timestamp::from_millis(self.deadline),
            lease: self.lease.map(Duration::from_millis),
            repeats_until: Timestamp::from_millis(self.until),
            stage: match self.stage {
                StoredStage::Running => RunStage::Running,
                StoredStage::Answered { at, sealed, right } => {
                    let bytes = STANDARD_NO_PAD.decode(sealed);
                    let bytes = bytes.map_err(|_| BadToken::Malformed("answer"))?;
                    let answer = SealedAnswer::from_bytes(bytes);
                    let right = match right {
                        Some(StoredRight::Credential(text)) => {
                            Some(AnswerRight::Credential(digest(&text)?))
                        }
                        Some(StoredRight::Grant(generation)) => {
                            Some(AnswerRight::Grant { generation })
                        }
                        None => None,
                    };
                    RunStage::Answered { at: Timestamp::from_millis(at), answer, right }
                }
                StoredStage::NotKept => RunStage::NotKept,
                StoredStage::Interrupted => RunStage::Interrupted,
                StoredStage::Unbegun => RunStage::NotStarted,
            },
        })
    }
}

/// Encodes a token, for stores outside of this crate that keep each token whole; those in this
/// crate write [`StoredToken`]s into rows of their own. On an error nothing may be stored.
pub fn encode(token: &Token) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StoredToken::of(token))
}

/// Encodes a run, for stores that keep it apart from its token.
pub fn encode_run(run: &Run) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&StoredRun::of(run))
}

/// Decodes a run.
pub fn decode_run(bytes: &[u8]) -> Result<Run, BadToken> {
    let stored: StoredRun =
        serde_json::from_slice(bytes).map_err(|_| BadToken::Malformed("not a run"))?;
    stored.run()
}

/// Decodes a token.
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
            generation: 5,
            claim: Some(mark),
            run: None,
        };
        assert_eq!(decode(&encode(&token).unwrap()).unwrap(), token);
        let answer = SealedAnswer::from_bytes(vec![0, 255, 7]);
        for stage in [
            RunStage::Running,
            RunStage::Answered {
                at: Timestamp::from_millis(4_000),
                answer,
                right: Some(AnswerRight::Credential(Digest::from_bytes([6; 32]))),
            },
            RunStage::NotKept,
            RunStage::Interrupted,
            RunStage::NotStarted,
        ] {
            let run = Run {
                key: ReplayKey {
                    call: Digest::from_bytes([5; 32]),
                    body: Digest::from_bytes([6; 32]),
                },
                by: ClaimId::from_bytes([7; 16]),
                deadline: Timestamp::from_millis(33_000),
                lease: Some(Duration::from_secs(6)),
                repeats_until: Timestamp::from_millis(90_000),
                stage,
            };
            let ran = Token { run: Some(run.clone()), ..token.clone() };
            assert_eq!(decode(&encode(&ran).unwrap()).unwrap(), ran);
            // What earlier versions wrote had no lease.
            let text = String::from_utf8(encode_run(&run).unwrap()).unwrap();
            let earlier = text.replace("\"lease\":6000,", "");
            assert_ne!(earlier, text);
            assert_eq!(decode_run(earlier.as_bytes()).unwrap(), Run { lease: None, ..run });
        }
        let plain = Token {
            handlers: Vec::new(),
            mode: None,
            confirm: None,
            binding: None,
            generation: 0,
            claim: None,
            ..token
        };
        let bytes = encode(&plain).unwrap();
        assert_eq!(decode(&bytes).unwrap(), plain);
        // Earlier versions did not write these fields, and absent values are not written.
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("confirm") && !text.contains("run"));
        assert!(!text.contains("generation"));
        let earlier = text.replace("\"v\":2", "\"v\":1");
        assert_eq!(decode(earlier.as_bytes()).unwrap(), plain);
        let later = text.replace("\"v\":2", "\"v\":9");
        assert_eq!(decode(later.as_bytes()).unwrap_err(), BadToken::Newer(9));
    }
}
