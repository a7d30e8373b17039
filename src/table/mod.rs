//! The handler table: ordered rows, each with a URL pattern, the verbs it allows, and a target.
//!
//! Pure: text in, rows or problems out; no HTTP library, no clock, no file. The first row whose
//! pattern and verb both match handles the request (docs/CONTRACT.md §3).
//!
//! ```
//! use callgate::table::BasePath;
//! use callgate::table::CanonicalPath;
//! use callgate::table::Lookup;
//! use callgate::table::Table;
//!
//! let text = r#"[{ "class": "Mail", "method": "validate", "pattern": "validate", "verbs": "GET" }]"#;
//! let table = Table::read("handlers.json", text).expect("a table without errors").table;
//! let path = CanonicalPath::of("/validate/me", &BasePath::none()).expect("a plain path");
//! assert!(matches!(table.find("GET", &path), Lookup::Row(row) if row.name() == "Mail.validate"));
//! ```
//!
//! | file | part |
//! |---|---|
//! | `path` | the canonical path of a request |
//! | `row`, `pattern`, `verbs`, `target`, `requires`, `otp`, `repeat` | a row and its properties |
//! | `index` | all patterns as one automaton |
//! | `check`, `expression` | validating the file, compiling expressions |
//! | `problem` | errors and warnings |
//! | `advice`, `foreign_syntax`, `dots`, `literal_prefix` | suggestions for probable mistakes |
//! | `explain` | how a request is handled, row by row |
//! | `proof` | unreachable rows and overlaps, proven for all paths |

mod advice;
mod check;
mod explain;
mod index;
mod path;
mod pattern;
mod problem;
mod proof;
mod row;

pub(crate) use advice::class_of_file;
pub use check::SkippedRow;
pub use explain::Explanation;
pub use explain::Resolution;
pub use explain::Step;
pub use explain::explain;
pub use path::BadPath;
pub use path::BasePath;
pub use path::CanonicalPath;
pub use path::Reserved;
pub use pattern::Pattern;
pub use problem::Problem;
pub use problem::Severity;
pub use proof::Proof;
pub use proof::Reachability;
pub use proof::Witness;
pub use row::Row;
pub use row::RowLimits;
pub use row::otp::OnRefused;
pub use row::otp::OtpRule;
pub use row::otp::TokenPlace;
pub use row::repeat::OnInterrupted;
pub use row::repeat::RepeatRule;
pub use row::target::Target;
pub use row::verbs::Allow;
pub use row::verbs::Verbs;
pub use row::verbs::is_implemented;

use crate::base::document::fields;
use crate::base::document::raw;
use crate::base::document::text::NotText;
use crate::base::document::text::decode;

use check::CheckedRows;
use check::Diagnostics;
use index::PatternIndex;

/// The JSON Schema (draft 7) of a table file, with which editors complete, explain and check while
/// one types. Whatever it rejects is an error or a warning here as well.
pub const SCHEMA: &str = include_str!("handlers.schema.json");

/// A checked table. It is immutable; a reload makes another.
#[derive(Debug)]
pub struct Table {
    rows: Box<[Row]>,
    index: PatternIndex,
}

/// A usable table, and the warnings about it.
#[derive(Debug)]
pub struct CheckedTable {
    /// The table.
    pub table: Table,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// As much of a table as can be read, and everything that is wrong with it.
#[derive(Debug)]
pub struct Survey {
    /// The usable rows.
    pub table: Table,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Whether one of the problems is an error, so that this table must not be served.
    pub is_broken: bool,
    /// What is known of the rows that could not be used.
    pub left_out: Vec<SkippedRow>,
}

impl Survey {
    /// The survey of a file that cannot be read at all: no rows, and no problems of its own.
    pub fn of_nothing() -> Self {
        let table = Table { rows: Box::default(), index: PatternIndex::of(&[]) };
        Self { table, problems: Vec::new(), is_broken: true, left_out: Vec::new() }
    }
}

impl Table {
    /// Reads the text of a table file, which problems call `file`.
    ///
    /// The error is every problem at once, warnings included, in the order of the file.
    pub fn read(file: &str, text: &str) -> Result<CheckedTable, Vec<Problem>> {
        let Survey { table, problems, is_broken, .. } = Self::survey(file, text);
        if is_broken { Err(problems) } else { Ok(CheckedTable { table, warnings: problems }) }
    }

    /// Reads as much of a table file as possible, for a complete report: broken rows are left out,
    /// and the others keep their numbers.
    pub fn survey(file: &str, text: &str) -> Survey {
        let mut notes = Diagnostics::on(file, text);
        let CheckedRows { rows, left_out } = check::rows(&mut notes, text);
        let (problems, is_broken) = notes.finish();
        let index = PatternIndex::of(&rows);
        let table = Self { rows: rows.into(), index };
        Survey { table, problems, is_broken, left_out }
    }

    /// The text of a table file, or a problem that says what the file is instead.
    pub fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Box<Problem>> {
        decode(bytes).map_err(|bad| {
            let NotText { line, column, what, fix } = bad;
            Box::new(Problem {
                file: file.to_owned(),
                line,
                column,
                row: None,
                severity: Severity::Error,
                code: "not-utf-8",
                what,
                fix: fix.to_owned(),
                others: Vec::new(),
                witness: None,
                span: None,
            })
        })
    }

    /// Proves which rows are reachable and which handle the requests of others, naming the file
    /// `file` in its warnings.
    ///
    /// It searches all possible paths, so it takes milliseconds for an ordinary table and at most
    /// about a second for any. A table is served without it.
    pub fn prove(&self, file: &str) -> Proof {
        proof::of(self, file)
    }

    /// The rows in their order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The first row whose pattern and verb match, or why none does.
    ///
    /// A wrong verb falls through to later rows. Verbs compare case-insensitively. The caller has
    /// to handle reserved paths first, see [`CanonicalPath::reserved`].
    pub fn find<'t>(&'t self, verb: &str, path: &CanonicalPath) -> Lookup<'t> {
        let fitting = self.index.fitting(&self.rows, path);
        if let Some(row) = fitting.rows().find(|row| row.verbs().allows(verb)) {
            return Lookup::Row(row);
        }
        if fitting.rows().next().is_none() {
            return Lookup::NoSuchPath;
        }
        Lookup::VerbNotAllowed(Allow::union(fitting.rows().map(Row::verbs)))
    }

    /// The outcome of every row for a request, one step per row in table order.
    ///
    /// It matches each row by itself instead of using the index, so that the two can be compared:
    /// the first hit is the row that [`Table::find`] returns.
    #[cfg(any(test, feature = "testing"))]
    pub fn explain(&self, verb: &str, path: &CanonicalPath) -> Vec<Step> {
        explain::steps(self, verb, path)
    }
}

/// The result of a lookup in a table.
#[derive(Debug, Clone)]
pub enum Lookup<'t> {
    /// This row handles the request.
    Row(&'t Row),
    /// No pattern matches: 404.
    NoSuchPath,
    /// Patterns match, but none of their rows has the verb: 405 with this `Allow`.
    VerbNotAllowed(Allow<'t>),
}
