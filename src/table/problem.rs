//! A problem of a table: its position, its severity, and how to fix it.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::proof::Witness;

pub(super) use crate::base::document::Flaw;
pub(super) use crate::base::document::one_of;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used as it stands.
    Error,
    /// The file works, but probably not as its author means.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem of a file, and how to fix it.
///
/// `Display` writes one line that editors and terminals can jump to: `handlers.json:7:14: error:
/// row 3: unknown restore mode "shar"; use "share"`. Serialized it is an object of `check --format
/// json`, with `row` null for a problem of the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The name of the file as it was given to the reader.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// Row of the table, counted from 1; none when the problem belongs to no row.
    pub row: Option<usize>,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// A stable code of this kind of problem, in kebab case.
    pub code: &'static str,
    /// What is wrong, quoting the text of the file.
    pub what: String,
    /// How to fix it.
    pub fix: String,
    /// Other rows that are involved, counted from 1; omitted from JSON if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<usize>,
    /// A request that demonstrates it; omitted from JSON if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// The bytes of the file to underline.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: ", self.file, self.line, self.column, self.severity)?;
        if let Some(row) = self.row {
            write!(f, "row {row}: ")?;
        }
        write!(f, "{}; {}", self.what, self.fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(row: Option<usize>) -> Problem {
        Problem {
            file: "handlers.json".into(),
            line: 7,
            column: 14,
            row,
            severity: Severity::Error,
            code: "unknown-mode",
            what: "unknown restore mode \"shar\"".into(),
            fix: "use \"share\"".into(),
            others: Vec::new(),
            witness: None,
            span: Some(3..9),
        }
    }

    #[test]
    fn a_problem_is_one_line_an_editor_can_jump_to() {
        assert_eq!(
            problem(Some(3)).to_string(),
            "handlers.json:7:14: error: row 3: unknown restore mode \"shar\"; use \"share\""
        );
        assert_eq!(
            problem(None).to_string(),
            "handlers.json:7:14: error: unknown restore mode \"shar\"; use \"share\""
        );
    }

    #[test]
    fn a_problem_as_json_has_every_field_in_order() {
        assert_eq!(
            serde_json::to_string(&problem(Some(3))).unwrap(),
            r#"{"file":"handlers.json","line":7,"column":14,"row":3,"severity":"error","code":"unknown-mode","what":"unknown restore mode \"shar\"","fix":"use \"share\""}"#
        );
        assert!(serde_json::to_string(&problem(None)).unwrap().contains(r#""row":null"#));
    }

    #[test]
    fn what_shows_a_problem_is_part_of_its_json() {
        let witness = Witness { verb: "GET".into(), path: "/x".into() };
        let shown = Problem { others: vec![1, 2], witness: Some(witness), ..problem(Some(3)) };
        let json = serde_json::to_value(shown).unwrap();
        assert_eq!(json["others"], serde_json::json!([1, 2]));
        assert_eq!(json["witness"], serde_json::json!({ "verb": "GET", "path": "/x" }));
    }
}
