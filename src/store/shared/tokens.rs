//! Conversions of tokens between their rows, the entries in their session's row, and the type that
//! the program works with.

use crate::base::Confirm;
use crate::store::shared::engine::TokenRow;
use crate::token::ClaimMark;
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
    let RunStage::Answered { at, answer } = &run.stage else {
        return Ok((codec::encode_run(run)?, Vec::new()));
    };
    let bare = RunStage::Answered { at: *at, answer: SealedAnswer::from_bytes(Vec::new()) };
    let bytes = codec::encode_run(&Run { stage: bare, ..run.clone() })?;
    Ok((bytes, answer.bytes().to_vec()))
}

fn read_run(bytes: &[u8], answer: &[u8]) -> Result<Run, BadToken> {
    let mut run = codec::decode_run(bytes)?;
    if let RunStage::Answered { at, .. } = run.stage {
        run.stage = match answer {
            // It was evicted: a sealed response is never empty.
            [] => RunStage::NotKept,
            sealed => RunStage::Answered { at, answer: SealedAnswer::from_bytes(sealed) },
        };
    }
    Ok(run)
}
