//! What must be known before a link counts: who asks for it, and whether a person has agreed.

use crate::base::Caller;
use crate::base::ClaimId;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::token::RepeatWish;
use crate::token::Token;

/// One attempt to redeem a token, as far as [`Token::judge`] looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'c> {
    /// The name of the attempt.
    pub id: ClaimId,
    /// The handler that is about to answer, as `Class.method`.
    pub handler: &'c str,
    /// What the row wants the bearer to get.
    pub row_mode: RestoreMode,
    /// Who asks.
    pub caller: Caller,
    /// Whether a person has agreed.
    pub consent: Consent,
    /// What it says about repeats; `None` if it can be none and has none.
    pub repeat: Option<RepeatWish>,
}

/// Whether a person has agreed to what the token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Somebody has, or nobody needs to: the request is no mere opening of a link.
    Given,
    /// Somebody pressed the button of a page that asked [`Question::Click`].
    Clicked {
        /// The session in which the browser is signed in at present, if it is.
        signed_in: Option<SessionId>,
    },
    /// A link was opened, and that is all there is.
    Open {
        /// What the row wants.
        row: Confirm,
        /// The digest of the nonce that this browser was given when it minted last.
        browser: Option<Digest>,
        /// The session in which the browser is signed in at present, if it is.
        signed_in: Option<SessionId>,
    },
}

/// What a person must be asked before the token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether he meant to open the link at all (docs/SECURITY.md T13, T21).
    Click,
    /// Whether he means to leave the session in which he is signed in for another one: whoever
    /// sent the link may want him to work in a session of the sender's (docs/SECURITY.md T21, G13).
    Switch,
}

impl Token {
    /// What must be asked before this attempt may win; `None` when nothing must.
    pub(super) fn question(&self, attempt: &Attempt<'_>) -> Option<Question> {
        let (wants_click, signed_in) = match attempt.consent {
            Consent::Given => return None,
            Consent::Clicked { signed_in } => (false, signed_in),
            Consent::Open { row, browser, signed_in } => {
                (self.wants_click(row, browser), signed_in)
            }
        };
        let mode = RestoreMode::decide(self.mode, attempt.row_mode, attempt.caller);
        let leaves = signed_in.is_some_and(|id| id != self.session);
        if leaves && mode != RestoreMode::Context {
            return Some(Question::Switch);
        }
        wants_click.then_some(Question::Click)
    }

    fn wants_click(&self, row: Confirm, browser: Option<Digest>) -> bool {
        match self.confirm.map_or(row, |own| own.max(row)) {
            Confirm::Never => false,
            // Digests are no secrets, so that they may be compared plainly.
            Confirm::Foreign => self.binding.is_none() || self.binding != browser,
            Confirm::Always => true,
        }
    }
}
