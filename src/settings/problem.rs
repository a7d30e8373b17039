//! A problem with a setting: its origin, its severity, and how to fix it.

use std::fmt;

use crate::base::setting::{BadValue, Origin};
use crate::table::Severity;

/// One problem of the settings, and how to fix it.
///
/// `Display` writes one line: `callgate.toml:3:10: error: listen is "x", not an address; …`, or
/// for a value with another origin `error: CALLGATE_LISTEN is "x", …`. The value of a secret
/// setting is never included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The settings file, as its path was given to the program. `None` for a value from a flag, a
    /// variable or a default, which `what` then names.
    pub file: Option<String>,
    /// Line in the file, counted from 1.
    pub line: Option<u32>,
    /// Column in characters, counted from 1.
    pub column: Option<u32>,
    /// Whether the program can start nevertheless.
    pub severity: Severity,
    /// A stable name of this kind of problem, in kebab case.
    pub code: &'static str,
    /// The problem, beginning with the setting, flag or variable that it concerns.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

impl Problem {
    /// Whether the settings cannot be used. Otherwise they can, but are probably not what was
    /// intended.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// A flaw of the setting `name`, with the origin of its value.
    pub(super) fn of(name: &str, origin: &Origin, flaw: impl Into<Flaw>) -> Self {
        let flaw = flaw.into();
        let subject = match origin {
            Origin::File { .. } | Origin::Default => name,
            Origin::Environment(variable) => variable,
            Origin::Flag(option) => option,
        };
        Self { what: format!("{subject} {}", flaw.what), ..Self::at(origin, flaw) }
    }

    /// A flaw that names its subject itself.
    pub(super) fn at(origin: &Origin, flaw: Flaw) -> Self {
        let (file, line, column) = match origin {
            Origin::File { file, line, column } => {
                (Some(file.to_string()), Some(*line), Some(*column))
            }
            _ => (None, None, None),
        };
        let Flaw { severity, code, what, fix } = flaw;
        Self { file, line, column, severity, code, what, fix }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, "{number}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {}; {}", self.severity, self.what, self.fix)
    }
}

/// A problem before its origin is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) fix: String,
}

impl Flaw {
    pub(super) fn error(
        code: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, code, what: what.into(), fix: fix.into() }
    }

    pub(super) fn warning(
        code: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, what, fix) }
    }
}

impl From<BadValue> for Flaw {
    fn from(bad: BadValue) -> Self {
        Self::error(bad.code, bad.what, bad.fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_place_the_value_came_from() {
        let flaw = Flaw::error("bad-address", "is \"x\"", "use HOST:PORT");
        let file = Origin::File { file: "callgate.toml".into(), line: 3, column: 10 };
        assert_eq!(
            Problem::of("listen", &file, flaw.clone()).to_string(),
            "callgate.toml:3:10: error: listen is \"x\"; use HOST:PORT"
        );
        let variable = Origin::Environment("CALLGATE_LISTEN".into());
        assert_eq!(
            Problem::of("listen", &variable, flaw.clone()).to_string(),
            "error: CALLGATE_LISTEN is \"x\"; use HOST:PORT"
        );
        let option = Origin::Flag("--listen".into());
        assert_eq!(
            Problem::of("listen", &option, flaw).to_string(),
            "error: --listen is \"x\"; use HOST:PORT"
        );
    }
}
