//! What was given for the settings, by name, and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::kind::Value;

/// What the layers say, setting by setting: typed and in range, but not understood yet.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    given: BTreeMap<String, Given>,
    /// The tables under each name that holds named tables or a list of them, in their order.
    tables: BTreeMap<String, Vec<(String, Origin)>>,
}

impl Raw {
    /// What was given for a setting; `None` when it is unset.
    pub fn find(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Where the value of a setting came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.find(name).map_or(Origin::Default, |given| given.origin.clone())
    }

    /// Where each value came from.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.given.values().map(|given| &given.origin)
    }

    /// Replaces the value that a lower layer gave.
    pub(crate) fn put(&mut self, name: impl Into<String>, value: Value, origin: Origin) {
        self.given.insert(name.into(), Given { value, origin });
    }

    /// The tables under a name, each by its own full name.
    pub(crate) fn tables(&self, name: &str) -> &[(String, Origin)] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    /// Adds a table under a name.
    pub(crate) fn put_table(&mut self, name: &str, table: String, origin: Origin) {
        self.tables.entry(name.to_owned()).or_default().push((table, origin));
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

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was not given.
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
