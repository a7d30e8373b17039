//! Which paths a row matches: a prefix of whole segments, or a regular expression.

pub(crate) mod dots;
pub(crate) mod expression;
pub(crate) mod foreign_syntax;
pub(crate) mod literal_prefix;

use std::fmt;

use regex::Regex;

use super::path::CanonicalPath;
use super::path::Reserved;
use super::problem::Flaw;
use crate::base::limits::PATTERN_BYTES_MAX;
use crate::table::pattern::literal_prefix::LiteralPrefix;

/// The condition on the path for a row to be considered.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    kind: PatternKind,
}

#[derive(Debug, Clone)]
enum PatternKind {
    /// `/P`, compared as text.
    Prefix(Box<str>),
    /// `\A(?:P)`, and whether any group has a name.
    Regex { regex: Regex, named: bool },
}

impl Pattern {
    /// The paths of a reserved part, which no row can have.
    pub(crate) fn reserved(part: Reserved) -> Self {
        let path = part.as_str();
        Self { text: path.trim_start_matches('/').into(), kind: PatternKind::Prefix(path.into()) }
    }

    /// Reads the property `pattern`. Warnings are returned with the pattern.
    pub(crate) fn prefix(text: &str) -> Result<(Self, Vec<Flaw>), Flaw> {
        refuse_long("pattern", text)?;
        let trimmed = text.trim_matches('/');
        if trimmed.trim().is_empty() {
            return Err(Flaw::new(
                "pattern-empty",
                format!("pattern {text:?} names no path"),
                "to answer every path, use \"regexPattern\": \"/\"",
            ));
        }
        let path = format!("/{trimmed}");
        if let Some(part) = Reserved::of(&path) {
            return Err(reserved("pattern", text, part));
        }
        let kind = PatternKind::Prefix(path.as_str().into());
        if let Some(flaw) = foreign_syntax::in_prefix(text) {
            // Further warnings would be about a text that was not meant.
            return Ok((Self { text: trimmed.into(), kind }, vec![flaw]));
        }
        let mut warnings = Vec::new();
        if trimmed.len() < text.len() {
            warnings.push(Flaw::new(
                "pattern-slashes",
                format!("pattern {text:?} has slashes at its ends"),
                format!("write {trimmed:?}; it fits {path:?} and everything below"),
            ));
        }
        warnings.extend(never_fits(&path).map(|(why, fix)| never("pattern", text, why, fix)));
        warnings.extend(percent_escape("pattern", text));
        Ok((Self { text: trimmed.into(), kind }, warnings))
    }

    /// Reads the property `regexPattern`. Warnings are returned with the pattern.
    pub(crate) fn regex(text: &str) -> Result<(Self, Vec<Flaw>), Flaw> {
        refuse_long("regexPattern", text)?;
        if text.is_empty() {
            return Err(Flaw::new(
                "pattern-empty",
                "regexPattern \"\" names no path",
                "to answer every path, write \"/\"",
            ));
        }
        let regex = expression::compile(text)?;
        let beginning = LiteralPrefix::of(text);
        if let Some(part) = beginning.reserved(&regex) {
            return Err(reserved("regexPattern", text, part));
        }
        let named = regex.capture_names().flatten().next().is_some();
        let kind = PatternKind::Regex { regex, named };
        if let Some(flaw) = foreign_syntax::in_expression(text) {
            return Ok((Self { text: text.into(), kind }, vec![flaw]));
        }
        let unfit = beginning.never_fits();
        let mut warnings: Vec<Flaw> =
            unfit.map(|(why, fix)| never("regexPattern", text, why, fix)).into_iter().collect();
        warnings.extend(percent_escape("regexPattern", text));
        if text.contains("**") {
            // The manual of 4D 20 R8 itself had this mistake; 21 corrected it.
            warnings.push(Flaw::new(
                "regex-glob",
                format!("regexPattern {text:?} has \"**\", which repeats a repetition"),
                "write .+ for anything; this is an expression and no glob",
            ));
        }
        warnings.extend(dots::flaw(text));
        Ok((Self { text: text.into(), kind }, warnings))
    }

    /// The pattern as it was written; a prefix without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a regular expression rather than a prefix.
    pub const fn is_regex(&self) -> bool {
        matches!(self.kind, PatternKind::Regex { .. })
    }

    /// Whether the pattern matches the path.
    pub fn fits(&self, path: &CanonicalPath) -> bool {
        match &self.kind {
            PatternKind::Prefix(prefix) => path
                .as_str()
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PatternKind::Regex { regex, .. } => regex.is_match(path.as_str()),
        }
    }

    /// The named groups of the expression and their matches, in the order of the expression. A
    /// group that took no part in the match is left out.
    pub fn params(&self, path: &CanonicalPath) -> Vec<(String, String)> {
        let PatternKind::Regex { regex, named: true } = &self.kind else { return Vec::new() };
        let Some(caught) = regex.captures(path.as_str()) else { return Vec::new() };
        let caught_as =
            |name: &str| Some((name.to_owned(), caught.name(name)?.as_str().to_owned()));
        regex.capture_names().flatten().filter_map(caught_as).collect()
    }

    /// Whether the expression has a group of this name.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        matches!(&self.kind, PatternKind::Regex { regex, .. } if regex.capture_names().flatten().any(|own| own == name))
    }

    /// The path without the match of a named group; `None` if the group did not match.
    pub(crate) fn without_group(&self, path: &CanonicalPath, name: &str) -> Option<CanonicalPath> {
        let PatternKind::Regex { regex, named: true } = &self.kind else { return None };
        let caught = regex.captures(path.as_str())?;
        let range = caught.name(name)?.range();
        path.without(range)
    }

    /// Whether [`Pattern::prefix`] or [`Pattern::regex`] has warned already that no request
    /// matches, or that something else is meant.
    pub(crate) fn is_known_to_fit_nothing(&self) -> bool {
        match &self.kind {
            PatternKind::Prefix(_) if foreign_syntax::in_prefix(&self.text).is_some() => true,
            PatternKind::Regex { .. } if foreign_syntax::in_expression(&self.text).is_some() => {
                true
            }
            PatternKind::Prefix(prefix) => never_fits(prefix).is_some(),
            PatternKind::Regex { .. } => LiteralPrefix::of(&self.text).never_fits().is_some(),
        }
    }

    /// The pattern as one anchored regular expression, for the index over all rows.
    pub(crate) fn expression(&self) -> String {
        match &self.kind {
            PatternKind::Prefix(prefix) => format!(r"\A{}(?:/|\z)", regex::escape(prefix)),
            PatternKind::Regex { regex, .. } => regex.as_str().to_owned(),
        }
    }
}

/// The property and its text, as in the table: `pattern "info"`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let property = if self.is_regex() { "regexPattern" } else { "pattern" };
        write!(f, "{property} {:?}", self.text)
    }
}

/// Why no canonical path begins like this, and how to fix it; none if some path may.
pub(crate) fn never_fits(beginning: &str) -> Option<(&'static str, &'static str)> {
    if beginning.contains("//") {
        return Some(("runs of slashes are merged before matching", "write one slash"));
    }
    if beginning.contains('\\') {
        return Some(("paths with a backslash are refused", "write / between segments"));
    }
    if beginning.chars().any(char::is_control) {
        return Some(("paths with control characters are refused", "remove the character"));
    }
    // The last segment may continue after the known text.
    let mut segments = beginning.split('/');
    segments.next_back();
    if segments.any(|segment| matches!(segment, "." | "..")) {
        return Some(("paths with dot segments are refused", "write the path without them"));
    }
    None
}

/// A percent escape in a pattern means a percent sign in a path, which is hardly ever meant.
fn percent_escape(property: &str, text: &str) -> Option<Flaw> {
    let digits = |at: usize| text.get(at + 1..at + 3).filter(|digits| is_hex(digits));
    let found = text.match_indices('%').find_map(|(at, _)| digits(at))?;
    Some(Flaw::new(
        "pattern-encoded",
        format!("{property} {text:?} has \"%{found}\", but paths are decoded before matching"),
        "write the character itself",
    ))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn never(property: &str, text: &str, why: &str, fix: &str) -> Flaw {
    Flaw::new("pattern-never-fits", format!("{property} {text:?} fits no request: {why}"), fix)
}

fn reserved(property: &str, text: &str, part: Reserved) -> Flaw {
    Flaw::new(
        "pattern-reserved",
        format!("{property} {text:?} begins with {part}, which callgate answers itself"),
        "choose another first segment",
    )
}

fn refuse_long(property: &str, text: &str) -> Result<(), Flaw> {
    if text.len() <= PATTERN_BYTES_MAX {
        return Ok(());
    }
    Err(Flaw::new(
        "pattern-too-long",
        format!("{property} has {} bytes and may have {PATTERN_BYTES_MAX}", text.len()),
        "shorten it, or split it over several rows",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::path::BasePath;

    fn fits(pattern: &Pattern, path: &str) -> bool {
        pattern.fits(&CanonicalPath::of(path, &BasePath::none()).unwrap())
    }

    fn prefix(text: &str) -> Pattern {
        Pattern::prefix(text).unwrap().0
    }

    fn regex(text: &str) -> Pattern {
        Pattern::regex(text).unwrap().0
    }

    #[test]
    fn a_prefix_is_bounded_by_a_slash() {
        let pattern = prefix("docs/invoices");
        for path in
            ["/docs/invoices", "/docs/invoices/", "//docs//invoices/x", "/docs/invoices/a/b"]
        {
            assert!(fits(&pattern, path), "{path}");
        }
        for path in ["/docs", "/docs/invoicesx", "/docs/invoices.html", "/x/docs/invoices", "/"] {
            assert!(!fits(&pattern, path), "{path}");
        }
        assert!(!fits(&prefix("a.b"), "/axb"), "a dot is a dot");
    }

    #[test]
    fn an_expression_is_anchored_at_the_start_and_open_at_the_end() {
        assert!(fits(&regex("/docs"), "/docsx/y"));
        assert!(!fits(&regex("/docs"), "/x/docs"));
        assert!(fits(&regex("^/docs"), "/docs"), "^ is harmless");
        assert!(fits(&regex("^/sessions/?$"), "/sessions/"));
        assert!(!fits(&regex("^/sessions/?$"), "/sessions/x"), "$ is honoured");
        assert!(!fits(&regex("^/a|/b"), "/x/b"), "every branch is anchored");
        assert!(fits(&regex("(?i)/DOCS"), "/docs"));
        assert!(!fits(&regex("/DOCS"), "/docs"));
        assert!(fits(&regex("/caf."), "/caf%C3%A9"), "a dot is a character, not a byte");
    }

    #[test]
    fn named_groups_are_parameters() {
        let pattern = regex("/orders/(?P<id>[0-9]+)(?:/(?<part>[a-z]+))?");
        let params = |path| pattern.params(&CanonicalPath::of(path, &BasePath::none()).unwrap());
        assert_eq!(params("/orders/12"), [("id".into(), "12".into())]);
        assert_eq!(
            params("/orders/12/lines"),
            [("id".into(), "12".into()), ("part".into(), "lines".into())]
        );
        assert_eq!(params("/x"), []);
        assert_eq!(
            prefix("orders").params(&CanonicalPath::of("/orders", &BasePath::none()).unwrap()),
            []
        );
    }

    #[test]
    fn reserved_first_segments_are_refused_and_longer_words_are_not() {
        for text in ["rest", "/REST/x", "4daction", "$shared/x", "$lib/renderer"] {
            assert_eq!(Pattern::prefix(text).unwrap_err().code, "pattern-reserved", "{text}");
        }
        for text in ["restaurant", "$lib", "$lib/renderers", "x/rest", "4DACTIONS"] {
            assert!(Pattern::prefix(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn patterns_that_fit_nothing_are_warned_about() {
        for text in ["a//b", "a/../b", "a\\b", "a\tb"] {
            let (_, warnings) = Pattern::prefix(text).unwrap();
            assert_eq!(warnings[0].code, "pattern-never-fits", "{text}");
        }
        let codes = |read: Result<(Pattern, Vec<Flaw>), Flaw>| -> Vec<&str> {
            read.unwrap().1.iter().map(|warning| warning.code).collect()
        };
        for text in ["a/b..c", "100%", "a%2", "%%2", "a b", "a/.."] {
            assert_eq!(codes(Pattern::prefix(text)), [""; 0], "{text}");
        }
        assert_eq!(codes(Pattern::prefix("my%20file")), ["pattern-encoded"]);
        assert_eq!(codes(Pattern::regex("/my%C3%A9.*")), ["pattern-encoded"]);
        assert_eq!(codes(Pattern::regex(r"/docs/**/index\.html")), ["regex-glob"]);
        assert_eq!(codes(Pattern::regex("docs")), ["pattern-never-fits"]);
    }
}
