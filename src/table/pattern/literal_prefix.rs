//! The literal text with which every match of an expression begins.
//!
//! It allows statements about an expression without running it: that it begins with a reserved
//! path, or that no request can match it. Where the text is not certain, none is made.

use regex::Regex;

use crate::table::path::Reserved;
use crate::table::pattern::never_fits;

/// The literal prefix of an expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LiteralPrefix {
    literal: String,
    /// Whether the expression has an alternation, so that a match may begin differently.
    other_branches: bool,
}

impl LiteralPrefix {
    /// Skips `^`, `\A` and flags such as `(?i)`, then takes plain and escaped characters up to the
    /// first that may stand for something else.
    pub(crate) fn of(text: &str) -> Self {
        let other_branches = text.contains('|');
        let Some(mut rest) = after_anchors(text) else {
            return Self { literal: String::new(), other_branches };
        };
        let mut literal = String::new();
        while let Some((found, after)) = next_literal(rest) {
            rest = after;
            // An optional or repeated character is not certain; `+` requires at least one.
            if rest.starts_with(['*', '?', '{']) {
                break;
            }
            literal.push(found);
            if rest.starts_with('+') {
                break;
            }
        }
        Self { literal, other_branches }
    }

    /// The built-in part whose paths the expression is written for.
    ///
    /// `regex` is the anchored expression: where the literal ends with the name, only a trial match
    /// distinguishes `/rest.*` from `/rest[a-z]+`.
    pub(crate) fn reserved(&self, regex: &Regex) -> Option<Reserved> {
        let part = Reserved::of(&self.literal)?;
        let goes_below = self.literal.len() > part.as_str().len();
        let fits = |end: &str| regex.is_match(&format!("{}{end}", self.literal));
        (goes_below || ["", "/", "/x"].into_iter().any(fits)).then_some(part)
    }

    /// Why no request can match, and how to fix it; none where that is not certain.
    pub(crate) fn never_fits(&self) -> Option<(&'static str, &'static str)> {
        if self.literal.is_empty() || self.other_branches {
            return None;
        }
        if !self.literal.starts_with('/') {
            return Some(("every path begins with a slash", "begin the expression with /"));
        }
        never_fits(&self.literal)
    }
}

/// The expression after its anchors and flags; none in verbose mode, where blanks are ignored.
fn after_anchors(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix('^').or_else(|| rest.strip_prefix(r"\A")) {
            rest = after;
            continue;
        }
        let flags = rest.strip_prefix("(?").and_then(|inner| inner.split_once(')'));
        match flags {
            Some((flags, after)) if flags.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') => {
                if flags.contains('x') {
                    return None;
                }
                rest = after;
            }
            _ => return Some(rest),
        }
    }
}

/// The next character if it stands for itself, and the rest.
fn next_literal(rest: &str) -> Option<(char, &str)> {
    let mut chars = rest.chars();
    match chars.next()? {
        // An escaped letter or digit is a class, an anchor or a code.
        '\\' => {
            let escaped = chars.next().filter(|c| !c.is_alphanumeric())?;
            Some((escaped, chars.as_str()))
        }
        '.' | '[' | ']' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '|' | '^' | '$' => None,
        plain => Some((plain, chars.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::pattern::expression::compile;

    #[test]
    fn the_literal_ends_where_certainty_ends() {
        for (text, literal) in [
            ("/docs/invoices/(past|today)", "/docs/invoices/"),
            ("^/sessions/?$", "/sessions"),
            ("(?i)^/a", "/a"),
            (r"\A(?i-s)/a\.b\/c", "/a.b/c"),
            (r"/\$shared", "/$shared"),
            ("/ab+c", "/ab"),
            ("/ab*c", "/a"),
            ("/ab{2}", "/a"),
            (r"/\d", "/"),
            ("/.+", "/"),
            ("(?x) /rest", ""),
            ("(/a)", ""),
            ("(?:/a)", ""),
        ] {
            assert_eq!(LiteralPrefix::of(text).literal, literal, "{text}");
        }
    }

    #[test]
    fn expressions_for_reserved_paths_are_known_by_their_beginning() {
        let reserved = |text: &str| LiteralPrefix::of(text).reserved(&compile(text).unwrap());
        for text in [
            "/rest",
            "^/rest/",
            "(?i)/REST.*",
            r"\/rest/x",
            "/rest$",
            "/rest(/|$)",
            "/rest/?",
            "/rests?",
        ] {
            assert_eq!(reserved(text), Some(Reserved::Rest), "{text}");
        }
        assert_eq!(reserved(r"/\$shared"), Some(Reserved::Shared));
        assert_eq!(reserved(r"/\$lib/renderer/.*"), Some(Reserved::Renderer));
        assert_eq!(reserved("/4daction/[a-z]+"), Some(Reserved::FourDAction));
        for text in ["/restaurant", "/rest[a-z]+", "/.+", "/$shared", "/api/rest"] {
            assert_eq!(reserved(text), None, "{text}");
        }
    }

    #[test]
    fn only_certain_misses_are_called_so() {
        for text in ["docs", "^docs/x", "(?i)docs", r"\.well-known", "/a//b", r"/a/\.\./b"] {
            assert!(LiteralPrefix::of(text).never_fits().is_some(), "{text}");
        }
        for text in ["/docs", ".*docs", "x*/docs", "docs|/docs", "(docs|/x)", "[/]docs", "$"] {
            assert!(LiteralPrefix::of(text).never_fits().is_none(), "{text}");
        }
    }
}
