//! Text in columns, for terminals: aligned, without control characters, times as ages.

use std::time::Duration;

use serde_json::Value;

use crate::base::Timestamp;
use crate::base::text::masked::misleads;

/// Longest text of a column; longer ones are truncated.
const CHARS_MAX: usize = 40;

/// Rows under a heading, each column as wide as its widest text. An empty text becomes a dash.
pub(super) fn columns<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(rows);
    let mut lines = String::new();
    let widths: Vec<usize> = (0..N)
        .map(|at| all().filter_map(move |row| row.get(at)).map(|text| cell(text).chars().count()))
        .map(|widths| widths.max().unwrap_or_default())
        .collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{:width$}", cell(text)));
        lines.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        lines.push('\n');
    }
    lines
}

/// A text without characters that control a terminal.
pub(super) fn cell(text: &str) -> String {
    let plain = text.chars().map(|c| if misleads(c) { '\u{fffd}' } else { c });
    match plain.clone().count() {
        0 => "-".to_owned(),
        count if count > CHARS_MAX => plain.take(CHARS_MAX - 1).chain(['…']).collect(),
        _ => plain.collect(),
    }
}

/// A string member of an object; empty if it is absent.
pub(super) fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A list member of an object; empty if it is absent.
pub(super) fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list of strings, joined.
pub(super) fn joined(of: &Value, name: &str) -> String {
    let texts = list(of, name).iter().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}

/// A time as how long ago it was, or how far ahead it is.
pub(super) fn age(of: &Value, name: &str, now: Timestamp) -> String {
    let Ok(moment) = text(of, name).parse::<Timestamp>() else { return String::new() };
    if moment > now { format!("in {}", rough(moment.since(now))) } else { rough(now.since(moment)) }
}

/// A duration in its largest whole unit.
fn rough(span: Duration) -> String {
    match span.as_secs() {
        secs @ ..60 => format!("{secs} s"),
        secs @ ..3_600 => format!("{} min", secs / 60),
        secs @ ..172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_cut() {
        let rows = [["a".to_owned(), String::new()], ["é".repeat(50), "\u{1b}[31m".to_owned()]];
        let shown = columns(["ID", "USER"], &rows);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], format!("ID{}USER", " ".repeat(40)));
        assert_eq!(lines[1], format!("a{}-", " ".repeat(41)));
        assert_eq!(lines[2], format!("{}…  \u{fffd}[31m", "é".repeat(39)));
    }

    #[test]
    fn a_moment_is_told_in_its_largest_unit() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (moment, told) in [
            ("2026-01-09T23:59:01.000Z", "59 s"),
            ("2026-01-09T23:58:30.000Z", "1 min"),
            ("2026-01-08T01:00:00.000Z", "47 h"),
            ("2026-01-08T00:00:00.000Z", "2 d"),
            ("2026-01-10T00:57:30.000Z", "in 57 min"),
            ("yesterday", ""),
        ] {
            assert_eq!(age(&json!({ "at": moment }), "at", now), told, "{moment}");
        }
        assert_eq!(age(&Value::Null, "at", now), "");
    }
}
