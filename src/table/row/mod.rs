//! One row of a table, checked.

pub(crate) mod otp;
pub(crate) mod repeat;
pub(crate) mod requires;
pub(crate) mod target;
pub(crate) mod verbs;

use std::ops::Range;

use super::path::CanonicalPath;
use super::path::Reserved;
use super::pattern::Pattern;
use super::problem::Flaw;
use super::problem::Problem;
use super::problem::Severity;
use crate::table::row::otp::OtpRule;
use crate::table::row::repeat::RepeatRule;
use crate::table::row::requires::Requires;
use crate::table::row::target::Target;
use crate::table::row::verbs::Verbs;

/// A row: the paths and verbs it matches, its target, and its conditions.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) number: usize,
    pub(crate) place: RowPosition,
    /// The position of the effective pattern.
    pub(crate) pattern_place: RowPosition,
    pub(crate) target: Target,
    pub(crate) name: Box<str>,
    pub(crate) pattern: Pattern,
    pub(crate) verbs: Verbs,
    pub(crate) requires: Requires,
    pub(crate) otp: OtpRule,
    pub(crate) repeat: Option<RepeatRule>,
    pub(crate) limits: RowLimits,
}

/// The position of a row in its file.
#[derive(Debug, Clone)]
pub(crate) struct RowPosition {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) span: Range<usize>,
}

impl Row {
    /// The row of a reserved part, which stands in no file and is in no table: `name` is what
    /// tokens are bound to, and everything else is as where a row says nothing.
    pub(crate) fn reserved(part: Reserved, name: &str) -> Self {
        let place = RowPosition { line: 0, column: 0, span: 0..0 };
        Self {
            number: 0,
            place: place.clone(),
            pattern_place: place,
            target: Target::of_name(name),
            name: name.into(),
            pattern: Pattern::reserved(part),
            verbs: Verbs::ALL,
            requires: Requires::default(),
            otp: OtpRule::default(),
            repeat: None,
            limits: RowLimits::default(),
        }
    }

    /// The number of the row in the file, counted from 1.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// A warning about this row that the table alone cannot give, such as a class that does not
    /// exist. `file` is the file that the table was read from.
    pub fn warning(&self, file: &str, code: &'static str, what: String, fix: String) -> Problem {
        self.warning_at(&self.place, file, Flaw::new(code, what, fix))
    }

    /// A warning about the pattern of this row.
    pub(crate) fn pattern_warning(&self, file: &str, flaw: Flaw) -> Problem {
        self.warning_at(&self.pattern_place, file, flaw)
    }

    fn warning_at(&self, place: &RowPosition, file: &str, flaw: Flaw) -> Problem {
        Problem {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            row: Some(self.number),
            severity: Severity::Warning,
            code: flaw.code,
            what: flaw.what,
            fix: flaw.fix,
            others: Vec::new(),
            witness: None,
            span: Some(place.span.clone()),
        }
    }

    /// The handler of the row.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The name of the target, which a token can be bound to: class and function in one text, such
    /// as `RequestHandler.validateEmail`, or the base URL of an upstream as it is written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The paths that the row matches.
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The verbs that the row matches.
    pub const fn verbs(&self) -> &Verbs {
        &self.verbs
    }

    /// Privileges of which the session needs any one; empty if none is required.
    pub const fn requires(&self) -> &[Box<str>] {
        &self.requires.any
    }

    /// What the row requires of the session.
    pub(crate) const fn requirement(&self) -> &Requires {
        &self.requires
    }

    /// The page of this site on which a guest's browser signs in, to come back afterwards.
    pub fn sign_in(&self) -> Option<&str> {
        self.requires.sign_in.as_deref()
    }

    /// How the row treats tokens.
    pub const fn otp(&self) -> &OtpRule {
        &self.otp
    }

    /// How the row treats repeats of a callback; `None` if as any other request.
    pub const fn repeat(&self) -> Option<RepeatRule> {
        self.repeat
    }

    /// Limits of this row that differ from the settings.
    pub const fn limits(&self) -> RowLimits {
        self.limits
    }

    /// The named groups of the pattern and their matches in the path.
    pub fn params(&self, path: &CanonicalPath) -> Vec<(String, String)> {
        self.pattern.params(path)
    }

    /// The path without the match of a named group of the pattern.
    pub(crate) fn without_group(&self, path: &CanonicalPath, name: &str) -> Option<CanonicalPath> {
        self.pattern.without_group(path, name)
    }
}

/// Limits of one row; an absent one is taken from the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowLimits {
    /// Longest request body, in bytes.
    pub body_bytes: Option<u64>,
    /// Longest run of the handler, in milliseconds.
    pub timeout_ms: Option<u64>,
}
