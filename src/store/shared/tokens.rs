//! Conversions of tokens between their rows, the entries in their session's row, and the type that
//! the program works with.

use crate::base::Confirm;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::store::shared::engine::KeptAnswer;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::engine::Unspent;
use crate::token::ClaimMark;
use crate::token::ReplayKey;
use crate::token::Run;
use crate::token::RunStage;
use crate::token::SealedAnswer;
use crate::token::Token;
use crate::token::codec;
use crate::token::codec::BadToken;

/// The row of a token.
pub(super) fn row(token: &Token) -> Result<TokenRow, serde_json::Error> {
    let (run, answer) = token.run.as_ref().map(run_bytes).transpose()?.unwrap_or_default();
    let minted = Token { claim: None, run: None, ..token.clone() };
    Ok(TokenRow {
        digest: token.digest,
        id: token.id,
        session: token.session,
        expires_at: token.expires_at,
        forget_at: token.forget_at(),
        handlers: token.handlers.iter().map(ToString::to_string).collect(),
        mode: token.mode,
        confirm: weight(token.confirm.unwrap_or_default()),
        binding: token.binding,
        claim: token.claim.map(|mark| (mark.id, mark.at)),
        run,
        answer,
        doc: codec::encode(&minted)?,
    })
}

/// The token in a row.
pub(super) fn token(row: &TokenRow) -> Result<Token, BadToken> {
    let claim = row.claim.map(|(id, at)| ClaimMark { id, at });
    let run = match row.run.as_slice() {
        [] => None,
        bytes => Some(read_run(bytes, &row.answer)?),
    };
    Ok(Token { claim, run, ..codec::decode(&row.doc)? })
}

/// The strictness of a `confirm`, as engines compare it.
pub(super) fn weight(wish: Confirm) -> u8 {
    match wish {
        Confirm::Never => 0,
        Confirm::Foreign => 1,
        Confirm::Always => 2,
    }
}

/// A run and its response, separately. Listing a session's tokens then reads no responses, and
/// evicting a response leaves the rest unchanged.
pub(super) fn run_bytes(run: &Run) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let RunStage::Answered { at, answer, right } = &run.stage else {
        return Ok((codec::encode_run(run)?, Vec::new()));
    };
    let empty = SealedAnswer::from_bytes(Vec::new());
    let bare = RunStage::Answered { at: *at, answer: empty, right: *right };
    let bytes = codec::encode_run(&Run { stage: bare, ..run.clone() })?;
    Ok((bytes, answer.bytes().to_vec()))
}

fn read_run(bytes: &[u8], answer: &[u8]) -> Result<Run, BadToken> {
    let mut run = codec::decode_run(bytes)?;
    if let RunStage::Answered { at, right, .. } = run.stage {
        run.stage = match answer {
            // It was evicted: a sealed response is never empty.
            [] => RunStage::NotKept,
            sealed => RunStage::Answered { at, answer: SealedAnswer::from_bytes(sealed), right },
        };
    }
    Ok(run)
}

/// The entry of an unclaimed token in its session's row.
pub(super) fn slip(token: &Token) -> Unspent {
    Unspent { digest: token.digest, id: token.id, expires_at: token.expires_at }
}

/// As much of an unclaimed token as its session's row holds: enough to count it and to revoke it.
pub(super) fn unspent(session: SessionId, slip: &Unspent) -> Token {
    let Unspent { digest, id, expires_at } = *slip;
    Token { id, expires_at, ..blank(session, digest) }
}

/// The entry of a kept response in its session's row; `None` if the run has none.
pub(super) fn kept(digest: &Digest, run: &Run) -> impl Iterator<Item = KeptAnswer> {
    let answer = run.answer().map(|(at, answer)| KeptAnswer {
        digest: *digest,
        at,
        bytes: u32::try_from(answer.bytes().len()).unwrap_or(u32::MAX),
    });
    answer.into_iter()
}

/// A claimed token with a response of this size: enough to decide which responses to evict.
pub(super) fn answered(session: SessionId, kept: &KeptAnswer) -> Token {
    let size = usize::try_from(kept.bytes).unwrap_or_default();
    let id = crate::base::ClaimId::from_bytes([0; 16]);
    let answer = SealedAnswer::from_bytes(vec![0; size]);
    let run = Run {
        key: ReplayKey { call: kept.digest, body: kept.digest },
        by: id,
        deadline: kept.at,
        lease: None,
        repeats_until: kept.at,
        stage: RunStage::Answered { at: kept.at, answer, right: None },
    };
    let claim = Some(ClaimMark { id, at: kept.at });
    Token { claim, run: Some(run), ..blank(session, kept.digest) }
}

fn blank(session: SessionId, digest: Digest) -> Token {
    Token {
        digest,
        id: TokenId::from_bytes(*digest.bytes().first_chunk().unwrap_or(&[0; 8])),
        session,
        minted_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        handlers: Vec::new(),
        mode: None,
        confirm: None,
        binding: None,
        generation: 0,
        claim: None,
        run: None,
    }
}
