//! Rows that repeat the pattern and a verb of an earlier one.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::table::Row;

/// The overlap of a row with earlier rows of the same pattern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// Each verb and the row, counted from 1, that has it already. Empty where the row matches all
    /// verbs and so does the earlier one.
    pub(super) verbs: Vec<(String, usize)>,
    /// Whether the row can never match.
    pub(super) is_whole: bool,
    all_in: Option<usize>,
}

impl Duplicate {
    /// The rows that are repeated, counted from 1, in table order.
    pub(super) fn rows(&self) -> Vec<usize> {
        let mut rows: Vec<usize> =
            self.verbs.iter().map(|(_, row)| *row).chain(self.all_in).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

/// The earlier rows with one pattern.
#[derive(Debug, Default)]
struct Earlier<'t> {
    /// The first row that matches all verbs.
    all: Option<usize>,
    /// The first row that lists each verb.
    verbs: HashMap<&'t str, usize>,
}

/// The overlaps of the rows, by index in the table.
///
/// A row for all verbs after one that lists some is not a duplicate: it matches the other verbs,
/// which is how a table refuses verbs with a response of its own
/// (developer.4d.com/docs/WebServer/http-request-handler, "unauthorized verbs").
pub(super) fn of(rows: &[Row]) -> BTreeMap<usize, Duplicate> {
    let mut patterns: HashMap<(bool, &str), Earlier<'_>> = HashMap::new();
    let mut duplicates = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let key = (row.pattern().is_regex(), row.pattern().as_str());
        let earlier = patterns.entry(key).or_default();
        let duplicate = repeated(row, earlier);
        if duplicate.is_whole || !duplicate.verbs.is_empty() {
            duplicates.insert(at, duplicate);
        }
        if row.verbs().is_all() {
            earlier.all.get_or_insert(row.number());
        }
        for verb in row.verbs().names() {
            earlier.verbs.entry(verb).or_insert(row.number());
        }
    }
    duplicates
}

fn repeated(row: &Row, earlier: &Earlier<'_>) -> Duplicate {
    if row.verbs().is_all() {
        return Duplicate { is_whole: earlier.all.is_some(), all_in: earlier.all, verbs: vec![] };
    }
    let names = || row.verbs().names();
    let first = |verb: &str| {
        let listed = earlier.verbs.get(verb).copied();
        listed.into_iter().chain(earlier.all).min().map(|row| (verb.to_owned(), row))
    };
    let verbs: Vec<(String, usize)> = names().filter_map(first).collect();
    Duplicate { is_whole: verbs.len() == names().count(), all_in: None, verbs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    /// For rows with one pattern and these verbs, the overlap of each: its verbs, and whether it is
    /// complete.
    fn of_verbs(verbs: &[&str]) -> Vec<(usize, String, bool)> {
        let row = |v| format!(r#"{{"class":"A","method":"a","pattern":"a","verbs":"{v}"}}"#);
        let rows: Vec<String> = verbs.iter().map(row).collect();
        let table = Table::read("t", &format!("[{}]", rows.join(","))).unwrap().table;
        let said = |duplicate: &Duplicate| {
            let verbs = duplicate.verbs.iter().map(|(verb, row)| format!("{verb} {row}"));
            verbs.chain(duplicate.all_in.map(|row| format!("* {row}"))).collect::<Vec<_>>()
        };
        let found = super::of(table.rows()).into_iter();
        found.map(|(at, d)| (at + 1, said(&d).join(", "), d.is_whole)).collect()
    }

    #[test]
    fn a_verb_is_repeated_where_the_pattern_has_it_already() {
        assert_eq!(of_verbs(&["GET, PUT", "post, get"]), [(2, "GET 1".into(), false)]);
        assert_eq!(of_verbs(&["GET", "PUT", "PUT,GET"]), [(3, "PUT 2, GET 1".into(), true)]);
        assert_eq!(of_verbs(&["GET", "POST"]), []);
    }

    #[test]
    fn all_verbs_behind_some_are_the_rest() {
        assert_eq!(of_verbs(&["GET", "*"]), []);
        assert_eq!(of_verbs(&["*", "GET"]), [(2, "GET 1".into(), true)]);
        assert_eq!(of_verbs(&["GET", "*", ""]), [(3, "* 2".into(), true)]);
    }
}
