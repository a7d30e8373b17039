//! Reads the settings: every layer, then typed values, then the checks.

pub(crate) mod file;
pub(crate) mod nesting;
pub(crate) mod sources;

use std::fmt;
use std::str::FromStr;

use crate::base::setting::{Declared, Raw, Values};

use super::Settings;
use super::problem::Problem;
use crate::settings::checks::{contradictions, files};
use crate::settings::reading::file::File;
use crate::settings::reading::sources::{Environment, Flags};

impl Settings {
    /// Reads every layer and checks the result. The settings file is read from disk, and the files
    /// that the settings name are checked there.
    #[doc(hidden)]
    pub fn read(flags: &Flags, environment: &Environment) -> Reading {
        let (raw, mut problems) = sources::read(flags, environment);
        let settings = understood(&raw, &mut problems);
        problems.extend(contradictions::find(&settings, &raw));
        problems.extend(files::check(&settings, &raw));
        // Those of the file in its order, then those of variables and flags.
        problems.sort_by_key(|problem| (problem.file.is_none(), problem.line, problem.column));
        Reading { settings, raw, problems }
    }
}

/// The settings in `raw`. Where a value is invalid, the default is used.
fn understood(raw: &Raw, problems: &mut Vec<Problem>) -> Settings {
    let mut values = Values::of(raw);
    let settings = Settings::take(&mut values, "", None);
    let bad = values.into_problems().into_iter();
    problems.extend(bad.map(|(name, origin, bad)| Problem::of(&name, &origin, bad)));
    // Outside of tables every setting has a default or may be unset.
    settings.unwrap_or_default()
}

/// Reads the text of a settings file. The error is every problem at once; warnings are none.
impl FromStr for Settings {
    type Err = InvalidSettings;

    fn from_str(text: &str) -> Result<Self, InvalidSettings> {
        let mut raw = Raw::default();
        let mut problems = File::new("settings", text).read(&mut raw);
        let settings = understood(&raw, &mut problems);
        problems.extend(contradictions::find(&settings, &raw));
        problems.retain(Problem::is_error);
        if problems.is_empty() { Ok(settings) } else { Err(InvalidSettings(problems)) }
    }
}

/// Why a text holds no settings: one line for each problem, with its place and how to fix it.
#[derive(Debug)]
pub struct InvalidSettings(Vec<Problem>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for InvalidSettings {}

/// The result of reading the settings.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The settings, with the default for each invalid value.
    pub settings: Settings,
    /// Every value with its origin.
    pub raw: Raw,
    /// Every problem, in all layers.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Whether the settings must not be used.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::setting::{Kind, Origin};
    use crate::settings::SETTINGS;
    use crate::settings::Setting;
    use crate::settings::default_file;

    #[test]
    fn the_default_file_says_exactly_the_defaults() {
        let mut raw = Raw::default();
        let mut problems = File::new("default.toml", default_file()).read(&mut raw);
        let said = understood(&raw, &mut problems);
        assert_eq!(problems, []);
        assert_eq!(format!("{said:#?}"), format!("{:#?}", Settings::default()));
    }

    #[test]
    fn a_text_is_read_as_a_settings_file_is() {
        let settings: Settings = "store = \"memory:\"\nsession.idle_minutes = 90".parse().unwrap();
        assert_eq!(
            (settings.store.to_string(), settings.lifetime.idle_minutes),
            ("memory:".to_owned(), 90)
        );
        let both = "stor = 1\nsafety = \"lax\"".parse::<Settings>().unwrap_err().to_string();
        assert!(both.contains("settings:1:1: error: ") && both.contains("settings:2:"), "{both}");
        let apart = "tls.cert = \"cert.pem\"".parse::<Settings>().unwrap_err().to_string();
        assert!(apart.contains("tls"), "{apart}");
    }

    fn with(name: &str, text: &str) -> (Settings, Vec<Problem>) {
        let setting = Setting::find(name).unwrap();
        let mut raw = Raw::default();
        let origin = Origin::Flag(format!("--{name}"));
        raw.put(setting.name, setting.kind.read(text).unwrap(), origin);
        let mut problems = Vec::new();
        let settings = understood(&raw, &mut problems);
        (settings, problems)
    }

    #[test]
    fn every_setting_reaches_the_settings() {
        let other = |setting: &Setting| match setting.name {
            "listen" | "internal" | "tls.redirect_listen" => "127.0.0.1:1".to_owned(),
            "store" => "memory:".to_owned(),
            "base_path" => "/tools".to_owned(),
            "public_origin" => "https://shop.example".to_owned(),
            "hosts" | "fetch_hosts" | "cors" => "a.example, *.b.example".to_owned(),
            "trusted_proxies" => "10.0.0.0/8, ::1".to_owned(),
            "keys" => "ab".repeat(32),
            _ => match setting.kind {
                Kind::Choice(words) => {
                    let is_default = |word: &str| setting.written == format!("\"{word}\"");
                    words.iter().find(|word| !is_default(word)).unwrap().to_string()
                }
                Kind::Number { max, .. } => max.to_string(),
                Kind::Switch => "true".to_owned(),
                _ => "other".to_owned(),
            },
        };
        let default = format!("{:?}", Settings::default());
        for setting in SETTINGS.iter() {
            let (settings, problems) = with(setting.name, &other(setting));
            assert_eq!(problems, [], "{}", setting.name);
            assert_ne!(format!("{settings:?}"), default, "{} changes nothing", setting.name);
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_the_way_out_and_the_default_stays() {
        for (name, text, line) in [
            ("app", "my shop", "--app is \"my shop\"; use 1 to 32 letters, digits, - and _"),
            (
                "listen",
                "localhost:80",
                "--listen is \"localhost:80\"; use an IP address and a port, such as \"127.0.0.1:8044\" or \"[::]:8044\"",
            ),
            ("handlers", "", "--handlers is \"\"; name a file or a folder"),
            (
                "hosts",
                "a.example,http://b.example",
                "--hosts holds \"http://b.example\"; use host or host:port, such as \"shop.example\" or \"*.shop.example\"",
            ),
            (
                "trusted_proxies",
                "10.0.0.1/8",
                "--trusted_proxies holds \"10.0.0.1/8\"; use 10.0.0.0/8",
            ),
            (
                "private_hosts",
                "app.internal,http://x",
                "--private_hosts holds \"http://x\"; use the name of a host, such as \"app.internal\"",
            ),
            (
                "cors",
                "https://app.example get,post",
                "--cors holds \"post\"; separate methods with \";\", such as \"app.example get;post\"",
            ),
            (
                "store",
                "sqlite://me:pw@host",
                "--store is of the kind \"sqlite\"; use \"embedded:FOLDER\", \"memory:\", \"redis://HOST\" or \"postgres://USER@HOST/DATABASE\"",
            ),
            (
                "public_origin",
                "https://me:pw@shop.example",
                "--public_origin carries credentials; take the user name and the password out",
            ),
        ] {
            let (settings, problems) = with(name, text);
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(lines, [format!("error: {line}")]);
            assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
        }
    }

    #[test]
    fn a_wrong_key_is_named_by_its_place() {
        let good = "0123456789abcdef".repeat(4);
        let (settings, problems) = with("keys", &format!("{good},topsecret"));
        assert!(settings.keys.is_empty());
        let line = problems[0].to_string();
        assert!(line.contains("has no key at place 2; ") && !line.contains("topsecret"), "{line}");
    }

    #[test]
    fn an_empty_text_unsets() {
        let (settings, problems) = with("public_origin", "");
        assert_eq!((settings.public_origin, problems), (None, Vec::new()));
    }
}
