//! A one-time token: a secret that returns one later request to the session that minted it.
//!
//! ```text
//!             redeemed by the handler it is for
//!   unspent ─────────────────────────────────────▶ claimed ──┐
//!      │  lifespan over, or its session ended                ├─▶ forgotten
//!      └──────────────────────────────────────────▶ expired ─┘   (ten minutes after its lifespan)
//! ```
//!
//! A session that gains privileges ends its unspent tokens. Each of them is marked as if it had been
//! claimed, for the rest of its lifespan, so that a request that carries it learns the reason.
//!
//! Only the digest of a token is ever stored. A store decides in one atomic step which of several
//! requests with the same token wins; [`judge`] is the rule that every store follows. Redis and
//! PostgreSQL grant the plain case by a copy of it (`claim.lua`, `claim_v1`). A generated table of
//! cases holds the copies to it (`store/shared/cases`), and a grant that it would refuse is undone.
//! What a claimed token still does for repeats of its callback is in [`repeat`].
//!
//! | file | part |
//! |---|---|
//! | `mint` | making a token |
//! | `consent` | attempts to redeem, and whether a person must confirm |
//! | `outcome` | how a redemption can end, for handlers |
//! | `repeat` | repeats of a callback, and the run that they share |
//! | `answer` | the sealed response for repeats |
//! | `text` | reading a token from an altered link |
//! | `codec` | the stored form of a token |
//!
//! [`judge`]: Token::judge

pub mod answer;
pub mod codec;
pub mod consent;
pub mod mint;
pub mod outcome;
pub mod repeat;
pub(crate) mod text;

use std::sync::Arc;

use crate::base::ClaimId;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOKEN_GRACE;
use crate::base::limits::TOMBSTONE;

pub use answer::{Answer, SealedAnswer};
pub use consent::{Attempt, Consent, Question};
pub use mint::{MintOptions, MintRefused, TokenSecret};
pub use outcome::Outcome;
pub use repeat::{Callback, Repeat, ReplayKey, ReplayOptions, Run, RunStage};

/// What a store keeps of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The digest of the secret, which is its key in the store.
    pub digest: Digest,
    /// Its public id, for logs and operators.
    pub id: TokenId,
    /// The session that it restores.
    pub session: SessionId,
    /// When it was minted.
    pub minted_at: Timestamp,
    /// The time from which on it is refused.
    pub expires_at: Timestamp,
    /// The handlers, as `Class.method`, that may redeem it; empty for any.
    pub handlers: Vec<Arc<str>>,
    /// The restore mode of the mint; `None` leaves it to the row.
    pub mode: Option<RestoreMode>,
    /// The confirmation policy of the mint; the stricter of this and the row's counts.
    pub confirm: Option<Confirm>,
    /// The digest of the nonce of the browser that minted; `None` if it got none, and then every
    /// browser counts as a foreign one.
    pub binding: Option<Digest>,
    /// The generation of its session when it was minted. A session that removes other browsers
    /// revokes its unspent tokens, so this is also the generation of the session at redemption.
    pub generation: u64,
    /// The redemption that won, if there was one.
    pub claim: Option<ClaimMark>,
    /// The run that it started, if its callback may be repeated ([`repeat`]).
    pub run: Option<Run>,
}

/// Records on the token which redemption won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimMark {
    /// The attempt that won. The same attempt may be retried, because the response of a store can
    /// be lost.
    pub id: ClaimId,
    /// When it won.
    pub at: Timestamp,
}

/// The result of one attempt to redeem a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The attempt wins; the store records that before it returns.
    Won,
    /// This attempt won earlier and is a retry.
    WonBefore,
    /// Another attempt won, at this time.
    Used(Timestamp),
    /// It expired before it was redeemed.
    Expired,
    /// A sign-in in its session ended it.
    EndedBySignIn,
    /// It is bound to other handlers; nothing changes.
    WrongHandler,
    /// A person must confirm first; nothing changes.
    AskFirst(Question),
    /// It repeats the callback that won at this time, and gets this result instead of a second run.
    Repeats(Timestamp, Repeat),
    /// It repeats a callback that was cut off, or refused before its handler, and takes over the
    /// run; the store records that before it returns.
    TakesOver(Run),
}

/// The claim of a token that a sign-in ended. Attempts have random names, so none has this one.
const BY_SIGN_IN: ClaimId = ClaimId::from_bytes([0xFF; 16]);

impl ClaimMark {
    /// The mark of a token that a sign-in ends at this moment.
    pub const fn by_sign_in(at: Timestamp) -> Self {
        Self { id: BY_SIGN_IN, at }
    }

    /// Whether a sign-in ended the token before it was redeemed.
    pub fn is_by_sign_in(&self) -> bool {
        self.id == BY_SIGN_IN
    }

    /// Until when a token is remembered that a sign-in ended; `None` for one that was redeemed.
    pub fn forget_at(&self, expires_at: Timestamp) -> Option<Timestamp> {
        self.is_by_sign_in().then(|| self.at.after(TOMBSTONE).min(expires_at))
    }
}

impl Token {
    /// Decides one attempt. Confirmation is not asked for a token that would be refused anyway.
    pub fn judge(&self, attempt: &Attempt<'_>, now: Timestamp) -> Verdict {
        match self.claim {
            Some(mark) if mark.is_by_sign_in() => Verdict::EndedBySignIn,
            Some(mark) => self.judge_again(mark, attempt, now),
            None if now >= self.expires_at => Verdict::Expired,
            None if !self.is_for(attempt.handler) => Verdict::WrongHandler,
            None => self.question(attempt).map_or(Verdict::Won, Verdict::AskFirst),
        }
    }

    /// Whether it can still be redeemed at `now`.
    pub fn is_unspent(&self, now: Timestamp) -> bool {
        self.claim.is_none() && now < self.expires_at
    }

    /// When it can be deleted.
    pub fn forget_at(&self) -> Timestamp {
        if let Some(ended) = self.claim.and_then(|mark| mark.forget_at(self.expires_at)) {
            return ended;
        }
        let spent = self.expires_at.after(TOKEN_GRACE);
        self.run.as_ref().map_or(spent, |run| spent.max(run.repeats_until))
    }

    fn is_for(&self, handler: &str) -> bool {
        self.handlers.is_empty() || self.handlers.iter().any(|name| **name == *handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Caller;

    fn token() -> Token {
        Token {
            digest: Digest::from_bytes([1; 32]),
            id: TokenId::from_bytes([2; 8]),
            session: SessionId::from_bytes([3; 16]),
            minted_at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(10_000),
            handlers: vec!["Pay.done".into()],
            mode: None,
            confirm: None,
            binding: None,
            generation: 0,
            claim: None,
            run: None,
        }
    }

    const A: ClaimId = ClaimId::from_bytes([1; 16]);
    const B: ClaimId = ClaimId::from_bytes([2; 16]);
    const NOW: Timestamp = Timestamp::from_millis(1);

    fn attempt(id: ClaimId, handler: &str) -> Attempt<'_> {
        let (row_mode, caller) = (RestoreMode::Auto, Caller::Browser);
        Attempt { id, handler, row_mode, caller, consent: Consent::Given, repeat: None }
    }

    fn open(row: Confirm, browser: Option<Digest>, signed_in: Option<SessionId>) -> Consent {
        Consent::Open { row, browser, signed_in }
    }

    #[test]
    fn a_token_is_refused_from_the_very_moment_it_expires() {
        let at = |millis| token().judge(&attempt(A, "Pay.done"), Timestamp::from_millis(millis));
        assert_eq!(at(9_999), Verdict::Won);
        assert_eq!(at(10_000), Verdict::Expired);
    }

    #[test]
    fn the_attempt_that_won_may_ask_again_and_nobody_else() {
        let mark = ClaimMark { id: A, at: Timestamp::from_millis(5) };
        let claimed = Token { claim: Some(mark), ..token() };
        let late = Timestamp::from_millis(20_000);
        assert_eq!(claimed.judge(&attempt(A, "Pay.done"), late), Verdict::WonBefore);
        assert_eq!(claimed.judge(&attempt(B, "Pay.done"), late), Verdict::Used(mark.at));
    }

    #[test]
    fn only_the_handlers_it_is_for_may_redeem_it() {
        for other in ["Pay.cancel", "pay.done"] {
            assert_eq!(token().judge(&attempt(A, other), NOW), Verdict::WrongHandler);
        }
        let open = Token { handlers: Vec::new(), ..token() };
        assert_eq!(open.judge(&attempt(A, "Pay.cancel"), NOW), Verdict::Won);
    }

    #[test]
    fn the_stricter_wish_counts_and_a_bound_browser_is_not_foreign() {
        use Confirm::{Always, Foreign, Never};
        let (own, other) = (Digest::from_bytes([8; 32]), Digest::from_bytes([9; 32]));
        let token = Token { binding: Some(own), ..token() };
        let asks = |minted, row, browser| {
            let consent = open(row, browser, None);
            let token = Token { confirm: minted, ..token.clone() };
            token.judge(&Attempt { consent, ..attempt(A, "Pay.done") }, NOW) != Verdict::Won
        };
        assert!(!asks(None, Never, None) && !asks(Some(Never), Never, None));
        assert!(asks(None, Foreign, None) && asks(None, Foreign, Some(other)));
        assert!(!asks(None, Foreign, Some(own)) && !asks(Some(Foreign), Never, Some(own)));
        assert!(asks(Some(Foreign), Never, None) && asks(Some(Never), Foreign, None));
        assert!(asks(Some(Always), Never, Some(own)) && asks(Some(Foreign), Always, Some(own)));
        let unbound = Token { binding: None, ..token.clone() };
        let nobody = Attempt { consent: open(Foreign, None, None), ..attempt(A, "Pay.done") };
        assert_eq!(unbound.judge(&nobody, NOW), Verdict::AskFirst(Question::Click));
    }

    #[test]
    fn nobody_leaves_the_session_he_is_signed_in_to_without_being_asked() {
        let (own, other) = (token().session, SessionId::from_bytes([4; 16]));
        let judge = |consent, row_mode| {
            token().judge(&Attempt { row_mode, consent, ..attempt(A, "Pay.done") }, NOW)
        };
        let switch = Verdict::AskFirst(Question::Switch);
        let there = |session| open(Confirm::Never, None, Some(session));
        assert_eq!(judge(there(other), RestoreMode::Share), switch);
        assert_eq!(judge(there(other), RestoreMode::Transfer), switch);
        assert_eq!(judge(there(other), RestoreMode::Context), Verdict::Won);
        assert_eq!(judge(there(own), RestoreMode::Share), Verdict::Won);
        // Agreeing to open a link is not agreeing to leave a session that the page did not know.
        let clicked = Consent::Clicked { signed_in: Some(other) };
        assert_eq!(judge(clicked, RestoreMode::Share), switch);
        assert_eq!(judge(Consent::Clicked { signed_in: None }, RestoreMode::Share), Verdict::Won);
        assert_eq!(judge(Consent::Given, RestoreMode::Share), Verdict::Won);
    }

    #[test]
    fn nobody_is_asked_about_a_token_that_leads_nowhere() {
        let consent = open(Confirm::Always, None, Some(SessionId::from_bytes([4; 16])));
        let asked = Attempt { consent, ..attempt(A, "Pay.done") };
        let late = Timestamp::from_millis(10_000);
        assert_eq!(token().judge(&asked, late), Verdict::Expired);
        let elsewhere = Attempt { handler: "Pay.cancel", ..asked };
        assert_eq!(token().judge(&elsewhere, NOW), Verdict::WrongHandler);
        let mark = ClaimMark { id: B, at: NOW };
        let used = Token { claim: Some(mark), ..token() };
        assert_eq!(used.judge(&asked, NOW), Verdict::Used(NOW));
    }
}
