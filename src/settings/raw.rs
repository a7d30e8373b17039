//! Every setting by name, one-to-one with `default.toml`, and what was given for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::base::limits::IDLE_MINUTES_MAX;
use crate::base::limits::IDLE_MINUTES_MIN;
use crate::base::limits::ROW_BODY_BYTES_MAX;
use crate::base::limits::ROW_TIMEOUT_MS_MAX;
use crate::base::secret::SecretText;

use super::choice::AutoReload;
use super::choice::CookiePrefix;
use super::choice::CookieSecure;
use super::choice::CoreDumps;
use super::choice::Hsts;
use super::choice::LogFormat;
use super::choice::Safety;
use super::choice::SameSite;
use super::problem::Flaw;
use super::problem::quoted;

/// What the layers say, setting by setting: typed and in range, but not understood yet.
#[derive(Debug, Clone, Default)]
pub struct Raw(BTreeMap<&'static str, Given>);

impl Raw {
    /// What was given for a setting; `None` when it is unset.
    pub fn find(&self, name: &str) -> Option<&Given> {
        self.0.get(name)
    }

    /// Where the value of a setting came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.find(name).map_or(Origin::Default, |given| given.origin.clone())
    }

    /// Where each value came from.
    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.0.values().map(|given| &given.origin)
    }

    /// Puts a value in the place of the one that a lower layer gave.
    pub(super) fn put(&mut self, name: &'static str, value: Value, origin: Origin) {
        self.0.insert(name, Given { value, origin });
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Given {
    /// The value.
    pub value: Value,
    /// The layer, and the place in it.
    pub origin: Origin,
}

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
    /// A text that may hold a password, and is shown only by who understands it.
    Url(SecretText),
    /// Texts that are never shown.
    Secrets(Vec<SecretText>),
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    Default,
    /// The settings file.
    File {
        /// The file as it was named to the program.
        file: Arc<str>,
        /// Line, counted from 1.
        line: u32,
        /// Column in characters, counted from 1.
        column: u32,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name, with its dashes.
    Flag(String),
}

/// `flag --listen`, `environment CALLGATE_LISTEN`, `file callgate.toml:12`, `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, .. } => write!(f, "file {file}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One setting: its name and what its value can be. Its default and its meaning are in
/// `default.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The path in the settings file, such as `session.idle_minutes`.
    pub name: &'static str,
    /// What a value must be.
    pub kind: Kind,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text; what it must look like is checked later.
    Text,
    /// A text that may hold a password; what it must look like is checked later.
    Url,
    /// One of these words, whatever their case.
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

const fn text(name: &'static str) -> Setting {
    Setting { name, kind: Kind::Text }
}

const fn texts(name: &'static str) -> Setting {
    Setting { name, kind: Kind::Texts }
}

const fn choice(name: &'static str, words: &'static [&'static str]) -> Setting {
    Setting { name, kind: Kind::Choice(words) }
}

const fn number(name: &'static str, min: u64, max: u64) -> Setting {
    Setting { name, kind: Kind::Number { min, max } }
}

const fn switch(name: &'static str) -> Setting {
    Setting { name, kind: Kind::Switch }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const DAY_SECS: u64 = 24 * 3600;
/// Beyond it a rate is none: switch it off with the rest.
const RATE_MAX: u64 = 1_000_000;

/// Every setting, in the order of `default.toml`.
pub const SETTINGS: &[Setting] = &[
    text("handlers"),
    text("classes"),
    text("roles"),
    text("app"),
    text("listen"),
    text("internal"),
    Setting { name: "store", kind: Kind::Url },
    text("store_password_file"),
    choice("safety", Safety::NAMES),
    text("base_path"),
    text("public_origin"),
    text("confirm_page"),
    texts("hosts"),
    texts("fetch_hosts"),
    texts("trusted_proxies"),
    texts("private_hosts"),
    texts("internal_hosts"),
    texts("cors"),
    choice("hsts", Hsts::NAMES),
    choice("rate_limits", &["on", "off"]),
    choice("reload", AutoReload::NAMES),
    switch("strict"),
    switch("development"),
    choice("core_dumps", CoreDumps::NAMES),
    Setting { name: "keys", kind: Kind::Secrets },
    text("keys_file"),
    switch("new_key"),
    number("session.idle_minutes", IDLE_MINUTES_MIN as u64, IDLE_MINUTES_MAX as u64),
    number("session.absolute_minutes", 0, 10 * IDLE_MINUTES_MAX as u64),
    number("session.max", 1, 1_000_000_000),
    number("session.guest_share", 1, 100),
    number("session.answer_bytes", 128 * KIB, 1024 * 1024 * KIB),
    choice("cookie.prefix", CookiePrefix::NAMES),
    choice("cookie.same_site", SameSite::NAMES),
    choice("cookie.secure", CookieSecure::NAMES),
    text("tls.cert"),
    text("tls.key"),
    text("tls.redirect_listen"),
    choice("log.format", LogFormat::NAMES),
    choice("log.level", &["error", "warn", "info", "debug", "trace"]),
    number("limits.connections", 1, 1_000_000),
    number("limits.connections_per_address", 0, 1_000_000),
    number("limits.header_bytes", 8 * KIB, 128 * KIB),
    number("limits.headers", 32, 200),
    number("limits.target_bytes", 2 * KIB, 32 * KIB),
    number("limits.body_bytes", 1, ROW_BODY_BYTES_MAX),
    number("limits.forward_body_bytes", 1, 64 * 1024 * MIB),
    number("limits.handshake_secs", 2, 60),
    number("limits.first_byte_secs", 1, 30),
    number("limits.header_secs", 2, 120),
    number("limits.body_secs", 1, 3600),
    number("limits.body_gap_secs", 1, 3600),
    number("limits.handler_secs", 1, 600),
    number("limits.connect_secs", 1, 60),
    number("limits.upstream_gap_secs", 1, 3600),
    number("limits.tunnel_idle_secs", 1, DAY_SECS),
    number("limits.requests_per_connection", 1, 1_000_000),
    number("limits.connection_age_secs", 1, 7 * DAY_SECS),
    number("limits.write_stall_secs", 1, 600),
    number("limits.streams", 1, 1_000),
    number("limits.drain_lead_secs", 0, 60),
    number("limits.drain_secs", 0, 600),
    number("rates.requests_per_sec", 1, RATE_MAX),
    number("rates.requests_burst", 1, RATE_MAX),
    number("rates.failures_per_min", 1, RATE_MAX),
    number("rates.failures_burst", 1, RATE_MAX),
    number("rates.failures_alarm_per_min", 1, RATE_MAX),
    number("rates.session_mints_per_min", 1, RATE_MAX),
    number("rates.session_mints_burst", 1, RATE_MAX),
    number("rates.mints_per_min", 1, RATE_MAX),
    number("rates.mints_burst", 1, RATE_MAX),
    number("rates.guests_per_min", 1, RATE_MAX),
    number("rates.guests_burst", 1, RATE_MAX),
    number("rates.all_guests_per_sec", 1, RATE_MAX),
    number("rates.all_guests_burst", 1, RATE_MAX),
    number("scripts.cpu_ms", 10, 60_000),
    number("scripts.wall_ms", 10, ROW_TIMEOUT_MS_MAX),
    number("scripts.heap_bytes", 4 * 1024 * KIB, 1024 * 1024 * KIB),
    number("scripts.stack_bytes", 128 * KIB, 8 * 1024 * KIB),
    number("scripts.output_bytes", KIB, 64 * 1024 * KIB),
    number("scripts.console_bytes", 0, 16 * 1024 * KIB),
    number("scripts.fetch_ms", 1, ROW_TIMEOUT_MS_MAX),
    number("scripts.fetch_bytes", KIB, 64 * 1024 * KIB),
    number("scripts.calls", 1, 1_000_000),
];

impl Setting {
    /// The setting of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its environment variable, such as `CALLGATE_SESSION_IDLE_MINUTES`.
    pub fn variable(&self) -> String {
        format!("CALLGATE_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Its flag without the dashes in front, such as `session-idle-minutes`; none for a secret,
    /// because every user of a machine can read the flags of every process.
    pub fn flag(&self) -> Option<String> {
        match self.kind {
            Kind::Secrets => None,
            _ => Some(self.name.replace(['.', '_'], "-")),
        }
    }
}

impl Kind {
    /// Reads the text of a flag or a variable.
    pub(super) fn read(&self, text: &str) -> Result<Value, Flaw> {
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

    /// The flaw of a value that is not of this kind; `what` follows the setting's name.
    pub(super) fn flaw(&self, what: &str) -> Flaw {
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
        Flaw::error(code, what, fix)
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_variable_and_a_flag_of_its_own() {
        let mut variables: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        let mut flags: Vec<String> = SETTINGS.iter().filter_map(Setting::flag).collect();
        variables.sort();
        variables.dedup();
        flags.sort();
        flags.dedup();
        assert_eq!(variables.len(), SETTINGS.len());
        assert_eq!(flags.len(), SETTINGS.len() - 1, "only the keys have no flag");
        let idle = Setting::find("session.idle_minutes").unwrap();
        assert_eq!(idle.variable(), "CALLGATE_SESSION_IDLE_MINUTES");
        assert_eq!(idle.flag().unwrap(), "session-idle-minutes");
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        let idle = Setting::find("session.idle_minutes").unwrap();
        assert!(matches!(idle.kind.read(" 60 "), Ok(Value::Number(60))));
        for text in ["59", "-1", "many", "", "99999999999999999999"] {
            let flaw = idle.kind.read(text).unwrap_err();
            assert_eq!(flaw.what, format!("is {text:?}"));
            assert_eq!(flaw.fix, "use a whole number from 60 to 527040");
        }
    }

    #[test]
    fn a_word_is_known_whatever_its_case() {
        let same_site = Setting::find("cookie.same_site").unwrap();
        assert!(matches!(same_site.kind.read("lax"), Ok(Value::Text(word)) if word == "Lax"));
        let flaw = same_site.kind.read("loose").unwrap_err();
        assert_eq!(flaw.fix, "use one of \"Lax\", \"Strict\", \"None\"");
    }

    #[test]
    fn secrets_are_split_at_commas_and_never_shown() {
        let value = Kind::Secrets.read("aaa, bbb,").unwrap();
        assert!(matches!(&value, Value::Secrets(keys) if keys.len() == 2));
        assert!(!format!("{value:?}").contains("aaa"));
        let url = Setting::find("store").unwrap().kind.read("redis://:aaa@h").unwrap();
        assert!(!format!("{url:?}").contains("aaa"));
    }
}
