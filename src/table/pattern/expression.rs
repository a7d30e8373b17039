//! Compiles a row's regular expression within limits, and explains why an invalid one is refused.

use regex::Regex;
use regex::RegexBuilder;

use crate::base::limits::PATTERN_NEST_MAX;
use crate::base::limits::PATTERN_PROGRAM_BYTES_MAX;
use crate::table::pattern::foreign_syntax;
use crate::table::problem::Flaw;

/// Compiles the expression as it is used: anchored at the start, open at the end.
///
/// It is compiled unwrapped first, so that `a)(b` cannot close the wrapping group and open another.
pub(crate) fn compile(text: &str) -> Result<Regex, Flaw> {
    build(text, PATTERN_NEST_MAX).map_err(|error| refusal(text, &error))?;
    // The wrapping adds two levels of nesting, which must not count against the author.
    build(&format!(r"\A(?:{text})"), PATTERN_NEST_MAX + 2).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => refusal(text, &error),
        _ => Flaw::new(
            "regex-comment",
            format!("regexPattern {text:?} ends in a comment of verbose mode"),
            "remove the comment after \"#\", or end it with \\n",
        ),
    })
}

fn build(text: &str, nest: u32) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).nest_limit(nest).size_limit(PATTERN_PROGRAM_BYTES_MAX).build()
}

fn refusal(text: &str, error: &regex::Error) -> Flaw {
    let regex::Error::Syntax(report) = error else {
        return Flaw::new(
            "regex-too-large",
            format!(
                "regexPattern {text:?} compiles to more than {PATTERN_PROGRAM_BYTES_MAX} bytes"
            ),
            "lower its repetition counts, or write [A-Za-z0-9_] for \\w",
        );
    };
    let reason = report.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let place = marked(report).map(|part| format!(" at {part:?}")).unwrap_or_default();
    Flaw::new(
        "regex-invalid",
        format!("regexPattern {text:?} is no regular expression{place}: {reason}"),
        foreign_syntax::instead_of_invalid(text).unwrap_or_else(|| way_out(reason)),
    )
}

/// The part of the expression that the report underlines: a line of carets follows the text.
fn marked(report: &str) -> Option<String> {
    let lines: Vec<&str> = report.lines().collect();
    let (text, carets) = lines.windows(2).find_map(|pair| match pair {
        [text, carets] if !carets.trim().is_empty() && carets.trim().chars().all(|c| c == '^') => {
            Some((*text, *carets))
        }
        _ => None,
    })?;
    let start = carets.chars().take_while(|c| *c == ' ').count();
    let part: String = text.chars().skip(start).take(carets.trim().len()).collect();
    // A single caret may stand after the last character, where there is nothing to quote.
    (!part.is_empty()).then_some(part)
}

fn way_out(reason: &str) -> String {
    let advice = [
        ("look-around", "put a row for the exception above this one; the first row that fits wins"),
        ("backreferences", "write the alternatives out"),
        ("unclosed group", "close the group, or write \\\\( in JSON for the character itself"),
        ("unopened group", "open the group, or write \\\\) in JSON for the character itself"),
        ("unclosed character class", "close it with ], or write \\\\[ in JSON for the character"),
        (
            "repetition operator missing",
            "write .* for anything, or \\\\* in JSON for the character",
        ),
        ("unrecognized escape", "drop the backslash if the character itself is meant"),
        ("nested", "use fewer groups within groups"),
        ("duplicate capture group", "give every group a name of its own"),
    ];
    let found = advice.iter().find(|(sign, _)| reason.contains(sign));
    found.map_or("compare with the syntax of the Rust crate regex", |(_, advice)| advice).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Flaw {
        compile(text).unwrap_err()
    }

    #[test]
    fn the_report_is_one_line_that_quotes_the_place() {
        let flaw = refused("/(?<!x)y");
        assert_eq!(
            flaw.what,
            "regexPattern \"/(?<!x)y\" is no regular expression at \"(?<!\": look-around, \
             including look-ahead and look-behind, is not supported"
        );
        assert!(flaw.fix.starts_with("put a row for the exception above"), "{}", flaw.fix);
        assert!(refused("*.html").what.contains("repetition operator missing"));
    }

    #[test]
    fn an_expression_cannot_escape_its_wrapping() {
        assert_eq!(refused("/a)|(?:.*").code, "regex-invalid");
        assert_eq!(refused("/a)(b").code, "regex-invalid");
        assert_eq!(refused("(?x)/a # all").code, "regex-comment");
        assert!(compile("(?x)/a # all\n").unwrap().is_match("/ab"));
    }

    #[test]
    fn size_and_nesting_are_bounded() {
        assert_eq!(refused(r"(?i)[\s\S]{0,3000}zz").code, "regex-too-large");
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        let max = usize::try_from(PATTERN_NEST_MAX).unwrap();
        assert!(compile(&nested(max)).is_ok());
        assert_eq!(refused(&nested(max + 1)).code, "regex-invalid");
    }
}
