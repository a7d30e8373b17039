//! The index, the explanation and a naive loop must agree on every request.
//!
//! The loop below knows nothing of the crate's matching: it keeps the properties as written and
//! applies the rules of docs/CONTRACT.md §3 one by one.

use std::fmt::Write;

use callgate::table::BasePath;
use callgate::table::CanonicalPath;
use callgate::table::Lookup;
use callgate::table::Resolution;
use callgate::table::Table;
use callgate::table::explain;
use regex::Regex;

/// A row as its author thinks of it.
#[derive(Debug)]
struct Plain {
    prefix: Option<String>,
    regex: Option<(String, Regex)>,
    verbs: Option<String>,
}

impl Plain {
    fn json(&self, number: usize) -> serde_json::Value {
        let mut row = serde_json::json!({ "class": "C", "method": format!("m{number}") });
        if let Some(prefix) = &self.prefix {
            row["pattern"] = prefix.clone().into();
        }
        if let Some((regex, _)) = &self.regex {
            row["regexPattern"] = regex.clone().into();
        }
        if let Some(verbs) = &self.verbs {
            row["verbs"] = verbs.clone().into();
        }
        row
    }

    fn fits(&self, path: &str) -> bool {
        match (&self.regex, &self.prefix) {
            (Some((_, anchored)), _) => anchored.is_match(path),
            (None, Some(prefix)) => {
                let wanted: Vec<&str> = prefix.split('/').collect();
                let mut got = path.split('/').skip(1);
                wanted.iter().all(|segment| got.next() == Some(*segment))
            }
            (None, None) => unreachable!("every generated row has a pattern"),
        }
    }

    fn names(&self) -> Option<Vec<String>> {
        let text = self.verbs.as_deref().unwrap_or("").trim().to_uppercase();
        let all = text.is_empty() || text == "*";
        (!all).then(|| text.split(',').map(|name| name.trim().to_owned()).collect())
    }
}

/// What a table says, in words that all three sides can speak.
#[derive(Debug, PartialEq, Eq)]
enum Says {
    Row(usize),
    NotFound,
    Refused(Vec<String>),
    Reserved,
}

fn naive(rows: &[Plain], verb: &str, path: &str) -> Says {
    let lower = path.to_ascii_lowercase();
    for part in ["/rest", "/4daction", "/$shared", "/$lib/renderer"] {
        if lower == part || lower.starts_with(&format!("{part}/")) {
            return Says::Reserved;
        }
    }
    let mut allow: Vec<String> = Vec::new();
    let mut fitted = false;
    for (row, number) in rows.iter().zip(1..) {
        if !row.fits(path) {
            continue;
        }
        fitted = true;
        match row.names() {
            None => return Says::Row(number),
            Some(names) if names.iter().any(|name| name == verb) => return Says::Row(number),
            Some(names) => {
                for name in names {
                    if !allow.contains(&name) {
                        allow.push(name);
                    }
                }
            }
        }
    }
    if fitted { Says::Refused(allow) } else { Says::NotFound }
}

fn found(table: &Table, verb: &str, path: &CanonicalPath) -> Says {
    if path.is_reserved() {
        return Says::Reserved;
    }
    match table.find(verb, path) {
        Lookup::Row(row) => Says::Row(row.number()),
        Lookup::NoSuchPath => Says::NotFound,
        Lookup::VerbNotAllowed(allow) => Says::Refused(allow.iter().map(str::to_owned).collect()),
    }
}

fn explained(table: &Table, verb: &str, target: &str, base: &BasePath) -> Says {
    let explanation = explain(table, verb, target, base);
    let first_hit = explanation.rows.iter().find(|step| step.hit).map(|step| step.row);
    assert_eq!(first_hit, explanation.row, "the first hit is the answer: {explanation:?}");
    match explanation.answer {
        Resolution::Row => Says::Row(explanation.row.unwrap()),
        Resolution::NotFound => Says::NotFound,
        Resolution::MethodNotAllowed => Says::Refused(explanation.allow.unwrap()),
        Resolution::Reserved => Says::Reserved,
        other => panic!("a generated request was refused as {other:?}: {explanation:?}"),
    }
}

/// `SplitMix64`: the same tables and requests in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((word ^ (word >> 31)) % sides as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// Few and similar words, so that patterns overlap and nearly match all the time.
const WORDS: [&str; 12] =
    ["a", "ab", "A", "docs", "doc", "rest", "restaurant", "x.y", "xzy", "é", "12", "3"];
const PIECES: [&str; 16] = [
    "/a",
    "/ab?",
    "/(a|docs)",
    "/(?:ab|a)$",
    "/[a-z]+",
    "/[0-9]{1,2}",
    "/[^/]+",
    "/.+",
    "/x.y",
    r"/x\.y",
    "/?",
    "(/a|/docs/a)",
    "/(?i:DOCS)",
    r"/\w+",
    "/é",
    r"(?:/[^/]+)*/12",
];
const VERBS: [&str; 9] =
    ["GET", "POST", "get, post", "PUT,get", "*", "", "HEAD, OPTIONS", "FOO,Delete", " PATCH "];
const ASKED: [&str; 9] =
    ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "FOO", "BREW"];

fn row(dice: &mut Dice) -> Plain {
    let verbs = (dice.roll(5) > 0).then(|| dice.pick(&VERBS).to_owned());
    if dice.roll(2) == 0 {
        // Reserved words are refused as a first segment, so they appear behind it only.
        let first = ["a", "ab", "A", "docs", "doc", "restaurant", "x.y", "é", "12"];
        let mut prefix = dice.pick(&first).to_owned();
        for _ in 0..dice.roll(3) {
            prefix = format!("{prefix}/{}", dice.pick(&WORDS));
        }
        return Plain { prefix: Some(prefix), regex: None, verbs };
    }
    let mut text = dice.pick(&["", "", "^", "(?i)", "(?i)^"]).to_owned();
    for _ in 0..=dice.roll(3) {
        text.push_str(dice.pick(&PIECES));
    }
    text.push_str(dice.pick(&["", "", "$", "/?$", "|/docs", "|^/12$"]));
    let anchored = Regex::new(&format!("^(?:{text})")).unwrap();
    let prefix = (dice.roll(8) == 0).then(|| "ignored".to_owned());
    Plain { prefix, regex: Some((text, anchored)), verbs }
}

/// A request target and the decoded path that its author meant.
fn request(dice: &mut Dice) -> (String, String) {
    let mut target = String::new();
    let mut path = String::new();
    for _ in 0..=dice.roll(3) {
        let word = dice.pick(&WORDS);
        target.push_str(dice.pick(&["/", "/", "/", "//"]));
        path.push('/');
        path.push_str(word);
        for byte in word.bytes() {
            if byte.is_ascii() && dice.roll(8) > 0 {
                target.push(char::from(byte));
            } else {
                write!(target, "%{byte:02X}").unwrap();
            }
        }
    }
    if dice.roll(5) == 0 {
        target.push('/');
        path.push('/');
    }
    target.push_str(dice.pick(&["", "", "?x=/a/docs", "?"]));
    (target, path)
}

fn requests_wanted() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the size of this run is asked for outside")]
    let size = std::env::var("CALLGATE_TEST_SIZE");
    if size.as_deref() == Ok("full") { 100_000 } else { 5_000 }
}

/// How often each kind of answer came, so that a generator gone stale fails the test.
#[derive(Debug, Default)]
struct Seen {
    rows: usize,
    later_rows: usize,
    not_found: usize,
    refused: usize,
    unions: usize,
    reserved: usize,
    mounted: usize,
}

impl Seen {
    fn count(&mut self, says: &Says, mounted: bool) {
        self.mounted += usize::from(mounted);
        match says {
            Says::Row(number) => {
                self.rows += 1;
                self.later_rows += usize::from(*number > 1);
            }
            Says::NotFound => self.not_found += 1,
            Says::Refused(allow) => {
                self.refused += 1;
                self.unions += usize::from(allow.len() > 2);
            }
            Says::Reserved => self.reserved += 1,
        }
    }

    fn least(&self) -> usize {
        let all = [
            self.rows,
            self.later_rows,
            self.not_found,
            self.refused,
            self.unions,
            self.reserved,
            self.mounted,
        ];
        all.into_iter().min().unwrap()
    }
}

#[test]
fn index_explanation_and_a_naive_loop_agree_on_every_request() {
    const PER_TABLE: usize = 100;
    let wanted = requests_wanted();
    let mut dice = Dice(8044);
    let mut seen = Seen::default();
    for _ in 0..wanted / PER_TABLE {
        let rows: Vec<Plain> = (0..=dice.roll(12)).map(|_| row(&mut dice)).collect();
        let json: Vec<_> = rows.iter().zip(1..).map(|(row, number)| row.json(number)).collect();
        let text = serde_json::to_string(&json).unwrap();
        let table = match Table::read("generated", &text) {
            Ok(checked) => checked.table,
            Err(problems) => panic!("{text}\n{problems:?}"),
        };
        let mounted = dice.roll(3) == 0;
        let base = if mounted { BasePath::parse("/tools").unwrap() } else { BasePath::none() };
        for _ in 0..PER_TABLE {
            let (target, meant) = request(&mut dice);
            let target = if mounted { format!("/tools{target}") } else { target };
            let verb = dice.pick(&ASKED);
            let raw = target.split('?').next().unwrap();
            let path = CanonicalPath::of(raw, &base).unwrap();
            let context = format!("{verb} {target}\n{text}");
            assert_eq!(path.as_str(), meant, "{context}");
            let says = naive(&rows, verb, &meant);
            assert_eq!(found(&table, verb, &path), says, "find: {context}");
            assert_eq!(explained(&table, verb, &target, &base), says, "explain: {context}");
            seen.count(&says, mounted);
        }
    }
    println!("{wanted} requests agree: {seen:?}");
    assert!(seen.least() * 100 >= wanted, "too few of one kind: {seen:?}");
}

#[test]
fn a_request_outside_the_mount_meets_no_row() {
    let text = r#"[{ "class": "A", "method": "a", "regexPattern": "/" }]"#;
    let table = Table::read("handlers.json", text).unwrap().table;
    let base = BasePath::parse("/tools").unwrap();
    for target in ["/", "/a", "/toolsx", "/Tools/a", "/a/tools"] {
        assert_eq!(explained(&table, "GET", target, &base), Says::NotFound, "{target}");
    }
}
