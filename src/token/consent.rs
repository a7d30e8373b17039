//! Whether a person must confirm before a link is redeemed, and whether that has happened.

use crate::base::Caller;
use crate::base::ClaimId;
use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::token::ReplayOptions;
use crate::token::Token;

/// One attempt to redeem a token, as [`Token::judge`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'c> {
    /// The id of the attempt.
    pub id: ClaimId,
    /// The handler of the row, as `Class.method`.
    pub handler: &'c str,
    /// The restore mode of the row.
    pub row_mode: RestoreMode,
    /// The kind of client.
    pub caller: Caller,
    /// Whether a person has agreed.
    pub consent: Consent,
    /// How repeats are recognized and treated; `None` if the callback cannot be repeated.
    pub repeat: Option<ReplayOptions>,
}

/// Whether a person has agreed to what the token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Consent exists or is not needed: the request is more than the opening of a link.
    Given,
    /// The button on the page for [`Question::Click`] was pressed.
    Clicked {
        /// The session in which the browser is signed in, if it is.
        signed_in: Option<SessionId>,
    },
    /// A link was opened, and nothing else is known.
    Open {
        /// The confirmation policy of the row.
        row: Confirm,
        /// The digest of the nonce that this browser got when it minted last.
        browser: Option<Digest>,
        /// The session in which the browser is signed in, if it is.
        signed_in: Option<SessionId>,
    },
}

/// What a person must confirm before the token is redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// That opening the link was intended at all (docs/SECURITY.md T13, T21).
    Click,
    /// That leaving the signed-in session for another one is intended: the sender of the link may
    /// want the user to work in the sender's session (docs/SECURITY.md T21, G13).
    Switch,
}

impl Token {
    /// What must be confirmed before this attempt may win; `None` if nothing must.
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
            // Digests are not secret, so a plain comparison is sufficient.
            Confirm::Foreign => self.binding.is_none() || self.binding != browser,
            Confirm::Always => true,
        }
    }
}
