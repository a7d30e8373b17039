//! Unescaped dots of an expression that were probably meant literally.
//!
//! `/docs/index.html` also matches `/docs/indexxhtml`. A dot that is repeated (`.*`, `.+`, `.?`,
//! `.{2}`) is meant as any character; one that joins two words is not.

use regex_syntax::ast::Ast;
use regex_syntax::ast::LiteralKind;
use regex_syntax::ast::parse::ParserBuilder;

use crate::base::limits::PATTERN_NEST_MAX;
use crate::table::problem::Flaw;

/// Warns about dots of an expression between words.
pub(crate) fn flaw(expression: &str) -> Option<Flaw> {
    // A dot at the start stands for the slash that every path begins with.
    let mut parser = ParserBuilder::new().nest_limit(PATTERN_NEST_MAX + 2).build();
    let ast = parser.parse(expression).ok()?;
    let mut dots = Vec::new();
    collect(&ast, false, &mut dots);
    let first = *dots.first()?;
    let what = match dots.len() {
        1 => format!("the dot in {expression:?} means any character"),
        _ => format!("the dots in {expression:?} mean any character"),
    };
    let fix = format!("write {:?}, or [^/] if any character is meant", escaped(expression, &dots));
    Some(Flaw { within: Some(first..first + 1), ..Flaw::new("regex-dot", what, fix) })
}

/// Collects the position of each such dot. Within a group a dot may come first, as in
/// `index(.html)?`.
fn collect(ast: &Ast, in_group: bool, dots: &mut Vec<usize>) {
    match ast {
        Ast::Concat(concat) => {
            let mut before = None;
            let mut parts = concat.asts.iter().peekable();
            while let Some(part) = parts.next() {
                match (part, parts.peek()) {
                    (Ast::Dot(span), Some(after)) if joins(before, after, in_group) => {
                        dots.push(span.start.offset);
                    }
                    _ => collect(part, in_group, dots),
                }
                before = Some(part);
            }
        }
        Ast::Alternation(branches) => {
            branches.asts.iter().for_each(|branch| collect(branch, in_group, dots));
        }
        Ast::Group(group) => collect(&group.ast, true, dots),
        // A repeated dot is meant as any character, but a repeated group may contain a dot between
        // words.
        Ast::Repetition(repetition) => {
            if let Ast::Group(group) = &*repetition.ast {
                collect(&group.ast, true, dots);
            }
        }
        _ => {}
    }
}

/// Whether a dot between these joins words: `index.html`, `v1.[0-9]`, `/.well-known`.
fn joins(before: Option<&Ast>, after: &Ast, in_group: bool) -> bool {
    match before {
        None => in_group && is_word(after),
        Some(Ast::Literal(slash)) if slash.c == '/' => is_letter(after),
        Some(before) => is_word(before) && is_word(after),
    }
}

fn is_word(ast: &Ast) -> bool {
    match ast {
        Ast::ClassBracketed(_) | Ast::ClassPerl(_) | Ast::ClassUnicode(_) | Ast::Group(_) => true,
        Ast::Repetition(repetition) => is_word(&repetition.ast),
        other => is_letter(other),
    }
}

fn is_letter(ast: &Ast) -> bool {
    let Ast::Literal(literal) = ast else { return false };
    let plain = matches!(literal.kind, LiteralKind::Verbatim);
    plain && (literal.c.is_alphanumeric() || matches!(literal.c, '_' | '-'))
}

fn escaped(expression: &str, dots: &[usize]) -> String {
    let with_escape = |(at, c)| dots.contains(&at).then_some('\\').into_iter().chain([c]);
    expression.char_indices().flat_map(with_escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_between_words_is_noticed_and_escaped() {
        for (expression, way_out) in [
            ("/docs/myPage.html", r"/docs/myPage\.html"),
            ("/.well-known/x", r"/\.well-known/x"),
            ("^/v1.0/a.b$", r"^/v1\.0/a\.b$"),
            ("/index.(html|htm)", r"/index\.(html|htm)"),
            ("/index(.html)?", r"/index(\.html)?"),
            (r"/file-[0-9]+.pdf|/é.é", r"/file-[0-9]+\.pdf|/é\.é"),
            (r"/v\d.\d", r"/v\d\.\d"),
            ("(?:/a.b)+", r"(?:/a\.b)+"),
        ] {
            let flaw = flaw(expression).unwrap_or_else(|| panic!("{expression}"));
            assert!(flaw.fix.contains(&format!("{way_out:?}")), "{expression}: {}", flaw.fix);
            assert!(flaw.within.is_some_and(|part| &expression[part] == "."));
        }
    }

    #[test]
    fn a_dot_that_means_any_character_is_left_alone() {
        for expression in [
            "/.*",
            "/.+",
            "/a.?b",
            "/a.{2}b",
            "/a.*b",
            r"/a\.b",
            "/[.]x",
            "/a[.x]b",
            "/..x",
            "/a..b",
            "/a/.",
            "/a/./b",
            "/a.$",
            "/(.)",
            "/(?P<one>.)x",
            ".x",
            "/a.*?html",
            "/x(.+)y",
        ] {
            assert_eq!(flaw(expression), None, "{expression}");
        }
    }
}
