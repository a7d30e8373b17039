//! What is wrong with a part of a file, and how to fix it.

use std::ops::Range;

/// A problem whose position in the file is not yet attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// A stable code of this kind of problem, in kebab case.
    pub(crate) code: &'static str,
    /// What is wrong, quoting the text of the file.
    pub(crate) what: String,
    /// How to fix it.
    pub(crate) fix: String,
    /// The bytes of a string that are at fault, if not all of it is.
    pub(crate) within: Option<Range<usize>>,
}

impl Flaw {
    pub(crate) fn new(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, what: what.into(), fix: fix.into(), within: None }
    }
}

/// Formats a choice for a sentence: `"a", "b" or "c"`.
pub(crate) fn one_of(names: &[&str]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!("{last:?}"),
        Some((last, rest)) => {
            let rest: Vec<String> = rest.iter().map(|name| format!("{name:?}")).collect();
            format!("{} or {last:?}", rest.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_a_sentence() {
        assert_eq!(one_of(&["a", "b", "c"]), r#""a", "b" or "c""#);
        assert_eq!(one_of(&["a"]), r#""a""#);
    }
}
