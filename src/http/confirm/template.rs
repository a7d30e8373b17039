//! The template of the page, shipped or the operator's own: HTML with five holes.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::secret::digest::sha256;
use crate::base::text::nearest::nearest;

/// Longest page of an operator, in bytes.
pub const PAGE_BYTES_MAX: usize = 128 * 1024;

/// The holes of a page, and whether a page must have them.
const HOLES: [(&str, Needed); 5] = [
    ("lang", Needed::Never),
    ("title", Needed::Never),
    ("app", Needed::Never),
    ("text", Needed::Once),
    ("form", Needed::Once),
];

/// Elements that the policy of the page blocks, or that would break the button's form.
const BLOCKED: [(&str, &str); 7] = [
    ("<script", "the page runs no scripts; take it out"),
    ("<link", "the page loads nothing; put styles into <style>"),
    ("<iframe", "the page loads nothing; take it out"),
    ("<img", "the page loads nothing; draw with <svg>"),
    ("<base", "the form is answered where the page came from; take it out"),
    ("<form", "{{form}} is the form, with its button; take this one out"),
    (" style=", "the page takes styles from <style> only; move it there"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Never,
    Once,
}

/// A page that was checked, split at its holes.
///
/// Holes are used instead of a template language because the page must always contain the form,
/// exactly once, in every language. That can be checked at the start in a text with holes, and
/// cannot in a text with conditions.
#[derive(Clone)]
pub struct Template(Arc<TemplateParts>);

struct TemplateParts {
    /// The text before the first hole.
    start: String,
    /// Each hole, and the text after it.
    rest: Vec<(&'static str, String)>,
    policy: String,
}

/// Why a text cannot be the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPage {
    /// The line in question, counted from 1; `None` if it concerns the whole page.
    pub line: Option<usize>,
    /// What is wrong, after the name of the file.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

impl fmt::Display for BadPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl std::error::Error for BadPage {}

impl Template {
    /// Parses a page. `{{text}}` and `{{form}}` must appear once each; `{{lang}}`, `{{title}}` and
    /// `{{app}}` may appear anywhere. Every flaw is reported.
    pub fn read(text: &str) -> Result<Self, Vec<BadPage>> {
        let mut flaws = blocked(text);
        if text.len() > PAGE_BYTES_MAX {
            let what = format!("it has {} bytes and may have {PAGE_BYTES_MAX}", text.len());
            flaws.push(BadPage { line: None, what, fix: "make it shorter".to_owned() });
        }
        let (start, rest) = cut(text, &mut flaws);
        for (hole, _) in HOLES.iter().filter(|(_, needed)| *needed == Needed::Once) {
            let count = rest.iter().filter(|(name, _)| name == hole).count();
            if count != 1 {
                let what = format!("{{{{{hole}}}}} stands in it {count} times");
                let fix = "write it exactly once".to_owned();
                flaws.push(BadPage { line: None, what, fix });
            }
        }
        let styles = styles(text, &mut flaws);
        if !flaws.is_empty() {
            flaws.sort_by_key(|flaw| flaw.line.unwrap_or(usize::MAX));
            return Err(flaws);
        }
        Ok(Self(Arc::new(TemplateParts { start, rest, policy: policy(&styles) })))
    }

    /// The page with its holes filled. The inserted text is not scanned again, so it cannot add a
    /// hole. It must be markup already.
    pub(super) fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut page = self.0.start.clone();
        for (hole, after) in &self.0.rest {
            let value = values.iter().find(|(name, _)| name == hole);
            page.push_str(value.map_or("", |(_, value)| value));
            page.push_str(after);
        }
        page
    }

    /// The page's `Content-Security-Policy` (docs/SECURITY.md D.10).
    pub(super) fn policy(&self) -> &str {
        &self.0.policy
    }
}

impl Default for Template {
    /// The shipped page.
    fn default() -> Self {
        Self::read(include_str!("page.html")).expect("a test reads the shipped page")
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} holes)", self.0.rest.len())
    }
}

fn line_of(text: &str, at: usize) -> Option<usize> {
    Some(text.get(..at)?.matches('\n').count() + 1)
}

fn blocked(text: &str) -> Vec<BadPage> {
    let lower = text.to_ascii_lowercase();
    let found = BLOCKED.iter().flat_map(|(word, fix)| {
        lower.match_indices(word).map(|(at, _)| BadPage {
            line: line_of(text, at),
            what: format!("{:?} does not work here", word.trim()),
            fix: (*fix).to_owned(),
        })
    });
    found.collect()
}

fn cut(text: &str, flaws: &mut Vec<BadPage>) -> (String, Vec<(&'static str, String)>) {
    let (start, mut ahead) = text.split_once("{{").unwrap_or((text, ""));
    let mut rest = Vec::new();
    let mut at = start.len();
    while at < text.len() {
        let line = line_of(text, at);
        let Some((name, after)) = ahead.split_once("}}") else {
            let what = "\"{{\" is not closed".to_owned();
            flaws.push(BadPage { line, what, fix: "write }} behind the name".to_owned() });
            break;
        };
        let (after, next) = after.split_once("{{").unwrap_or((after, ""));
        match HOLES.iter().find(|(hole, _)| *hole == name.trim()) {
            Some((hole, _)) => rest.push((*hole, after.to_owned())),
            None => flaws.push(unknown(name.trim(), line)),
        }
        at += 2 + name.len() + 2 + after.len();
        ahead = next;
    }
    (start.to_owned(), rest)
}

fn unknown(name: &str, line: Option<usize>) -> BadPage {
    let names = HOLES.map(|(hole, _)| hole);
    let fix = match nearest(name, names) {
        Some(near) => format!("did you mean {{{{{near}}}}}?"),
        None => format!("use {{{{{}}}}}", names.join("}}, {{")),
    };
    BadPage { line, what: format!("nothing fills {name:?}"), fix }
}

/// The content of the `<style>` elements, whose hashes the policy lists.
fn styles<'t>(text: &'t str, flaws: &mut Vec<BadPage>) -> Vec<&'t str> {
    // Lower case has the same length in ASCII, so positions hold for both.
    let lower = text.to_ascii_lowercase();
    let mut styles = Vec::new();
    let mut from = 0;
    while let Some(open) = lower.get(from..).and_then(|rest| rest.find("<style")) {
        let open = from + open;
        let begin = lower.get(open..).and_then(|rest| rest.find('>')).map(|at| open + at + 1);
        let end = begin.and_then(|begin| Some(begin + lower.get(begin..)?.find("</style>")?));
        let (Some(begin), Some(end)) = (begin, end) else {
            let (line, what) = (line_of(text, open), "<style> is not closed".to_owned());
            flaws.push(BadPage { line, what, fix: "write </style> behind it".to_owned() });
            break;
        };
        let style = text.get(begin..end).unwrap_or_default();
        if style.contains("{{") {
            let what = "<style> holds a hole, and its hash must be known at the start".to_owned();
            let fix = "keep holes out of styles".to_owned();
            flaws.push(BadPage { line: line_of(text, open), what, fix });
        }
        styles.push(style);
        from = end;
    }
    styles
}

fn policy(styles: &[&str]) -> String {
    let hash = |style: &&str| format!(" 'sha256-{}'", STANDARD.encode(sha256(style.as_bytes())));
    let hashes: String = styles.iter().map(hash).collect();
    let styles = if hashes.is_empty() { " 'none'".to_owned() } else { hashes };
    format!(
        "default-src 'none'; style-src{styles}; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(text: &str) -> Vec<String> {
        Template::read(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_shipped_page_is_a_page() {
        let page = Template::default().fill(&[("form", "<form>"), ("title", "T"), ("lang", "ja")]);
        assert!(page.contains("<html lang=\"ja\">") && page.contains("<h1>T</h1>"));
        assert!(page.contains("<form>") && !page.contains("{{"));
    }

    #[test]
    fn holes_are_filled_once() {
        let page = Template::read("a{{text}}b{{ form }}c{{app}}").unwrap();
        let filled = page.fill(&[("text", "{{form}}"), ("form", "F"), ("app", "A")]);
        assert_eq!(filled, "a{{form}}bFcA");
        assert!(page.policy().contains("style-src 'none';"));
    }

    #[test]
    fn styles_are_named_by_their_hashes() {
        let page =
            Template::read("<style>b{}</style><STYLE media=print>\n</STYLE>{{text}}{{form}}");
        // printf 'b{}' | openssl dgst -sha256 -binary | base64, and the same of one line feed
        let hashes = "style-src 'sha256-7yqHVAesot11p6HczDsgKRipvI5UPgs97z80zNXlans=' \
                      'sha256-AbpHGcgLb+kRsJGnwFEktk7uzpZOCcBY74+YBdrKVGs=';";
        let page = page.unwrap();
        assert!(page.policy().contains(hashes), "{}", page.policy());
    }

    #[test]
    fn every_flaw_is_named_with_its_line_and_the_way_out() {
        assert_eq!(
            flaws("<p>\n{{from}}\n<script>\n<p STYLE='x'>{{text}}{{text}}"),
            [
                "line 2: nothing fills \"from\"; did you mean {{form}}?",
                "line 3: \"<script\" does not work here; the page runs no scripts; take it out",
                "line 4: \"style=\" does not work here; the page takes styles from <style> only; \
                 move it there",
                "{{text}} stands in it 2 times; write it exactly once",
                "{{form}} stands in it 0 times; write it exactly once",
            ]
        );
        assert_eq!(
            flaws("{{text}}{{form}}{{xyzzy}}"),
            [
                "line 1: nothing fills \"xyzzy\"; use {{lang}}, {{title}}, {{app}}, {{text}}, {{form}}"
            ]
        );
        assert_eq!(
            flaws("{{text}}{{form}}\n{{app"),
            ["line 2: \"{{\" is not closed; write }} behind the name"]
        );
        assert_eq!(
            flaws("{{text}}{{form}}<style>{{app}}</style><style>"),
            [
                "line 1: <style> holds a hole, and its hash must be known at the start; keep holes out of styles",
                "line 1: <style> is not closed; write </style> behind it"
            ]
        );
        let long = format!("{{{{text}}}}{{{{form}}}}{}", " ".repeat(PAGE_BYTES_MAX));
        assert_eq!(flaws(&long), ["it has 131088 bytes and may have 131072; make it shorter"]);
    }
}
