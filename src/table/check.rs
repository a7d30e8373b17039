//! Validates the parsed file: the result is checked rows, or every problem at once.

use std::collections::HashMap;
use std::ops::Range;

use super::advice;
use super::fields::Fields;
use super::pattern::Pattern;
use super::problem::Flaw;
use super::problem::Problem;
use super::problem::Severity;
use super::raw::FileFormat;
use super::raw::SpannedValue;
use super::raw::ValueKind;
use super::row::Row;
use super::row::RowLimits;
use super::row::RowPosition;
use crate::base::document;
use crate::base::document::Lines;
use crate::base::limits::ROW_BODY_BYTES_MAX;
use crate::base::limits::ROW_TIMEOUT_MS_MAX;
use crate::base::limits::TABLE_ROWS_MAX;
use crate::table::row::otp;
use crate::table::row::otp::OtpRule;
use crate::table::row::repeat;
use crate::table::row::requires;
use crate::table::row::target;
use crate::table::row::verbs::Verbs;

/// The properties of a row.
const PROPERTIES: [&str; 13] = [
    "class",
    "method",
    "forward",
    "pattern",
    "regexPattern",
    "verbs",
    "requires",
    "otp",
    "repeat",
    "onInterrupted",
    "limits",
    "comment",
    "id",
];

/// Collects the problems found so far, and knows the row that is being checked.
#[derive(Debug)]
pub(super) struct Diagnostics<'f> {
    file: &'f str,
    lines: Lines<'f>,
    row: Option<usize>,
    /// Values that could not be read and are reported already.
    unread: Vec<Range<usize>>,
    problems: Vec<Problem>,
}

/// What is known of a row that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRow {
    /// The class that it names, if that is a valid name.
    pub class: Option<Box<str>>,
    /// The text of the row.
    pub text: Box<str>,
}

/// The usable rows, and what is known of the others.
#[derive(Debug, Default)]
pub(super) struct CheckedRows {
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Vec<SkippedRow>,
}

const FORM: FileFormat = FileFormat {
    noun: "table",
    one_root: "keep one list; put all rows into it",
    levels: "a table is a list of rows and needs no more than three levels",
    example: "[{ \"class\": \"Mail\", \"method\": \"paid\", \"pattern\": \"paid\" }]",
    smaller: "move comments out, or merge rows that share a class",
};

impl<'f> Diagnostics<'f> {
    pub(super) fn on(file: &'f str, text: &'f str) -> Self {
        let lines = Lines::of(text);
        Self { file, lines, row: None, unread: Vec::new(), problems: Vec::new() }
    }

    /// Reports something that makes the file unusable.
    pub(super) fn error(&mut self, span: &Range<usize>, flaw: Flaw) {
        self.note(Severity::Error, span, flaw);
    }

    /// Reports something that is probably not meant.
    pub(super) fn warn(&mut self, span: &Range<usize>, flaw: Flaw) {
        self.note(Severity::Warning, span, flaw);
    }

    fn note(&mut self, severity: Severity, span: &Range<usize>, flaw: Flaw) {
        if self.unread.iter().any(|unread| unread.contains(&span.start)) {
            return;
        }
        let within = flaw.within.clone().and_then(|part| self.lines.within_text(span, part));
        let span = &within.unwrap_or_else(|| span.clone());
        let (line, column) = self.lines.position(span.start);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            column,
            row: self.row,
            severity,
            code: flaw.code,
            what: flaw.what,
            fix: flaw.fix,
            others: Vec::new(),
            witness: None,
            span: Some(span.clone()),
        });
    }

    /// The value, or nothing after reporting the error.
    pub(super) fn keep<T>(&mut self, span: &Range<usize>, read: Result<T, Flaw>) -> Option<T> {
        read.map_err(|flaw| self.error(span, flaw)).ok()
    }

    /// As [`Diagnostics::keep`], and reports the warnings about the value.
    fn accept<T>(&mut self, span: &Range<usize>, read: Result<(T, Vec<Flaw>), Flaw>) -> Option<T> {
        let (value, warnings) = self.keep(span, read)?;
        for flaw in warnings {
            self.warn(span, flaw);
        }
        Some(value)
    }

    /// Warns about every property that was not taken. `owner` is put before its name, such as
    /// `otp.`, and is empty for a row.
    pub(super) fn unknown(&mut self, fields: Fields<'_>, owner: &str, known: &[&str]) {
        for member in fields.rest() {
            let fix = advice::of_unknown(owner, &member, known);
            let what = format!("unknown property {:?}", format!("{owner}{}", member.key));
            self.warn(&member.key_span, Flaw::new("unknown-property", what, fix));
        }
    }

    fn place(&self, span: Range<usize>) -> RowPosition {
        let (line, column) = self.lines.position(span.start);
        RowPosition { line, column, span }
    }

    /// Every problem in the order of the file, and whether one of them is an error.
    pub(super) fn finish(mut self) -> (Vec<Problem>, bool) {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        let broken = self.problems.iter().any(|problem| problem.severity == Severity::Error);
        (self.problems, broken)
    }
}

/// Reads all rows. Rows that cannot be used are reported and left out.
pub(super) fn rows(notes: &mut Diagnostics<'_>, text: &str) -> CheckedRows {
    let document = document::read(text, &FORM);
    let is_well_formed = document.flaws.is_empty();
    for (span, flaw) in document.flaws {
        notes.error(&span, flaw);
    }
    notes.unread = document.unread;
    if text.contains('\r') && !text.contains('\n') {
        let what = "lines end with a carriage return alone, as on old Macs";
        notes.warn(&(0..0), Flaw::new("line-ends", what, "save it with line feeds"));
    }
    let Some(value) = document.root else {
        if is_well_formed {
            let (what, fix) = ("the file is empty", "write [] for a table without rows");
            notes.error(&(0..0), Flaw::new("not-a-list", what, fix));
        }
        return CheckedRows::default();
    };
    let ValueKind::List(entries) = value.kind else {
        let what = format!("a table is a list of rows, not {}", value.kind.name());
        notes.error(&value.span, Flaw::new("not-a-list", what, "write [ … ] around the rows"));
        return CheckedRows::default();
    };
    if let Some(first_too_many) = entries.get(TABLE_ROWS_MAX) {
        let what = format!("{} rows; a table has at most {TABLE_ROWS_MAX}", entries.len());
        let flaw = Flaw::new("table-too-many-rows", what, "merge rows with a regexPattern");
        notes.error(&first_too_many.span, flaw);
    }
    let mut rows = CheckedRows::default();
    for (entry, number) in entries.into_iter().zip(1..=TABLE_ROWS_MAX) {
        notes.row = Some(number);
        let known = known_of(&entry, text);
        match row(notes, number, entry) {
            Some(row) => rows.rows.push(row),
            None => rows.left_out.push(known),
        }
    }
    notes.row = None;
    rows
}

/// What can be read of a row that is invalid.
fn known_of(entry: &SpannedValue<'_>, text: &str) -> SkippedRow {
    let class = || {
        let ValueKind::Object(members) = &entry.kind else { return None };
        let member = members.iter().find(|member| member.key == "class")?;
        let text = member.value.text("class").ok()?;
        target::identifier("class", text).ok().map(Box::from)
    };
    SkippedRow { class: class(), text: text.get(entry.span.clone()).unwrap_or_default().into() }
}

fn row(notes: &mut Diagnostics<'_>, number: usize, entry: SpannedValue<'_>) -> Option<Row> {
    let span = entry.span.clone();
    duplicates(notes, &entry);
    let mut fields = notes.keep(&span, Fields::of(entry, "a row"))?;
    let target = target::read(notes, &mut fields, &span);
    let pattern = pattern(notes, &mut fields, &span);
    let verbs = match fields.take("verbs") {
        Some(value) => notes.accept(
            &value.span,
            value.text("verbs").map_err(|flaw| advice::verbs(&value, flaw)).and_then(Verbs::parse),
        ),
        None => Some(Verbs::ALL),
    };
    let requires = fields.take("requires").map(|value| {
        let span = value.span.clone();
        let requires = requires::read(notes, value);
        let missing = pattern.as_ref().and_then(|(own, _)| requires.missing_group(own));
        if let Some(flaw) = missing {
            notes.error(&span, flaw);
        }
        requires
    });
    let requires = requires.unwrap_or_default();
    let otp = match fields.take("otp") {
        Some(value) => {
            let span = value.span.clone();
            let rule = otp::read(notes, value);
            let missing = pattern.as_ref().and_then(|(own, _)| otp::missing_group(&rule, own));
            if let Some(flaw) = missing {
                notes.error(&span, flaw);
            }
            let unasked = verbs.as_ref().and_then(|verbs| otp::unasked_posts(&rule, verbs));
            if let Some(flaw) = unasked {
                notes.warn(&span, flaw);
            }
            rule
        }
        None => OtpRule::default(),
    };
    let repeat = repeat::read(notes, &mut fields);
    let limits = fields.take("limits").map(|value| limits(notes, value)).unwrap_or_default();
    for ignored in ["comment", "id"] {
        fields.take(ignored);
    }
    notes.unknown(fields, "", &PROPERTIES);
    let place = notes.place(span);
    let ((target, name), (pattern, pattern_span), verbs) = (target?, pattern?, verbs?);
    let pattern_place = notes.place(pattern_span);
    Some(Row {
        number,
        place,
        pattern_place,
        target,
        name,
        pattern,
        verbs,
        requires,
        otp,
        repeat,
        limits,
    })
}

/// Reports every key that an object has twice, at any depth: JSON readers differ in which of them
/// they use.
fn duplicates(notes: &mut Diagnostics<'_>, value: &SpannedValue<'_>) {
    match &value.kind {
        ValueKind::List(items) => items.iter().for_each(|item| duplicates(notes, item)),
        ValueKind::Object(members) => {
            let mut seen: HashMap<&str, &Range<usize>> = HashMap::with_capacity(members.len());
            for member in members {
                if let Some(first) = seen.get(&*member.key) {
                    let (line, column) = notes.lines.position(first.start);
                    let place = format!("first at line {line}, column {column}");
                    let what = format!("{:?} is given twice, {place}", member.key);
                    let flaw = Flaw::new("duplicate-key", what, "keep one of the two");
                    notes.error(&member.key_span, flaw);
                } else {
                    seen.insert(&member.key, &member.key_span);
                }
                duplicates(notes, &member.value);
            }
        }
        _ => {}
    }
}

/// The effective pattern and its position.
fn pattern(
    notes: &mut Diagnostics<'_>,
    fields: &mut Fields<'_>,
    row: &Range<usize>,
) -> Option<(Pattern, Range<usize>)> {
    match (fields.take("pattern"), fields.take("regexPattern")) {
        (prefix, Some(value)) => {
            if let Some(prefix) = prefix {
                let what = "\"pattern\" does not count beside \"regexPattern\"";
                notes.warn(&prefix.span, Flaw::new("both-patterns", what, "remove one of the two"));
            }
            let read = value.text("regexPattern").and_then(Pattern::regex);
            Some((notes.accept(&value.span, read)?, value.span))
        }
        (Some(value), None) => {
            let read = value.text("pattern").and_then(Pattern::prefix);
            Some((notes.accept(&value.span, read)?, value.span))
        }
        (None, None) => {
            let fix = "say which paths are meant, such as \"pattern\": \"payment/done\"";
            let what = "\"pattern\" and \"regexPattern\" are missing";
            notes.error(row, Flaw::new("missing-property", what, fix));
            None
        }
    }
}

/// An empty list is an error rather than "nothing is required".
fn limits(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> RowLimits {
    let span = value.span.clone();
    let Some(mut fields) = notes.keep(&span, Fields::of(value, "limits")) else {
        return RowLimits::default();
    };
    let mut bound = |name: &str, unit: &str, max: u64| {
        let value = fields.take(name)?;
        notes.keep(&value.span, value.quantity(&format!("limits.{name}"), unit, 1..=max))
    };
    let limits = RowLimits {
        body_bytes: bound("bodyBytes", "bytes", ROW_BODY_BYTES_MAX),
        timeout_ms: bound("timeoutMs", "milliseconds", ROW_TIMEOUT_MS_MAX),
    };
    notes.unknown(fields, "limits.", &["bodyBytes", "timeoutMs"]);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Confirm;
    use crate::base::RestoreMode;
    use crate::table::OnInterrupted;
    use crate::table::OnRefused;
    use crate::table::Table;
    use crate::table::Target;
    use crate::table::TokenPlace;

    fn rows(text: &str) -> Vec<Row> {
        let checked = Table::read("handlers.json", text).unwrap();
        assert_eq!(checked.warnings, []);
        checked.table.rows().to_vec()
    }

    #[test]
    fn everything_a_row_says_is_kept() {
        let rows = rows(
            r#"[{ "class": "callgate.Accounts", "method": "signin", "pattern": "a",
                 "verbs": "put", "requires": ["a, b", "b"], "comment": 1, "id": [],
                 "otp": { "param": "state", "mode": "transfer", "confirm": "always",
                          "strip": true, "onRefused": { "status": 599 } },
                 "limits": { "bodyBytes": 26214400, "timeoutMs": 1 } }]"#,
        );
        let row = &rows[0];
        assert_eq!((row.number(), row.name()), (1, "callgate.Accounts.signin"));
        let target =
            Target::Function { class: "callgate.Accounts".into(), method: "signin".into() };
        assert_eq!(*row.target(), target);
        assert_eq!(row.verbs().to_string(), "PUT");
        assert_eq!(row.requires(), ["a", "b"].map(Box::<str>::from));
        assert_eq!(
            *row.otp(),
            OtpRule {
                param: Some(TokenPlace::Param("state".into())),
                mode: RestoreMode::Transfer,
                confirm: Confirm::Always,
                strip: true,
                on_refused: OnRefused::Status(599),
                unless_signed_in: false,
            }
        );
        let limits = RowLimits { body_bytes: Some(ROW_BODY_BYTES_MAX), timeout_ms: Some(1) };
        assert_eq!(row.limits(), limits);
    }

    #[test]
    fn a_row_may_forward_and_keep_its_answers() {
        let rows = rows(
            r#"[{ "forward": "http://127.0.0.1:3000/base", "pattern": "a",
                  "repeat": 600, "onInterrupted": "run" },
                { "class": "A", "method": "a", "pattern": "a", "repeat": 1 }]"#,
        );
        assert_eq!(rows[0].name(), "http://127.0.0.1:3000/base");
        assert!(matches!(rows[0].target(), Target::Upstream(url) if url.port() == Some(3000)));
        let repeat = rows[0].repeat().unwrap();
        assert_eq!((repeat.window.as_secs(), repeat.on_interrupted), (600, OnInterrupted::Run));
        assert_eq!(rows[1].repeat().unwrap().on_interrupted, OnInterrupted::Refuse);
    }

    #[test]
    fn what_a_row_leaves_out_has_the_documented_default() {
        let rows = rows(
            r#"[{ "class": "A", "method": "a", "pattern": "a" },
                { "class": "A", "method": "a", "pattern": "a", "otp": {}, "limits": {} },
                { "class": "A", "method": "a", "pattern": "a",
                  "otp": { "onRefused": "continue" }, "verbs": "" }]"#,
        );
        for row in &rows {
            assert!(row.verbs().is_all());
            assert!(row.requires().is_empty());
            assert_eq!(*row.otp(), OtpRule::default());
            assert_eq!(row.otp().mode, RestoreMode::Auto);
            assert_eq!(row.otp().on_refused, OnRefused::Continue);
            assert_eq!(row.limits(), RowLimits::default());
        }
        assert_eq!(rows.iter().map(Row::number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_redirect_may_have_a_query_that_names_another_site() {
        let rows = rows(
            r#"[{ "class": "A", "method": "a", "pattern": "a",
                  "otp": { "onRefused": { "redirect": "/expired?from=https://shop.example//" } } }]"#,
        );
        let expected = OnRefused::Redirect("/expired?from=https://shop.example//".into());
        assert_eq!(rows[0].otp().on_refused, expected);
    }

    #[test]
    fn a_problem_spans_the_value_it_means() {
        let text = "\u{feff}[\n  {\"class\": \"A\", \"method\": \"é.b\", \"pattern\": \"a\"}]";
        let problems = Table::read("handlers.json", text).unwrap_err();
        assert_eq!((problems[0].line, problems[0].column), (2, 28));
        assert_eq!(&text[problems[0].span.clone().unwrap()], "\"é.b\"");
    }
}
