//! The report of everything that is wrong, for people and for programs.

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;

use crate::base::text::masked::misleads;
use crate::http::BadCertificate;
use crate::session::privileges::BadRoles;
use crate::settings;
use crate::table;
use crate::table::Severity;
use crate::table::Witness;

/// One problem of any file, as `check --format json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) row: Option<usize>,
    pub(super) severity: Severity,
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) fix: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) others: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) witness: Option<Witness>,
    /// The bytes of the file to underline.
    #[serde(skip)]
    pub(super) span: Option<Range<usize>>,
}

impl From<table::Problem> for Finding {
    fn from(problem: table::Problem) -> Self {
        Self {
            file: Some(problem.file),
            line: Some(problem.line),
            column: Some(problem.column),
            row: problem.row,
            severity: problem.severity,
            code: problem.code,
            what: problem.what,
            fix: problem.fix,
            others: problem.others,
            witness: problem.witness,
            span: problem.span,
        }
    }
}

impl From<settings::Problem> for Finding {
    fn from(problem: settings::Problem) -> Self {
        let settings::Problem { file, line, column, severity, code, what, fix } = problem;
        let (row, others, witness, span) = (None, Vec::new(), None, None);
        Self { file, line, column, row, severity, code, what, fix, others, witness, span }
    }
}

impl Finding {
    /// A problem of a `roles.json`. Callgate does not start with one (docs/CONTRACT.md §5).
    pub(super) fn of_roles(file: &str, bad: &BadRoles) -> Self {
        Self {
            line: Some(bad.line),
            column: Some(bad.column),
            span: bad.span.clone(),
            ..Self::of_file(file, bad.code, &bad.what, &bad.fix)
        }
    }

    /// A problem of the certificate or its key; it contains the name of its file.
    pub(super) fn of_certificate(bad: &BadCertificate) -> Self {
        let text = bad.to_string();
        let (file, rest) = text.split_once(": ").unwrap_or(("tls.cert", &text));
        let (what, fix) = rest.rsplit_once("; ").unwrap_or((rest, "correct the file"));
        Self::of_file(file, "bad-certificate", what, fix)
    }

    /// An error of a whole file.
    pub(super) fn of_file(file: &str, code: &'static str, what: &str, fix: &str) -> Self {
        let (line, column, row, witness, span) = (None, None, None, None, None);
        let (file, severity, others) = (Some(file.to_owned()), Severity::Error, Vec::new());
        let (what, fix) = (what.to_owned(), fix.to_owned());
        Self { file, line, column, row, severity, code, what, fix, others, witness, span }
    }

    /// `handlers.json:7:14: error: row 3: what is wrong; the way out`.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        let place = [self.line, self.column].into_iter().flatten();
        if let Some(file) = &self.file {
            line.push_str(file);
            line.extend(place.map(|number| format!(":{number}")));
            line.push_str(": ");
        }
        let row = self.row.map(|row| format!("row {row}: ")).unwrap_or_default();
        line + &format!("{}: {row}{}; {}", self.severity, self.what, self.fix)
    }
}

/// The problems of one file, with what is needed to display them.
#[derive(Debug, Default)]
pub(super) struct FileReport {
    /// The file, or `settings`.
    pub(super) name: String,
    /// The remark if nothing is wrong, such as `12 rows`.
    pub(super) size: Option<String>,
    /// The contents of the file, to quote lines of it; `None` for settings, which may contain keys.
    pub(super) text: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// Rows whose reachability could not be decided within the budget.
    pub(super) undecided: Vec<usize>,
}

impl FileReport {
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Each problem in a line with its source underneath, then a summary line.
    pub(super) fn for_people(&self) -> String {
        let mut page = String::new();
        for finding in &self.findings {
            page.push_str(&finding.line());
            page.push('\n');
            if let Some(excerpt) = self.text.as_ref().and_then(|text| excerpt(text, finding)) {
                page.push_str(&excerpt);
            }
        }
        page + &format!("{}: {}{}\n", self.name, self.summary(), self.remark())
    }

    /// Facts that are not problems, but would be assumed to be proven if they were not mentioned.
    fn remark(&self) -> String {
        let rows = self.undecided.iter().take(UNDECIDED_NAMED_MAX).map(ToString::to_string);
        let rows = rows.collect::<Vec<_>>().join(", ");
        match self.undecided.len().saturating_sub(UNDECIDED_NAMED_MAX) {
            0 if rows.is_empty() => String::new(),
            0 => format!(" (undecided whether these can answer: {rows})"),
            more => format!(" (undecided whether these can answer: {rows} and {more} more)"),
        }
    }

    fn summary(&self) -> String {
        let count = |severity, one: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let counts = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        match (counts.is_empty(), &self.size) {
            (true, Some(size)) => format!("{size}, no problems"),
            (true, None) => "no problems".to_owned(),
            (false, _) => counts.join(", "),
        }
    }
}

/// Rows that the remark lists; for more it gives their number.
const UNDECIDED_NAMED_MAX: usize = 5;

/// Characters of a line that are shown before and after the underlined part.
const CONTEXT_CHARS: usize = 60;

/// The line of a problem, with its number, and the part at fault underlined:
///
/// ```text
///    7 |   "otp": { "mode": "shar" }
///      |                    ^^^^^^
/// ```
fn excerpt(text: &str, finding: &Finding) -> Option<String> {
    let (line, column) = (finding.line?, finding.column?);
    let skip = usize::try_from(line).ok()?.checked_sub(1)?;
    let before = usize::try_from(column).ok()?.checked_sub(1)?;
    // A tab or a control character has no reliable width, and an escape could control the terminal.
    let show = |c: char| if misleads(c) { ' ' } else { c };
    let source: Vec<char> =
        text.trim_start_matches('\u{feff}').lines().nth(skip)?.chars().collect();
    let fits = source.len() <= 2 * CONTEXT_CHARS;
    let from = if fits { 0 } else { before.saturating_sub(CONTEXT_CHARS) };
    let shown: String =
        source.iter().copied().skip(from).take(2 * CONTEXT_CHARS).map(show).collect();
    let meant = finding.span.clone().and_then(|span| text.get(span));
    let width = meant.map_or(1, |meant| meant.lines().next().unwrap_or_default().chars().count());
    // The part beyond the end of the shown line is not underlined.
    let width = width.min((from + shown.chars().count()).saturating_sub(before)).max(1);
    let indent = before.min(source.len()) - from.min(source.len());
    let mut lines = String::new();
    writeln!(lines, "{line:>5} | {}", shown.trim_end()).ok()?;
    writeln!(lines, "      | {:indent$}{:^<width$}", "", "").ok()?;
    Some(lines)
}

/// `{"problems":[…],"errors":2,"warnings":1}` on one line.
pub(super) fn for_programs(parts: &[FileReport]) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct JsonReport<'p> {
        problems: Vec<&'p Finding>,
        errors: usize,
        warnings: usize,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        undecided: Vec<usize>,
    }
    let count = |severity| parts.iter().map(|part| part.count(severity)).sum();
    let report = JsonReport {
        problems: parts.iter().flat_map(|part| &part.findings).collect(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        undecided: parts.iter().flat_map(|part| &part.undecided).copied().collect(),
    };
    Ok(serde_json::to_string(&report)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(text: &str, meant: &str) -> Finding {
        let start = text.find(meant).unwrap();
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        Finding {
            line: u32::try_from(line).ok(),
            column: u32::try_from(column).ok(),
            row: Some(3),
            span: Some(start..start + meant.len()),
            ..Finding::of_file("handlers.json", "unknown-mode", "unknown mode", "use \"share\"")
        }
    }

    #[test]
    fn a_problem_is_shown_under_its_source() {
        let text = "[\n\t{ \"ä\": \"x\", \"mode\": \"shar\" }\n]";
        let part = FileReport {
            name: "handlers.json".into(),
            text: Some(text.into()),
            findings: vec![finding(text, "\"shar\"")],
            ..FileReport::default()
        };
        assert_eq!(
            part.for_people(),
            "handlers.json:2:22: error: row 3: unknown mode; use \"share\"\n    \
             2 |  { \"ä\": \"x\", \"mode\": \"shar\" }\n      \
             |                      ^^^^^^\n\
             handlers.json: 1 error\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = format!("{}BAD{}", "a".repeat(500), "b".repeat(500));
        let shown = excerpt(&text, &finding(&text, "BAD")).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.len() < 140), "{shown}");
        assert_eq!(lines[0].find("BAD"), lines[1].find("^^^"));
        assert!(lines[1].ends_with(" ^^^"), "{shown}");
    }

    #[test]
    fn control_characters_of_a_file_do_not_reach_the_terminal() {
        let text = "\u{1b}[31mx\u{7} BAD";
        let shown = excerpt(text, &finding(text, "BAD")).unwrap();
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    }

    #[test]
    fn what_spans_lines_is_underlined_on_its_first_line_only() {
        let text = "{ \"a\": [\n1,\n2] }";
        let shown = excerpt(text, &finding(text, "[\n1,\n2]")).unwrap();
        assert_eq!(shown.matches('^').count(), 1, "{shown}");
    }

    #[test]
    fn a_place_outside_the_file_has_no_excerpt() {
        let outside = Finding { line: Some(99), ..finding("x", "x") };
        assert_eq!(excerpt("x", &outside), None);
        assert_eq!(excerpt("x", &Finding { line: None, ..outside }), None);
    }

    #[test]
    fn the_sum_says_errors_before_warnings() {
        let error = finding("x", "x");
        let warning = Finding { severity: Severity::Warning, ..error.clone() };
        let findings = vec![error.clone(), warning, error];
        let part = FileReport { name: "handlers.json".into(), findings, ..FileReport::default() };
        assert!(part.for_people().ends_with("handlers.json: 2 errors, 1 warning\n"));
        let clean =
            FileReport { name: "h".into(), size: Some("2 rows".into()), ..FileReport::default() };
        assert_eq!(clean.for_people(), "h: 2 rows, no problems\n");
    }

    #[test]
    fn rows_that_stay_undecided_are_named() {
        let part = |undecided| FileReport { name: "h".into(), undecided, ..FileReport::default() };
        let few = part(vec![2, 7]);
        assert!(few.for_people().ends_with("(undecided whether these can answer: 2, 7)\n"));
        assert!(for_programs(&[few]).unwrap().ends_with("\"warnings\":0,\"undecided\":[2,7]}\n"));
        assert!(part((1..=8).collect()).for_people().ends_with(": 1, 2, 3, 4, 5 and 3 more)\n"));
    }

    #[test]
    fn a_program_reads_every_problem_and_their_number() {
        let part = FileReport { findings: vec![finding("x", "x")], ..FileReport::default() };
        assert_eq!(
            for_programs(&[part, FileReport::default()]).unwrap(),
            "{\"problems\":[{\"file\":\"handlers.json\",\"line\":1,\"column\":1,\"row\":3,\
             \"severity\":\"error\",\"code\":\"unknown-mode\",\"what\":\"unknown mode\",\
             \"fix\":\"use \\\"share\\\"\"}],\"errors\":1,\"warnings\":0}\n"
        );
    }
}
