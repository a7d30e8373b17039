//! What is wrong with a part of a file, and the way out.

use std::ops::Range;

/// A problem before it is known where in which file it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// A stable name of this kind of problem, in kebab case.
    pub(crate) code: &'static str,
    /// What is wrong, with the author's own text quoted.
    pub(crate) what: String,
    /// The way out.
    pub(crate) fix: String,
    /// The bytes that are meant of a text, where not all of it is.
    pub(crate) within: Option<Range<usize>>,
}

impl Flaw {
    pub(crate) fn new(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, what: what.into(), fix: fix.into(), within: None }
    }
}

/// `"a", "b" or "c"`: a choice, as a sentence names it.
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
