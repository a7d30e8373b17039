//! Settings with a few possible values.

use std::fmt;
use std::str::FromStr;

use crate::base::setting::{BadValue, Form, Kind, Value, parsed};

/// The value is not one of those that the setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAChoice;

impl fmt::Display for NotAChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of the words that are known here")
    }
}

impl std::error::Error for NotAChoice {}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $text:literal => $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            $($(#[$each])* $variant,)+
        }

        impl $name {
            /// The values in settings, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($text,)+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }

        impl FromStr for $name {
            type Err = NotAChoice;

            fn from_str(text: &str) -> Result<Self, NotAChoice> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(NotAChoice),
                }
            }
        }

        impl Form for $name {
            type Value = Self;
            const PLACEHOLDER: &'static str = "WORD";

            fn kind() -> Kind {
                Kind::Choice(Self::NAMES)
            }

            fn read(value: &Value) -> Result<Self, BadValue> {
                parsed(value, |text| text.parse().map_err(|none: NotAChoice| none.to_string()))
            }
        }
    };
}

choice!(
    /// Whether a crash may leave a copy of the memory, with its keys, on a disk.
    CoreDumps {
        /// Not in a release build; the default.
        #[default]
        "auto" => Auto,
        /// Never.
        "off" => Off,
        /// As the system is set up, for debugging.
        "on" => On,
    }
);

choice!(
    /// How much the start refuses.
    Safety {
        /// Starts with whatever works; the default.
        #[default]
        "normal" => Normal,
        /// Refuses settings and stores that are not fit for production (docs/SECURITY.md G47).
        "strict" => Strict,
    }
);

choice!(
    /// Whether files that change are taken without being asked.
    AutoReload {
        /// Within half a second; the default.
        #[default]
        "on" => On,
        /// At `SIGHUP` and when the program asks.
        "off" => Off,
    }
);

choice!(
    /// Whether `__Host-` stands in front of the session cookie's name (docs/SECURITY.md D.4).
    CookiePrefix {
        /// When the cookie is `Secure`; the default.
        #[default]
        "auto" => Auto,
        /// Always; needs a `Secure` cookie.
        "host" => Host,
        /// Never, for clients that know the cookie by its plain name.
        "none" => None,
    }
);

choice!(
    /// The cookie's `SameSite` attribute, which is always written out (RFC 6265bis §5.6.7).
    SameSite {
        /// Comes along when the visitor returns from another site; the default.
        #[default]
        "Lax" => Lax,
        /// Stays behind on a return from another site; 4D's own default.
        "Strict" => Strict,
        /// Comes along from everywhere; needs a `Secure` cookie.
        "None" => None,
    }
);

choice!(
    /// The cookie's `Secure` attribute.
    CookieSecure {
        /// When the public origin is https; the default.
        #[default]
        "auto" => Auto,
        /// Always: browsers then keep the cookie for https alone.
        "on" => On,
        /// Never.
        "off" => Off,
    }
);

choice!(
    /// Whether browsers are told to come over https only (RFC 6797).
    Hsts {
        /// When callgate itself speaks TLS, or the public origin is https; the default.
        #[default]
        "auto" => Auto,
        /// Never, for a site whose other hosts do not all speak https.
        "off" => Off,
    }
);

choice!(
    /// What a log line looks like.
    LogFormat {
        /// Text on a terminal, JSON otherwise; the default.
        #[default]
        "auto" => Auto,
        /// One JSON object per line.
        "json" => Json,
        /// One line for people.
        "text" => Text,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_back<T: FromStr + fmt::Display>(words: &[&str]) {
        for word in words {
            let choice = word.parse::<T>().ok().unwrap();
            assert_eq!(choice.to_string(), *word);
        }
    }

    #[test]
    fn a_choice_reads_back_the_words_it_writes() {
        reads_back::<Safety>(&["normal", "strict"]);
        reads_back::<AutoReload>(&["on", "off"]);
        reads_back::<CookiePrefix>(&["auto", "host", "none"]);
        reads_back::<SameSite>(&["Lax", "Strict", "None"]);
        reads_back::<CookieSecure>(&["auto", "on", "off"]);
        reads_back::<Hsts>(&["auto", "off"]);
        reads_back::<LogFormat>(&["auto", "json", "text"]);
        assert_eq!("lax".parse::<SameSite>(), Err(NotAChoice));
    }
}
