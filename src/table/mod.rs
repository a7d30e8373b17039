//! The handler table: ordered rows, each a URL pattern, the verbs it allows, and what answers.
//!
//! Pure: text in, rows or problems out; no HTTP library, no clock, no file. The first row whose
//! pattern and verb both fit answers (docs/CONTRACT.md §3, 4D §1.3).
//!
//! ```
//! use callgate::table::BasePath;
//! use callgate::table::CanonicalPath;
//! use callgate::table::Found;
//! use callgate::table::Table;
//!
//! let text = r#"[{ "class": "Mail", "method": "validate", "pattern": "validate", "verbs": "GET" }]"#;
//! let table = Table::read("handlers.json", text).expect("a table without errors").table;
//! let path = CanonicalPath::of("/validate/me", &BasePath::none()).expect("a plain path");
//! assert!(matches!(table.find("GET", &path), Found::Row(row) if row.name() == "Mail.validate"));
//! ```

mod advice;
mod beginning;
mod check;
mod dots;
mod explain;
mod expression;
mod index;
mod mistaken;
mod otp;
mod path;
mod pattern;
mod problem;
mod proof;
mod repeat;
mod row;
mod target;
mod verbs;

pub(crate) use advice::class_of_file;
pub use check::LeftOut;
pub use explain::Answer;
pub use explain::Explanation;
pub use explain::Step;
pub use explain::explain;
pub use otp::OnRefused;
pub use otp::OtpRule;
pub use otp::TokenPlace;
pub use path::BadPath;
pub use path::BasePath;
pub use path::CanonicalPath;
pub use path::Reserved;
pub use pattern::Pattern;
pub use problem::Problem;
pub use problem::Severity;
pub use proof::Proof;
pub use proof::Reach;
pub use proof::Witness;
pub use repeat::OnInterrupted;
pub use repeat::RepeatRule;
pub use row::Row;
pub use row::RowLimits;
pub use target::Target;
pub use verbs::Allow;
pub use verbs::Verbs;
pub use verbs::is_implemented;

use crate::base::document::fields;
use crate::base::document::raw;
use crate::base::document::text::NotText;
use crate::base::document::text::decode;

use check::Notes;
use check::Rows;
use index::Index;

/// The JSON Schema (draft 7) of a table file, for editors: they complete, explain and check while
/// one types. What it refuses is refused or warned about here as well.
pub const SCHEMA: &str = include_str!("handlers.schema.json");

/// A checked table. It never changes; a reload makes another.
#[derive(Debug)]
pub struct Table {
    rows: Box<[Row]>,
    index: Index,
}

/// A table that can be used, and what its author should look at all the same.
#[derive(Debug)]
pub struct Checked {
    /// The table.
    pub table: Table,
    /// What is probably not meant, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// A table as far as it can be read, and everything that is wrong with it.
#[derive(Debug)]
pub struct Survey {
    /// The rows that can be used.
    pub table: Table,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Whether one of the problems is an error, so that no request may be answered by this.
    pub is_broken: bool,
    /// What is known of the rows that could not be used.
    pub left_out: Vec<LeftOut>,
}

impl Survey {
    /// Of a file that cannot be read at all: no row, and no problem of the table's own.
    pub fn of_nothing() -> Self {
        let table = Table { rows: Box::default(), index: Index::of(&[]) };
        Self { table, problems: Vec::new(), is_broken: true, left_out: Vec::new() }
    }
}

impl Table {
    /// Reads the text of a table file, naming it `file` in problems.
    ///
    /// The error is every problem at once, warnings included, in the order of the file.
    pub fn read(file: &str, text: &str) -> Result<Checked, Vec<Problem>> {
        let Survey { table, problems, is_broken, .. } = Self::survey(file, text);
        if is_broken { Err(problems) } else { Ok(Checked { table, warnings: problems }) }
    }

    /// Reads a table file as far as it can be read, for who wants to know everything about it: rows
    /// that are broken are left out, and the others keep their numbers.
    pub fn survey(file: &str, text: &str) -> Survey {
        let mut notes = Notes::on(file, text);
        let Rows { rows, left_out } = check::rows(&mut notes, text);
        let (problems, is_broken) = notes.finish();
        let index = Index::of(&rows);
        let table = Self { rows: rows.into(), index };
        Survey { table, problems, is_broken, left_out }
    }

    /// The text of a table file. Otherwise what the file is instead, as a problem of it.
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

    /// Proves which rows can answer and which take the requests of others, naming the file `file`
    /// in its warnings.
    ///
    /// It searches all paths there are, so that it takes milliseconds for an ordinary table and at
    /// most about a second for any; a table is served without it.
    pub fn prove(&self, file: &str) -> Proof {
        proof::of(self, file)
    }

    /// The rows in their order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The first row whose pattern and verb fit, or why none does.
    ///
    /// A wrong verb falls through to later rows. Verbs compare without regard to case. Reserved
    /// paths are the caller's to take out first, see [`CanonicalPath::reserved`].
    pub fn find<'t>(&'t self, verb: &str, path: &CanonicalPath) -> Found<'t> {
        let fitting = self.index.fitting(&self.rows, path);
        if let Some(row) = fitting.rows().find(|row| row.verbs().allows(verb)) {
            return Found::Row(row);
        }
        if fitting.rows().next().is_none() {
            return Found::NoSuchPath;
        }
        Found::VerbNotAllowed(Allow::union(fitting.rows().map(Row::verbs)))
    }

    /// What every row says to a request, one step per row in table order.
    ///
    /// It asks each row by itself rather than the index, so that it can be compared with
    /// [`Table::find`]: the first hit is the row found.
    pub fn explain(&self, verb: &str, path: &CanonicalPath) -> Vec<Step> {
        explain::steps(self, verb, path)
    }
}

/// What a table says to a request.
#[derive(Debug, Clone)]
pub enum Found<'t> {
    /// This row answers.
    Row(&'t Row),
    /// No pattern fits: 404.
    NoSuchPath,
    /// Patterns fit, but none of their rows has the verb: 405 with this `Allow`.
    VerbNotAllowed(Allow<'t>),
}
