//! A one-time token: a secret that brings one later request back into the session it came from.
//!
//! ```text
//!             redeemed by the handler it is for
//!   unspent ─────────────────────────────────────▶ claimed ──┐
//!      │  lifespan over, or its session ended                ├─▶ forgotten
//!      └──────────────────────────────────────────▶ expired ─┘   (ten minutes after its lifespan)
//! ```
//!
//! Only the digest of a token is ever stored. Which of the many requests that may carry it wins
//! is decided by a store, in one step; [`judge`] is the rule that every store follows.
//!
//! [`judge`]: Token::judge

pub mod codec;
pub mod mint;
pub mod outcome;

use std::sync::Arc;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOKEN_GRACE;

pub use mint::{MintRefused, MintWish, TokenSecret};
pub use outcome::Outcome;

/// What is kept of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The digest of the secret, under which it is found.
    pub digest: Digest,
    /// Its public name, for logs and the operator.
    pub id: TokenId,
    /// The session that it restores.
    pub session: SessionId,
    /// When it was minted.
    pub minted_at: Timestamp,
    /// The first moment at which it is refused.
    pub expires_at: Timestamp,
    /// The handlers, as `Class.method`, that may redeem it; empty for any.
    pub handlers: Vec<Arc<str>>,
    /// What the mint wants the bearer to get; `None` leaves it to the row.
    pub mode: Option<RestoreMode>,
    /// The redemption that won, if there was one.
    pub claim: Option<ClaimMark>,
}

/// The mark that a redemption leaves on its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimMark {
    /// The attempt that won. The same attempt may ask again, because a store's answer can be
    /// lost on its way back.
    pub id: ClaimId,
    /// When it won.
    pub at: Timestamp,
}

/// What becomes of one attempt to redeem a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token is this attempt's now; the store marks it before anybody hears of it.
    Won,
    /// This very attempt won earlier and asks again.
    WonBefore,
    /// Another attempt won, at this moment.
    Used(Timestamp),
    /// Nobody came before its lifespan was over.
    Expired,
    /// It is for other handlers; nothing changes.
    WrongHandler,
}

impl Token {
    /// Decides one attempt by the handler `handler`, written `Class.method`.
    pub fn judge(&self, attempt: ClaimId, handler: &str, now: Timestamp) -> Verdict {
        match self.claim {
            Some(mark) if mark.id == attempt => Verdict::WonBefore,
            Some(mark) => Verdict::Used(mark.at),
            None if now >= self.expires_at => Verdict::Expired,
            None if !self.is_for(handler) => Verdict::WrongHandler,
            None => Verdict::Won,
        }
    }

    /// Whether it can still be redeemed at `now`.
    pub fn is_unspent(&self, now: Timestamp) -> bool {
        self.claim.is_none() && now < self.expires_at
    }

    /// When nobody needs to remember it any more.
    pub fn forget_at(&self) -> Timestamp {
        self.expires_at.after(TOKEN_GRACE)
    }

    fn is_for(&self, handler: &str) -> bool {
        self.handlers.is_empty() || self.handlers.iter().any(|name| **name == *handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            digest: Digest::from_bytes([1; 32]),
            id: TokenId::from_bytes([2; 8]),
            session: SessionId::from_bytes([3; 16]),
            minted_at: Timestamp::from_millis(0),
            expires_at: Timestamp::from_millis(10_000),
            handlers: vec!["Pay.done".into()],
            mode: None,
            claim: None,
        }
    }

    const A: ClaimId = ClaimId::from_bytes([1; 16]);
    const B: ClaimId = ClaimId::from_bytes([2; 16]);

    #[test]
    fn a_token_is_refused_from_the_very_moment_it_expires() {
        let at = |millis| token().judge(A, "Pay.done", Timestamp::from_millis(millis));
        assert_eq!(at(9_999), Verdict::Won);
        assert_eq!(at(10_000), Verdict::Expired);
    }

    #[test]
    fn the_attempt_that_won_may_ask_again_and_nobody_else() {
        let mark = ClaimMark { id: A, at: Timestamp::from_millis(5) };
        let claimed = Token { claim: Some(mark), ..token() };
        let late = Timestamp::from_millis(20_000);
        assert_eq!(claimed.judge(A, "Pay.done", late), Verdict::WonBefore);
        assert_eq!(claimed.judge(B, "Pay.done", late), Verdict::Used(mark.at));
    }

    #[test]
    fn only_the_handlers_it_is_for_may_redeem_it() {
        let now = Timestamp::from_millis(1);
        assert_eq!(token().judge(A, "Pay.cancel", now), Verdict::WrongHandler);
        assert_eq!(token().judge(A, "pay.done", now), Verdict::WrongHandler);
        let open = Token { handlers: Vec::new(), ..token() };
        assert_eq!(open.judge(A, "Pay.cancel", now), Verdict::Won);
    }
}
