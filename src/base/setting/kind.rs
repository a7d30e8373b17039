//! What a value of a setting can be, and how its text is read.

use crate::base::secret::SecretText;

/// A value of one of the kinds a setting can have.
#[derive(Debug, Clone)]
pub enum Value {
    /// Any text, or the word of a choice.
    Text(String),
    /// A whole number in the setting's range.
    Number(u64),
    /// Yes or no.
    Switch(bool),
    /// Texts in order.
    Texts(Vec<String>),
    /// A text that may hold a password; only the parsed form of it is shown.
    Url(SecretText),
    /// Texts that are never shown.
    Secrets(Vec<SecretText>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Self::Switch(on)
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Self {
        Self::Texts(texts.map(str::to_owned).into())
    }
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text; what it must look like is checked later.
    Text,
    /// A text that may hold a password; what it must look like is checked later.
    Url,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A whole number, both ends included.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// `true` or `false`; `on`, `off`, `1` and `0` where there is only text.
    Switch,
    /// A list of texts; separated by commas where there is only text.
    Texts,
    /// A list of texts that are never shown; separated by commas where there is only text.
    Secrets,
}

impl Kind {
    /// Reads the text of a flag or a variable.
    pub(crate) fn read(&self, text: &str) -> Result<Value, BadValue> {
        let bad = || self.flaw(&format!("is {}", quoted(text)));
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Url => Ok(Value::Url(SecretText::new(text.to_owned()))),
            Self::Choice(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text.trim()));
                word.map(|word| Value::Text((*word).to_owned())).ok_or_else(bad)
            }
            Self::Number { min, max } => match text.trim().parse::<u64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(Value::Number(number)),
                _ => Err(bad()),
            },
            Self::Switch => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => Ok(Value::Switch(true)),
                "false" | "off" | "0" => Ok(Value::Switch(false)),
                _ => Err(bad()),
            },
            Self::Texts => Ok(Value::Texts(parts(text).map(str::to_owned).collect())),
            Self::Secrets => {
                let secrets = parts(text).map(|part| SecretText::new(part.to_owned()));
                Ok(Value::Secrets(secrets.collect()))
            }
        }
    }

    /// The problem with a value that is not of this kind; `what` follows the setting's name.
    pub(crate) fn flaw(&self, what: &str) -> BadValue {
        let one_of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            format!("use one of {}", words.join(", "))
        };
        let (code, fix) = match self {
            Self::Text | Self::Url => ("not-text", "put a text in quotes".to_owned()),
            Self::Choice(words) => ("unknown-choice", one_of(words)),
            Self::Number { min, max } => {
                ("not-in-range", format!("use a whole number from {min} to {max}"))
            }
            Self::Switch => ("not-a-switch", "use true or false".to_owned()),
            Self::Texts => ("not-a-list", "use a list of texts, such as [\"…\", \"…\"]".to_owned()),
            Self::Secrets => {
                ("not-a-list", "use a list of texts, such as keys = [\"…\", \"…\"]".to_owned())
            }
        };
        BadValue { code, what: what.to_owned(), fix }
    }

    /// The default of a declaration as a value of this kind.
    pub(crate) fn of_default(&self, default: Value) -> Value {
        match (self, default) {
            (Self::Url, Value::Text(text)) => Value::Url(SecretText::new(text)),
            (Self::Secrets, Value::Texts(texts)) => {
                Value::Secrets(texts.into_iter().map(SecretText::new).collect())
            }
            (_, default) => default,
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Why a value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadValue {
    /// A stable name of this kind of problem, in kebab case.
    pub(crate) code: &'static str,
    /// What is wrong; follows the setting's name.
    pub(crate) what: String,
    /// The way out.
    pub(crate) fix: String,
}

impl BadValue {
    /// A text that cannot be understood.
    pub(crate) fn of(text: &str, fix: impl Into<String>) -> Self {
        Self { code: "bad-value", what: format!("is {}", quoted(text)), fix: fix.into() }
    }
}

/// The user's text in quotes, cut short: a key that strayed into a name is not shown whole.
pub fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    const CHARS_KEPT: usize = 8;
    if text.chars().count() <= CHARS_MAX {
        return format!("{text:?}");
    }
    let kept: String = text.chars().take(CHARS_KEPT).collect();
    format!("{kept:?}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        let idle = Kind::Number { min: 60, max: 527_040 };
        assert!(matches!(idle.read(" 60 "), Ok(Value::Number(60))));
        for text in ["59", "-1", "many", "", "99999999999999999999"] {
            let flaw = idle.read(text).unwrap_err();
            assert_eq!(flaw.what, format!("is {text:?}"));
            assert_eq!(flaw.fix, "use a whole number from 60 to 527040");
        }
    }

    #[test]
    fn a_word_is_known_in_any_case() {
        let same_site = Kind::Choice(&["Lax", "Strict", "None"]);
        assert!(matches!(same_site.read("lax"), Ok(Value::Text(word)) if word == "Lax"));
        let flaw = same_site.read("loose").unwrap_err();
        assert_eq!(flaw.fix, "use one of \"Lax\", \"Strict\", \"None\"");
    }

    #[test]
    fn secrets_are_split_at_commas_and_never_shown() {
        let value = Kind::Secrets.read("aaa, bbb,").unwrap();
        assert!(matches!(&value, Value::Secrets(keys) if keys.len() == 2));
        assert!(!format!("{value:?}").contains("aaa"));
        let url = Kind::Url.read("redis://:aaa@h").unwrap();
        assert!(!format!("{url:?}").contains("aaa"));
    }

    #[test]
    fn a_long_text_is_not_quoted_whole() {
        assert_eq!(quoted("short"), "\"short\"");
        assert_eq!(quoted(&"ab".repeat(32)), "\"abababab\"…");
    }
}
