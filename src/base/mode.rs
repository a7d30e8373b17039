//! How far a redeemed token lets its bearer into the session.

use std::fmt;
use std::str::FromStr;

/// What the caller that redeems a token gets besides the run of the handler.
///
/// A row of the table may set it, and so may the mint; what the mint said wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoreMode {
    /// [`RestoreMode::Share`] for a browser, [`RestoreMode::Context`] for any other caller, so
    /// that a platform's server never receives a credential of the session.
    #[default]
    Auto,
    /// This browser gets a credential of its own for the session, beside those that exist.
    Share,
    /// The handler works in the session; the caller gets no cookie.
    Context,
    /// As [`RestoreMode::Share`], and every earlier credential of the session ends.
    Transfer,
}

impl RestoreMode {
    /// Every mode by the name used in tables and settings.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("share", Self::Share),
        ("context", Self::Context),
        ("transfer", Self::Transfer),
    ];
}

impl fmt::Display for RestoreMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            Self::NAMES.iter().find(|(_, mode)| mode == self).map_or("auto", |(name, _)| name);
        f.write_str(name)
    }
}

/// The text names no restore mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMode;

impl fmt::Display for NotAMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a restore mode; use \"auto\", \"share\", \"context\" or \"transfer\"")
    }
}

impl std::error::Error for NotAMode {}

impl FromStr for RestoreMode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode).ok_or(NotAMode)
    }
}

/// Who redeems: only a browser may be handed a cookie by [`RestoreMode::Auto`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The request has a `Sec-Fetch-*` header, or accepts `text/html` and has an `Accept-Language`
    /// or a `Mozilla/` agent. What Node's `fetch` sends by itself does not count.
    Browser,
    /// Any other program, such as a payment platform's server.
    Server,
}

impl RestoreMode {
    /// What a redemption does, from what the mint said, what the row says, and who asks; never
    /// [`RestoreMode::Auto`].
    #[must_use]
    pub fn decide(minted: Option<Self>, row: Self, caller: Caller) -> Self {
        match (minted.unwrap_or(row), caller) {
            (Self::Auto, Caller::Browser) => Self::Share,
            (Self::Auto, Caller::Server) => Self::Context,
            (mode, _) => mode,
        }
    }

    /// Whether row or mint ask for [`RestoreMode::Context`] themselves, as for a program that may
    /// do what the session may.
    pub fn asks_for_context(minted: Option<Self>, row: Self) -> bool {
        minted.unwrap_or(row) == Self::Context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mint_wins_over_the_row_and_auto_looks_at_the_caller() {
        use RestoreMode::{Auto, Context, Share, Transfer};
        assert_eq!(RestoreMode::decide(None, Auto, Caller::Browser), Share);
        assert_eq!(RestoreMode::decide(None, Auto, Caller::Server), Context);
        assert_eq!(RestoreMode::decide(None, Transfer, Caller::Server), Transfer);
        assert_eq!(RestoreMode::decide(Some(Context), Share, Caller::Browser), Context);
        assert_eq!(RestoreMode::decide(Some(Auto), Share, Caller::Server), Context);
    }

    #[test]
    fn a_mode_reads_back_what_it_writes() {
        for (name, mode) in RestoreMode::NAMES {
            assert_eq!(name.parse(), Ok(mode));
            assert_eq!(mode.to_string(), name);
        }
        assert!("Share".parse::<RestoreMode>().is_err());
    }
}
