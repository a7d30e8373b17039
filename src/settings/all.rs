//! Every setting by its full name, collected from the declaration.

use std::sync::LazyLock;

use crate::base::setting::{Declared, Entry, Kind, Origin, Raw, Shape, Value, Values};

use super::Settings;
use super::manual::plain;

/// The declaration: the valid content of a settings file.
pub(super) static DECLARATION: LazyLock<Vec<Entry>> = LazyLock::new(|| match Settings::shape() {
    Shape::Section(entries) => entries,
    Shape::Value(..) | Shape::Named(_) | Shape::List(_) => Vec::new(),
});

/// Every setting, in the order of the default file. Settings in named tables and in lists of
/// tables can be given in the settings file only, and are not included.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let mut all = Vec::new();
    list(&DECLARATION, "", &mut all);
    all
});

fn list(entries: &[Entry], section: &str, all: &mut Vec<Setting>) {
    for entry in entries {
        let name = Values::below(section, entry.key);
        match &entry.shape {
            Shape::Value(kind, placeholder) => all.push(Setting {
                // The list lives as long as the program, so the leak is bounded.
                name: name.leak(),
                kind: *kind,
                placeholder,
                manual: entry.manual.clone(),
                default: entry.default.clone().map(|default| kind.of_default(default)),
                written: entry.written(),
            }),
            Shape::Section(inner) => list(inner, &name, all),
            Shape::Named(_) | Shape::List(_) => {}
        }
    }
}

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The path in the settings file, such as `session.idle_minutes`.
    pub name: &'static str,
    /// The type of a value.
    pub kind: Kind,
    /// The placeholder in `--help` for a value that is not an enumeration.
    pub placeholder: &'static str,
    /// Its meaning, in one paragraph of Markdown.
    pub manual: String,
    /// The default; `None` for a setting that is unset.
    pub default: Option<Value>,
    /// The default as it is written in a settings file, or an example where there is none.
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "the manual shows it")
    )]
    pub written: String,
}

impl Setting {
    /// Its meaning, in plain text.
    pub fn meaning(&self) -> String {
        plain(&self.manual)
    }

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

/// The lowest layer.
pub(super) fn defaults() -> Raw {
    let mut raw = Raw::default();
    for setting in SETTINGS.iter() {
        if let Some(default) = setting.default.clone() {
            raw.put(setting.name, default, Origin::Default);
        }
    }
    raw
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
    fn every_setting_is_explained_and_has_its_range() {
        for setting in SETTINGS.iter() {
            assert!(setting.manual.ends_with('.'), "{}: {:?}", setting.name, setting.manual);
            if let Kind::Number { min, max } = setting.kind {
                let Some(Value::Number(default)) = setting.default else { panic!("{setting:?}") };
                assert!((min..=max).contains(&default) && max < u64::from(u32::MAX) << 8);
            }
        }
        let idle = Setting::find("session.idle_minutes").unwrap();
        assert!(matches!(idle.kind, Kind::Number { min: 60, max: 527_040 }));
    }
}
