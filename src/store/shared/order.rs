//! A claim in the form in which a database evaluates it.

use crate::base::RestoreMode;
use crate::base::Timestamp;
use crate::base::limits::DEVICES_PER_SESSION_MAX;
use crate::session::codec;
use crate::store::error::StoreError;
use crate::store::port::Claim;
use crate::store::shared::engine::Asks;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::tokens;
use crate::token::Consent;
use crate::token::Run;

/// The order to an engine for this claim, which gives the session the version `next`.
pub(super) fn of(now: Timestamp, claim: &Claim, next: u64) -> Result<ClaimOrder, StoreError> {
    let run = claim.repeat.map(|options| {
        let run = Run::begin(claim.id, &options, now);
        tokens::run_bytes(&run).map(|(bytes, _)| (bytes, run.repeats_until))
    });
    let unwritable = |error| StoreError::Corrupt(Box::new(error));
    Ok(ClaimOrder {
        now,
        token: claim.token,
        id: claim.id,
        handler: claim.handler.to_string(),
        row_mode: claim.row_mode,
        auto_shares: RestoreMode::decide(None, RestoreMode::Auto, claim.caller)
            == RestoreMode::Share,
        asks: asks(claim.consent),
        current: claim.current,
        newcomer_digest: claim.newcomer.digest,
        newcomer: codec::encode_device(&claim.newcomer).map_err(unwritable)?,
        run: run.transpose().map_err(unwritable)?,
        devices_max: DEVICES_PER_SESSION_MAX,
        next,
    })
}

fn asks(consent: Consent) -> Asks {
    match consent {
        Consent::Given => Asks { click: None, browser: None, signed_in: None },
        Consent::Clicked { signed_in } => Asks { click: None, browser: None, signed_in },
        Consent::Open { row, browser, signed_in } => {
            Asks { click: Some(tokens::weight(row)), browser, signed_in }
        }
    }
}
