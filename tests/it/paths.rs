//! Spellings of one protected path that must not reach its row by an alias, and those that may.
//!
//! The list is that of docs/SECURITY.md T34: what proxies, decoders and file systems have been
//! fooled with.

use callgate::table::BasePath;
use callgate::table::Resolution;
use callgate::table::Table;
use callgate::table::explain;

/// Row 1 is protected, row 2 takes everything else.
const TABLE: &str = r#"[
    { "class": "Admin", "method": "panel", "pattern": "admin/panel", "requires": "admin" },
    { "class": "Public", "method": "page", "regexPattern": "/" }
]"#;

/// Spellings that are refused outright: each has two meanings somewhere.
const REFUSED: &str = include_str!("paths/refused.txt");
/// Spellings that are plainly other paths: they reach row 2 and nothing decodes them again.
const OTHER: &str = include_str!("paths/other.txt");
/// Spellings of the protected path itself: they reach the row and what it requires.
const SAME: &str = include_str!("paths/same.txt");
/// Spellings of paths that callgate answers itself.
const RESERVED: &str = include_str!("paths/reserved.txt");

/// One target per line, written as a Rust string so that control bytes can be seen.
fn targets(list: &str) -> Vec<String> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(unescape).collect()
}

/// Reads `\t`, `\0`, `\\` and `\u{…}`.
fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('0') => text.push('\0'),
            Some('\\') => text.push('\\'),
            Some('u') => {
                let (digits, after) = escape[2..].split_once('}').unwrap();
                text.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
                chars = after.chars();
            }
            other => panic!("unknown escape {other:?} in {line}"),
        }
        rest = chars.as_str();
    }
    text + rest
}

fn answers(list: &str) -> Vec<(String, Resolution, Option<usize>)> {
    let table = Table::read("handlers.json", TABLE).unwrap().table;
    let explain = |target: String| {
        let explanation = explain(&table, "GET", &target, &BasePath::none());
        (target, explanation.answer, explanation.row)
    };
    targets(list).into_iter().map(explain).collect()
}

#[test]
fn no_alias_reaches_the_protected_row() {
    let refused = answers(REFUSED);
    for (target, answer, _) in &refused {
        assert_eq!(*answer, Resolution::BadPath, "{target:?}");
    }
    let other = answers(OTHER);
    for (target, answer, row) in &other {
        assert_eq!((*answer, *row), (Resolution::Row, Some(2)), "{target:?}");
    }
    let all = refused.len() + other.len();
    assert!(all >= 120, "only {all} bypass strings");
}

#[test]
fn every_spelling_of_the_path_itself_meets_the_protected_row() {
    let same = answers(SAME);
    assert!(same.len() >= 12, "only {} spellings", same.len());
    for (target, answer, row) in same {
        assert_eq!((answer, row), (Resolution::Row, Some(1)), "{target:?}");
    }
}

#[test]
fn no_spelling_of_a_reserved_path_reaches_a_catch_all() {
    let reserved = answers(RESERVED);
    assert!(reserved.len() >= 12, "only {} spellings", reserved.len());
    for (target, answer, _) in reserved {
        assert_eq!(answer, Resolution::Reserved, "{target:?}");
    }
}

#[test]
fn a_mount_prefix_opens_no_other_way_in() {
    let table = Table::read("handlers.json", TABLE).unwrap().table;
    let base = BasePath::parse("/tools").unwrap();
    for target in targets(REFUSED) {
        for target in [format!("/tools{target}"), target] {
            let answer = explain(&table, "GET", &target, &base).answer;
            assert!(
                matches!(answer, Resolution::BadPath | Resolution::NotFound),
                "{target:?} is answered {answer:?}"
            );
        }
    }
    for target in targets(SAME) {
        let explanation = explain(&table, "GET", &target, &base);
        assert_eq!(explanation.answer, Resolution::NotFound, "{target:?} lies outside");
        let inside = explain(&table, "GET", &format!("/tools{target}"), &base);
        assert_eq!(inside.row, Some(1), "{target:?} inside");
    }
}
