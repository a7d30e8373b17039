//! What is proven of a table, held against every path there is up to a length.
//!
//! The tables are random, over an alphabet so small that all short paths can be tried: whatever a
//! proof says of a row must be true of each of them, and whatever they show of a row must be in
//! the proof.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use callgate::table::BasePath;
use callgate::table::CanonicalPath;
use callgate::table::Lookup;
use callgate::table::Problem;
use callgate::table::Proof;
use callgate::table::Reachability;
use callgate::table::Table;
use callgate::table::Witness;
use regex::Regex;

use crate::agree::Dice;

const LETTERS: [char; 5] = ['/', 'a', 'b', 'A', '.'];
/// The verbs that are tried; no row lists the last.
const VERBS: [&str; 4] = ["GET", "POST", "HEAD", "BREW"];

const PREFIXES: [&str; 9] = ["a", "b", "a/b", "a/a", "a.b", "ab", "a/b/a", "A", "aa"];
const PIECES: [&str; 26] = [
    r"/\.\.",
    r"/(a|\.)",
    "/a",
    "/b",
    "/ab?",
    "/(a|b)",
    "/[ab]",
    "/[^/]+",
    "/.+",
    "/.*",
    "(/a)+",
    "/a*",
    "(?i:/a)",
    r"/\.a",
    "/a.b",
    "/",
    "/?",
    "(?:/a|/b/a)",
    "/a{2,3}",
    r"/a\b",
    r"/\w+",
    "/a(/|$)",
    "/..",
    "//a",
    "(?m:/a$)",
    "/(b|)",
];
const ENDS: [&str; 8] = ["", "", "", "$", "$", "/?$", "|/b", r"\z"];
const LISTS: [&str; 7] = ["", "*", "GET", "POST", "GET, POST", "get,HEAD", "POST, HEAD, GET"];

/// One row as JSON, with a pattern that may fit nothing or what others fit.
fn row(dice: &mut Dice, number: usize) -> serde_json::Value {
    let mut row = serde_json::json!({ "class": "C", "method": format!("m{number}") });
    row["verbs"] = dice.pick(&LISTS).into();
    if dice.roll(5) < 2 {
        row["pattern"] = dice.pick(&PREFIXES).into();
    } else {
        let mut text = dice.pick(&["", "", "^", "(?i)"]).to_owned();
        for _ in 0..=dice.roll(2) {
            text.push_str(dice.pick(&PIECES));
        }
        text.push_str(dice.pick(&ENDS));
        row["regexPattern"] = text.into();
    }
    row
}

/// Every path over the letters, of at most this many characters, that can arrive.
fn paths(length: usize) -> Vec<CanonicalPath> {
    let mut texts = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..length {
        let longer = |text: &String| LETTERS.map(|letter| format!("{text}{letter}"));
        texts = texts.iter().flat_map(longer).collect();
        texts.retain(|text| text.starts_with('/') && !text.contains("//"));
        let read = texts.iter().filter_map(|text| CanonicalPath::of(text, &BasePath::none()).ok());
        all.extend(read.filter(|path| !path.is_reserved()));
    }
    all
}

/// The row that answers, counted from 1.
fn answers(table: &Table, verb: &str, path: &CanonicalPath) -> Option<usize> {
    match table.find(verb, path) {
        Lookup::Row(row) => Some(row.number()),
        Lookup::NoSuchPath | Lookup::VerbNotAllowed(_) => None,
    }
}

/// Each row that some tried request reaches.
fn reached(table: &Table, paths: &[CanonicalPath]) -> BTreeSet<usize> {
    let requests = paths.iter().flat_map(|path| VERBS.map(|verb| (verb, path)));
    requests.filter_map(|(verb, path)| answers(table, verb, path)).collect()
}

fn canonical(witness: &Witness) -> CanonicalPath {
    // A canonical path is what a client means by it, once % and what is no path is encoded.
    let byte = |b: u8| if b == b'/' { "/".to_owned() } else { format!("%{b:02X}") };
    let raw: String = witness.path.bytes().map(byte).collect();
    let path = CanonicalPath::of(&raw, &BasePath::none()).unwrap();
    assert_eq!(path.as_str(), witness.path, "a witness is canonical");
    assert!(!path.is_reserved(), "{witness}");
    path
}

/// Every tried request that a row's pattern and verbs fit is answered by one of these rows.
fn taken_by(table: &Table, row: usize, takers: &[usize], paths: &[CanonicalPath]) -> bool {
    let row = &table.rows()[row - 1];
    let fitting = || paths.iter().filter(|path| row.pattern().fits(path));
    let mut verbs = VERBS.iter().filter(|verb| row.verbs().allows(verb));
    verbs.all(|verb| {
        fitting().all(|path| {
            takers.iter().any(|taker| {
                let taker = &table.rows()[taker - 1];
                taker.number() < row.number()
                    && taker.verbs().allows(verb)
                    && taker.pattern().fits(path)
            })
        })
    })
}

/// How often each kind of finding came.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    beyond_the_tried: usize,
    taken_by_one: usize,
    taken_by_more: usize,
    fits_nothing: usize,
    undecided: usize,
    whole_duplicates: usize,
    part_duplicates: usize,
    open_ends: usize,
}

impl Seen {
    fn check(&mut self, table: &Table, proof: &Proof, paths: &[CanonicalPath]) {
        let reached = reached(table, paths);
        for (reach, number) in proof.reach.iter().zip(1..) {
            match reach {
                Reachability::Answers(witness) => {
                    let path = canonical(witness);
                    assert_eq!(answers(table, &witness.verb, &path), Some(number), "{witness}");
                    self.answers += 1;
                    self.beyond_the_tried += usize::from(!reached.contains(&number));
                    continue;
                }
                Reachability::TakenBy(rows) => {
                    assert!(taken_by(table, number, rows, paths), "row {number} by {rows:?}");
                    let least = if rows.len() == 1 {
                        &mut self.taken_by_one
                    } else {
                        &mut self.taken_by_more
                    };
                    *least += 1;
                }
                Reachability::FitsNothing | Reachability::FitsReserved => {
                    let row = &table.rows()[number - 1];
                    assert!(!paths.iter().any(|path| row.pattern().fits(path)), "row {number}");
                    self.fits_nothing += 1;
                }
                Reachability::Undecided => {
                    self.undecided += 1;
                    continue;
                }
            }
            assert!(!reached.contains(&number), "row {number} is said never to answer, but does");
        }
        for problem in &proof.problems {
            self.check_problem(table, problem, paths);
        }
    }

    fn check_problem(&mut self, table: &Table, problem: &Problem, paths: &[CanonicalPath]) {
        let row = &table.rows()[problem.row.unwrap() - 1];
        let others = problem.others.iter().map(|other| &table.rows()[other - 1]);
        match problem.code {
            "open-end" => {
                let witness = problem.witness.as_ref().unwrap();
                let path = canonical(witness);
                assert_eq!(answers(table, &witness.verb, &path), problem.row, "{problem}");
                let meant = &table.rows()[problem.others[0] - 1];
                assert!(meant.number() > row.number() && meant.pattern().fits(&path), "{problem}");
                let closed = Regex::new(&format!(r"^(?:{})$", row.pattern().as_str())).unwrap();
                assert!(!closed.is_match(path.as_str()), "{problem}");
                self.open_ends += 1;
            }
            "duplicate-row" => {
                for other in others {
                    assert_eq!(other.pattern().to_string(), row.pattern().to_string());
                    assert!(other.number() < row.number(), "{problem}");
                }
                let is_whole = taken_by(table, row.number(), &problem.others, paths);
                let fits_some = paths.iter().any(|path| row.pattern().fits(path));
                let least = if problem.what.contains("never answers") {
                    assert!(is_whole, "{problem}");
                    &mut self.whole_duplicates
                } else {
                    assert!(!is_whole || !fits_some, "{problem}");
                    &mut self.part_duplicates
                };
                *least += 1;
            }
            "unreachable-row" | "pattern-never-fits" => {}
            code => panic!("{code} is not held against anything: {problem}"),
        }
    }

    fn least(&self) -> usize {
        let kinds = [
            self.answers,
            self.taken_by_one,
            self.taken_by_more,
            self.fits_nothing,
            self.whole_duplicates,
            self.part_duplicates,
            self.open_ends,
        ];
        kinds.into_iter().min().unwrap()
    }
}

/// How many tables, and the longest path that is tried, in characters.
fn size() -> (usize, usize) {
    #[expect(clippy::disallowed_methods, reason = "the size of this run is asked for outside")]
    let size = std::env::var("CALLGATE_TEST_SIZE");
    if size.as_deref() == Ok("full") { (1_000, 7) } else { (80, 6) }
}

#[test]
fn what_is_proven_of_a_table_holds_for_every_path() {
    let (wanted, length) = size();
    let paths = paths(length);
    let mut dice = Dice(1_850);
    let mut seen = Seen::default();
    for _ in 0..wanted {
        let rows: Vec<_> = (0..3 + dice.roll(8)).map(|number| row(&mut dice, number)).collect();
        let text = serde_json::to_string(&rows).unwrap();
        let table = match Table::read("generated", &text) {
            Ok(checked) => checked.table,
            Err(problems) => panic!("{text}\n{problems:?}"),
        };
        let proof = table.prove("generated");
        // A failed assertion names the row; the table is what it is about.
        let judged = std::panic::AssertUnwindSafe(|| seen.check(&table, &proof, &paths));
        if let Err(failed) = std::panic::catch_unwind(judged) {
            println!("in {text}\n{:?}", proof.reach);
            std::panic::resume_unwind(failed);
        }
    }
    let tried = paths.len() * VERBS.len();
    println!("{wanted} tables against {tried} requests each: {seen:?}");
    assert!(seen.least() * 50 >= wanted, "too few of one kind: {seen:?}");
    assert_eq!(seen.undecided, 0, "tables as small as these are decided");
    assert!(seen.beyond_the_tried * 20 <= seen.answers, "the paths are too short: {seen:?}");
}

/// A table of rows with these patterns and no verbs.
fn table(patterns: impl Iterator<Item = String>) -> Table {
    let row =
        |text: String| serde_json::json!({ "class": "A", "method": "a", "regexPattern": text });
    let rows: Vec<_> = patterns.map(row).collect();
    match Table::read("t", &serde_json::to_string(&rows).unwrap()) {
        Ok(checked) => checked.table,
        Err(problems) => panic!("{}", problems[0]),
    }
}

/// Proves a table within the budget; how many rows of each kind it has, and the steps.
fn bounded(table: &Table) -> (BTreeMap<&'static str, usize>, u64) {
    let proof = table.prove("t");
    let mut counts = BTreeMap::new();
    for reach in &proof.reach {
        let kind = match reach {
            Reachability::Answers(_) => "answers",
            Reachability::TakenBy(_) => "taken",
            Reachability::FitsNothing | Reachability::FitsReserved => "nothing",
            Reachability::Undecided => "undecided",
        };
        *counts.entry(kind).or_default() += 1;
    }
    assert!(proof.steps <= Proof::STEPS_MAX, "{} steps: {counts:?}", proof.steps);
    (counts, proof.steps)
}

#[test]
fn a_thousand_ordinary_rows_are_decided() {
    let row = |n: usize| match n % 5 {
        0 => format!("/api/v1/things{n}/[0-9]+$"),
        1 => format!("/api/v1/things{n}/(?P<id>[^/]+)/parts/.*"),
        2 => format!("(?i)/Shop{n}/(order|basket)s?/?$"),
        3 => format!(r"/files/{n}/\w+\.pdf$"),
        _ => format!("/page{n}$"),
    };
    let (ordinary, steps) = bounded(&table((0..999).map(row).chain(["/.+".to_owned()])));
    println!("ordinary: {ordinary:?} in {steps} steps");
    assert_eq!(ordinary, [("answers", 1_000)].into());
    assert!(steps < Proof::STEPS_MAX / 2, "{steps}");
    let below = (1..1_000).map(|n| format!("/abc/d{n}$"));
    let (behind_one, steps) = bounded(&table(std::iter::once("/[a-z]+".to_owned()).chain(below)));
    println!("behind one: {behind_one:?} in {steps} steps");
    assert_eq!(behind_one, [("answers", 1), ("taken", 999)].into());
    assert!(steps < Proof::STEPS_MAX / 2, "{steps}");
}

#[test]
fn no_table_keeps_a_proof_busy() {
    // Which of the last letters was an a: the number of states doubles with each of them.
    let exponential =
        |n: usize| format!("/.*[a{}].{{{}}}$", ('b'..'z').nth(n % 20).unwrap(), 14 + n % 10);
    let classes = |n: usize| {
        let first = 0x4E00 + u32::try_from(n).unwrap() * 60;
        let letters = (first..first + 60).filter_map(char::from_u32);
        letters.fold("/".to_owned(), |text, c| text + &format!("[{c}-\u{FFFD}]?"))
    };
    let words = |n: usize| format!(r"/\w{{1,3}}.*{n}\b.*\w$");
    let counted = |n: usize| format!("/(?:a|b?){{{}}}x", 400 + n);
    for (what, table) in [
        ("exponential", table((0..60).map(exponential))),
        ("classes", table((0..100).map(classes))),
        ("words", table((0..150).map(words))),
        ("counted", table((0..60).map(counted))),
    ] {
        let (counts, steps) = bounded(&table);
        println!("{what}: {counts:?} in {steps} steps");
        assert!(counts.get("undecided").is_some_and(|rows| *rows > 0), "{what}: {counts:?}");
    }
}

#[test]
fn rows_behind_many_that_overlap_are_decided_one_by_one() {
    let rows = (0..300).map(|n| format!("(?i).*k{n}s.*"));
    let (counts, steps) = bounded(&table(rows));
    println!("{counts:?} in {steps} steps");
    assert_eq!(counts, [("answers", 300)].into());
}
