//! How far a redeemed token lets its bearer into the session.

use std::fmt;
use std::str::FromStr;

/// What the caller that redeems a token gets, besides the handler running in the session.
///
/// Set by a row of the table or by the mint; the mint takes precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoreMode {
    /// [`RestoreMode::Share`] for a browser, [`RestoreMode::Context`] for any other caller, so that
    /// a platform's server never receives a credential of the session.
    #[default]
    Auto,
    /// The browser gets a credential of its own for the session, beside the existing ones.
    Share,
    /// The handler works in the session; the caller gets no cookie.
    Context,
    /// As [`RestoreMode::Share`], and every earlier credential of the session ends.
    Transfer,
}

impl RestoreMode {
    /// Every mode by the name used in tables and settings.
    #[doc(hidden)]
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

/// The text is not a restore mode.
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

/// The kind of client that redeems: [`RestoreMode::Auto`] gives a cookie to a browser only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The request has a `Sec-Fetch-*` header, or accepts `text/html` and has an `Accept-Language`
    /// header or a `Mozilla/` user agent. The headers that Node's `fetch` sends by default do not
    /// count.
    Browser,
    /// Any other program, such as a payment platform's server.
    Server,
}

impl RestoreMode {
    /// The effective mode, from the mint, the row and the caller; never [`RestoreMode::Auto`].
    #[must_use]
    pub(crate) fn decide(minted: Option<Self>, row: Self, caller: Caller) -> Self {
        match (minted.unwrap_or(row), caller) {
            (Self::Auto, Caller::Browser) => Self::Share,
            (Self::Auto, Caller::Server) => Self::Context,
            (mode, _) => mode,
        }
    }

    /// Whether row or mint ask for [`RestoreMode::Context`] explicitly, as for a program that may
    /// act with the rights of the session.
    pub(crate) fn asks_for_context(minted: Option<Self>, row: Self) -> bool {
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
