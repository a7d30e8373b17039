//! Logins and e-mail addresses: their written form, and the form in which they are compared.

use std::fmt;

/// Longest login or e-mail address, in bytes (RFC 5321 §4.5.3.1.3).
const NAME_BYTES_MAX: usize = 254;
/// Longest part of an e-mail address in front of the `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_BYTES_MAX: usize = 64;

/// Why a text is no login or e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// Nothing but blanks.
    Empty,
    /// More than 254 bytes.
    TooLong,
    /// A control character, or another one that cannot stand in it.
    Character,
    /// Not of the form `name@host`.
    NoAddress,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 254 bytes",
            Self::Character => "it has a character that cannot stand in it",
            Self::NoAddress => "it is not of the form name@host",
        })
    }
}

impl std::error::Error for BadName {}

/// The name by which a person signs in. Two logins that differ only in case are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    written: String,
    folded: String,
}

impl Login {
    /// A login from a form, without the blanks around it.
    pub fn read(text: &str) -> Result<Self, BadName> {
        let written = usable(text)?.to_owned();
        let folded = fold(&written);
        Ok(Self { written, folded })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form by which it is found.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// An e-mail address. Only its form is checked; whether mail arrives, a link in a mail shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// An address from a form, without the blanks around it.
    pub fn read(text: &str) -> Result<Self, BadName> {
        let text = usable(text)?;
        let odd = |letter: char| letter.is_whitespace() || "<>()[],;:\\\"".contains(letter);
        if text.contains(odd) {
            return Err(BadName::Character);
        }
        match text.rsplit_once('@') {
            Some((local, host))
                if (1..=LOCAL_PART_BYTES_MAX).contains(&local.len())
                    && !local.contains('@')
                    && host.split('.').all(|label| !label.is_empty()) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(BadName::NoAddress),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether two names of roles or groups are the same; case does not count.
pub fn same_name(one: &str, other: &str) -> bool {
    fold(one) == fold(other)
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The text without the blanks around it, if it can be a name.
fn usable(text: &str) -> Result<&str, BadName> {
    let text = text.trim();
    match () {
        () if text.is_empty() => Err(BadName::Empty),
        () if text.len() > NAME_BYTES_MAX => Err(BadName::TooLong),
        () if text.contains(char::is_control) => Err(BadName::Character),
        () => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_blanks_around_make_no_other_login() {
        let (one, other) = (Login::read(" Ada ").unwrap(), Login::read("aDA").unwrap());
        assert_eq!(one.folded(), other.folded());
        assert_eq!((one.as_str(), other.as_str()), ("Ada", "aDA"));
        assert!(same_name("Élan", " éLAN"));
    }

    #[test]
    fn what_is_no_login_says_why() {
        for (text, why) in [
            ("", BadName::Empty),
            (" \t", BadName::Empty),
            ("a\nb", BadName::Character),
            ("a\0", BadName::Character),
            (&"x".repeat(255), BadName::TooLong),
        ] {
            assert_eq!(Login::read(text).err(), Some(why), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_a_name_and_a_host() {
        for good in ["ada@example.com", "a.b+c@x", " ada@sub.example.com "] {
            assert_eq!(Email::read(good).unwrap().as_str(), good.trim());
        }
        for bad in ["ada", "@example.com", "ada@", "a@b@c", "a b@c", "a@b..c", "a@b,c@d", "<a@b>"] {
            assert!(Email::read(bad).is_err(), "{bad:?}");
        }
    }
}
