//! Problems of class files, with their location and a suggested fix.

use std::fmt;

use crate::backend::script::engine::thrown::Thrown;

/// One reason why a class file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassProblem {
    /// The file, from the parent of the classes folder on: `classes/Mail.js`.
    pub file: String,
    /// The line, from 1; 0 if the problem has no location.
    pub line: u32,
    /// The column, from 1; 0 if the problem has no location.
    pub column: u32,
    /// A stable name of the kind of problem, such as `class-syntax`.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl ClassProblem {
    /// A problem of a whole file.
    pub(crate) fn of_file(
        file: impl Into<String>,
        code: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (file, what, fix) = (file.into(), what.into(), fix.into());
        Self { file, line: 0, column: 0, code, what, fix }
    }

    /// A problem of creating an engine for a file.
    pub(crate) fn of_engine(file: impl Into<String>, error: &rquickjs::Error) -> Self {
        let what = format!("no engine can be made for it: {error}");
        Self::of_file(file, "class-engine", what, "give classes more memory: scripts.heap_bytes")
    }

    /// An exception while a file was compiled or evaluated.
    pub(crate) fn of_thrown(file: &str, thrown: &Thrown) -> Self {
        let text = &thrown.text;
        let problem = if text.starts_with("SyntaxError: ") {
            Self::of_file(file, "class-syntax", text, "mend the syntax")
        } else {
            let what = format!("threw while it was loaded: {text}");
            let fix = "mend what runs at the top level and in the constructor";
            Self::of_file(file, "class-threw", what, fix)
        };
        problem.at_thrown(thrown)
    }

    /// Moves the problem to where the exception was thrown, which may be in another file.
    pub(crate) fn at_thrown(self, thrown: &Thrown) -> Self {
        match thrown.place.clone() {
            Some(place) => Self { file: place.file, ..self }.at(place.line, place.column),
            None => self,
        }
    }

    /// Moves the problem to a location in its file.
    pub(crate) fn at(self, line: u32, column: u32) -> Self {
        Self { line, column, ..self }
    }
}

/// `file:line:column: what; fix`, or `file: what; fix` without a location.
impl fmt::Display for ClassProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, what, fix, .. } = self;
        match line {
            0 => write!(f, "{file}: {what}; {fix}"),
            _ => write!(f, "{file}:{line}:{column}: {what}; {fix}"),
        }
    }
}

impl std::error::Error for ClassProblem {}
