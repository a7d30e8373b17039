//! What is wrong with a class file, with the place in it and the way out.

use std::fmt;

use crate::backend::script::thrown::Thrown;

/// One thing that keeps a class file from being used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassProblem {
    /// The file, from the parent of the classes folder on: `classes/Mail.js`.
    pub file: String,
    /// The line, from 1; 0 when the problem has no place in the file.
    pub line: u32,
    /// The column, from 1; 0 when the problem has no place in the file.
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
    pub(super) fn of_file(
        file: impl Into<String>,
        code: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (file, what, fix) = (file.into(), what.into(), fix.into());
        Self { file, line: 0, column: 0, code, what, fix }
    }

    /// A class file for which there is not even an engine.
    pub(super) fn of_engine(file: impl Into<String>, error: &rquickjs::Error) -> Self {
        let what = format!("no engine can be made for it: {error}");
        Self::of_file(file, "class-engine", what, "give classes more memory: scripts.heap_bytes")
    }

    /// What a file threw while it was compiled or evaluated.
    pub(super) fn of_thrown(file: &str, thrown: &Thrown) -> Self {
        let text = &thrown.text;
        let problem = if text.starts_with("SyntaxError: ") {
            Self::of_file(file, "class-syntax", text, "mend the syntax")
        } else {
            let what = format!("threw while it was loaded: {text}");
            let fix = "mend what runs at the top level and in the constructor";
            Self::of_file(file, "class-threw", what, fix)
        };
        problem.placed(thrown)
    }

    /// The same problem where something was thrown, which may be another file.
    pub(super) fn placed(self, thrown: &Thrown) -> Self {
        match thrown.place.clone() {
            Some(place) => Self { file: place.file, ..self }.at(place.line, place.column),
            None => self,
        }
    }

    /// The same problem at a place in its file.
    pub(super) fn at(self, line: u32, column: u32) -> Self {
        Self { line, column, ..self }
    }
}

/// `file:line:column: what; fix`, without a place where there is none.
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
