//! What has one home in the crate, and what has none.

use super::source::Breach;
use super::source::Source;
use super::source::closing;
use super::source::occurrences;
use super::source::paths;
use super::source::words;

/// Words that only the files under one path may say.
struct Home {
    words: &'static [&'static str],
    /// Where they are at home: a file, or a folder with its `/`.
    path: &'static str,
    advice: &'static str,
}

const HOMES: &[Home] = &[
    Home {
        words: &["SystemTime::now", "Instant::now", "Utc::now", "Local::now", "UNIX_EPOCH.elapsed"],
        path: "src/base/clock.rs",
        advice: "only src/base/clock.rs reads a clock: take `now` as an argument, or hold a `Clock`",
    },
    Home {
        words: &["SystemRandom", "getrandom", "rand::", "new_v4"],
        path: "src/base/secret/entropy.rs",
        advice: "only src/base/secret/entropy.rs asks for randomness: take an `Entropy`",
    },
    Home {
        words: &[
            "env::var",
            "env::vars",
            "env::var_os",
            "env::vars_os",
            "env::set_var",
            "env::remove_var",
            "env::*",
        ],
        path: "src/settings/reading/sources.rs",
        advice: "only src/settings/reading/sources.rs reads the environment: make it a setting",
    },
    Home {
        words: &["env::args", "env::args_os"],
        path: "src/cli/",
        advice: "only cli reads arguments: take the value",
    },
    Home {
        words: &["print!", "println!", "eprint!", "eprintln!", "stdout", "stderr"],
        path: "src/cli/",
        advice: "only cli prints: return the text, or log it with tracing",
    },
];

/// Words that shipped code never says.
const BANNED: &[(&str, &str)] = &[
    ("process::exit", "nothing ends the process: return an error, and main returns the exit code"),
    ("process::abort", "nothing ends the process: return an error, and main returns the exit code"),
    (".unwrap()", "return the error, or say with `expect` which invariant rules it out"),
    (".unwrap_err()", "return the error, or match on it"),
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "take it out; what is worth seeing is worth a tracing event"),
];

/// Words that tests do not say either.
const BANNED_EVERYWHERE: &[(&str, &str)] = &[
    ("thread::sleep", "nothing sleeps: move a `ManualClock`, or wait for what is to happen"),
    ("#[ignore", "a test runs or does not exist: mend it or delete it"),
];

const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// What is said away from its home.
pub(crate) fn strays(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for home in HOMES.iter().filter(|home| !source.path.starts_with(home.path)) {
        for word in home.words {
            breaches.extend(said(source, &source.shipped, word, home.advice));
        }
    }
    breaches
}

/// What shipped code must not say at all.
pub(crate) fn banned(source: &Source) -> Vec<Breach> {
    let said = |(word, advice): &(&str, &str)| said(source, &source.shipped, word, advice);
    BANNED.iter().flat_map(said).collect()
}

/// What must not stand in any file, tests included: sleeping, skipped tests, unfinished business,
/// lints that are switched off without a word.
pub(crate) fn slack(source: &Source) -> Vec<Breach> {
    let said = |(word, advice): &(&str, &str)| said(source, &source.code, word, advice);
    let mut breaches: Vec<Breach> = BANNED_EVERYWHERE.iter().flat_map(said).collect();
    for word in UNFINISHED {
        let advice = format!("{word} in a comment; do it, or file it where it is not forgotten");
        breaches.extend(words(&source.comments, word).map(|at| source.breach(at, advice.clone())));
    }
    for attribute in ["#[allow(", "#![allow("] {
        let advice = "a lint is switched off; write #[expect(lint, reason = \"…\")]";
        breaches.extend(occurrences(&source.code, attribute).map(|at| source.breach(at, advice)));
    }
    for attribute in ["#[expect(", "#![expect("] {
        for at in occurrences(&source.code, attribute) {
            let open = at + attribute.len() - 1;
            let end = closing(&source.code, open).unwrap_or(source.code.len());
            if words(source.code.get(open..end).unwrap_or(""), "reason").next().is_none() {
                breaches.push(source.breach(at, "an expected lint needs its `reason = \"…\"`"));
            }
        }
    }
    breaches
}

/// Every line that says `word`, in full or through a `use` group of std.
fn said(source: &Source, code: &str, word: &str, advice: &str) -> Vec<Breach> {
    let grouped = paths(code, "std").into_iter().filter(|named| {
        let path = named.segments.join("::");
        path.ends_with(&format!("::{word}"))
    });
    let mut breaches: Vec<Breach> = words(code, word)
        .chain(grouped.map(|named| named.at))
        .map(|at| source.breach(at, format!("{}; {advice}", word.trim_start_matches("#["))))
        .collect();
    breaches.sort_by_key(|breach| breach.line);
    breaches.dedup();
    breaches
}
