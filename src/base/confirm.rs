//! When a person has to confirm a link before it is redeemed.

use std::fmt;
use std::str::FromStr;

/// Whether a link is redeemed by opening it, or by a click on a page that callgate serves
/// (docs/CONTRACT.md §6.4).
///
/// Set by a row of the table or by the mint; the stricter of the two counts. Stricter is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Confirm {
    /// Opening the link redeems it.
    #[default]
    Never,
    /// A browser that did not mint the token has to confirm.
    Foreign,
    /// Every browser has to confirm.
    Always,
}

impl Confirm {
    /// Every variant by the name used in tables.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("never", Self::Never), ("foreign", Self::Foreign), ("always", Self::Always)];
}

impl fmt::Display for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, confirm)| confirm == self);
        f.write_str(name.map_or("never", |(name, _)| name))
    }
}

/// The text is not a confirmation policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAConfirm;

impl fmt::Display for NotAConfirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no wish for confirmation; use \"never\", \"foreign\" or \"always\"")
    }
}

impl std::error::Error for NotAConfirm {}

impl FromStr for Confirm {
    type Err = NotAConfirm;

    fn from_str(text: &str) -> Result<Self, NotAConfirm> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, wish)| *wish).ok_or(NotAConfirm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_reads_back_what_it_writes_and_the_stricter_is_greater() {
        for (name, wish) in Confirm::NAMES {
            assert_eq!(name.parse(), Ok(wish));
            assert_eq!(wish.to_string(), name);
        }
        assert_eq!("Always".parse::<Confirm>(), Err(NotAConfirm));
        assert!(Confirm::Never < Confirm::Foreign && Confirm::Foreign < Confirm::Always);
    }
}
