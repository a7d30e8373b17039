//! The rules that must hold for any bytes, tried with seeds and with what becomes of them by
//! chance. For hours, and guided by coverage, `fuzz/` does the same.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::fuzz::TARGETS;
use callgate::fuzz::Target;

use crate::support::Dice;
use crate::support::figure;
use crate::support::size;

/// No input may keep a thread for longer, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// No input grows beyond this; most of the limits are tested with inputs made for them.
const BYTES_MAX: usize = 4_096;
/// Pieces that have a meaning somewhere, to be put in by chance.
const PIECES: [&str; 40] = [
    "$4DSID=",
    "%244DSID=",
    "%25244DSID",
    "2E5D0D57751D471DB29FD110D2DCE253",
    "&",
    "=",
    "'",
    "+",
    "%00",
    "%2F",
    "%5C",
    "%C3%A9",
    "%",
    "..",
    "/",
    "//",
    "\\",
    ";",
    "4DSID_fuzz=",
    "__Host-",
    "\u{2000}",
    "\"",
    "$Version=1",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "1e999",
    "-1",
    "\"regexPattern\":",
    "\"pattern\":",
    "\"verbs\":\"get\"",
    "(?i)",
    "\\b",
    "[^/]{0,999}",
    "^",
    "$",
    "https://a.example:80",
];

#[test]
fn no_bytes_break_a_rule() {
    let rounds = size(3_000, 2_000_000);
    for target in TARGETS {
        let seeds = seeds(target.name);
        assert!(!seeds.is_empty(), "{}: no seeds", target.name);
        for seed in &seeds {
            holds(target, seed);
        }
        let mut dice = Dice::new(0x000C_A116_A7E0);
        let mut slowest = Duration::ZERO;
        for _ in 0..rounds {
            slowest = slowest.max(holds(target, &changed(&seeds, &mut dice)));
        }
        figure(target.name, format!("{rounds} inputs, the slowest {} µs", slowest.as_micros()));
    }
}

#[test]
fn a_broken_rule_is_found() {
    let broken = Target {
        name: "query",
        run: |input| assert!(!input.windows(3).any(|three| three == b"%00"), "found"),
    };
    let seeds = seeds(broken.name);
    let mut dice = Dice::new(1);
    let found = (0..20_000).any(|_| {
        let input = changed(&seeds, &mut dice);
        catch_unwind(|| (broken.run)(&input)).is_err()
    });
    assert!(found, "20,000 inputs did not contain what is put in by chance");
}

/// Runs one input; says which one it was if a rule breaks.
fn holds(target: &Target, input: &[u8]) -> Duration {
    let started = Stopwatch::start();
    let run = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = started.elapsed();
    let shown = input.escape_ascii();
    assert!(run.is_ok(), "{}: a rule breaks for \"{shown}\"", target.name);
    assert!(took < PATIENCE, "{}: {took:?} for \"{shown}\"", target.name);
    took
}

/// The inputs that somebody thought of. For tables, those of the table tests.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = match name {
        "table" => vec![root.join("tests/tables/good"), root.join("tests/tables/bad")],
        name => vec![root.join("fuzz/seeds").join(name)],
    };
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|file| name != "table" || file.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A seed with a few changes: bytes flipped, taken out, doubled, pieces and other seeds put in.
fn changed(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(16)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let piece = PIECES[dice.below(PIECES.len())];
                bytes.splice(at..end, piece.bytes());
            }
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}
