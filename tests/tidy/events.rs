//! The list of events in `docs/EVENTS.md`, held against those that the source logs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::source::Source;
use super::source::closing;
use super::source::occurrences;

const PAGE: &str = "docs/EVENTS.md";
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Events that no test asks for, and why.
pub(crate) const NOT_ASKED_FOR: &[(&str, &str)] = &[
    ("clock.back", "said beside what src/gate/steady_clock.rs tests: what the clock then says"),
    ("clock.leapt", "said beside what src/gate/steady_clock.rs tests: what the clock then says"),
    ("script.slow", "it hangs on how fast the machine is"),
    (
        "server.accept_failed",
        "tests/heavy/exhausted.rs sees what it stands for: a server without files left",
    ),
    ("server.connection_ended", "a line for debugging, about what clients do all the time"),
    ("server.connections_lowered", "it hangs on what the machine lets a process open"),
    ("store.close_failed", "it takes a disk that fails while the store is closed"),
    ("store.dir_not_synced", "it takes a file system that cannot sync folders"),
    (
        "store.failed",
        "the store's own thread logs it, where no test listens; the tests see what it says to requests",
    ),
    ("store.foreign_file_system", "it takes a file system of another kind"),
    (
        "store.link.down",
        "the tasks of a client of Redis or PostgreSQL log it; tests/engines sees what they stand for",
    ),
    ("store.link.up", "as store.link.down"),
    ("store.note", "which store has something to note hangs on the machine"),
    (
        "store.room_back",
        "the store's own thread logs it, where no test listens; stores::room sees what it stands for",
    ),
    ("store.room_low", "as store.room_back"),
    ("store.touch.failed", "a line for debugging; tests/engines sees that no use is lost"),
    ("store.trim.failed", "it takes a database that fails between two steps of one verb"),
    ("tls.not_valid", "it takes a certificate that expires while the test runs"),
];

/// One event, as the source logs it or as the page lists it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Event {
    /// The row of the page, but for what only a person knows.
    fn row(&self, name: &str) -> String {
        let words = |words: &BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>().join(", ");
        let fields: BTreeSet<String> =
            self.fields.iter().map(|field| format!("`{field}`")).collect();
        format!("| `{name}` | {} | what it means | {} |", words(&self.levels), words(&fields))
    }
}

pub(crate) type Events = BTreeMap<String, Event>;

/// Every event that a file logs, by its name.
pub(crate) fn logged(source: &Source, events: &mut Events) {
    for level in LEVELS {
        let start = format!("tracing::{level}!(");
        for at in occurrences(&source.shipped, &start) {
            let open = at + start.len() - 1;
            let end = closing(&source.shipped, open).unwrap_or(source.shipped.len());
            let said = source.text.get(open..end).unwrap_or("");
            let Some((_, rest)) = said.split_once("event = \"") else { continue };
            let name = rest.split('"').next().unwrap_or_default();
            let event = events.entry(name.to_owned()).or_default();
            event.levels.insert(level.to_owned());
            event.fields.extend(fields(source.shipped.get(open + 1..end).unwrap_or("")));
        }
    }
}

/// The names of the fields between the parentheses of a macro, whose strings are blanks.
fn fields(inside: &str) -> impl Iterator<Item = String> + '_ {
    let mut depth = 0_i32;
    let parts = inside.split(move |letter| {
        depth += match letter {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        };
        letter == ',' && depth == 0
    });
    let name = |part: &str| {
        let name = part.split('=').next().unwrap_or_default().trim();
        let name = name.trim_start_matches(['%', '?']);
        let is_name = !name.is_empty() && name.chars().all(super::source::is_word);
        (is_name && name != "event").then(|| name.to_owned())
    };
    parts.filter_map(name).collect::<Vec<_>>().into_iter()
}

/// Every event that the page lists: the rows whose first cell is a name in backticks.
pub(crate) fn listed(page: &str) -> Events {
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, levels, meaning, fields, ""] = *cells.as_slice() else { return None };
        let name = quoted(name).pop_first()?;
        let told = !meaning.is_empty() && meaning != "what it means";
        assert!(told, "{PAGE}: say what {name} means");
        let levels = levels.split(',').map(|level| level.trim().to_owned()).collect();
        Some((name, Event { levels, fields: quoted(fields) }))
    };
    page.lines().filter_map(row).collect()
}

/// What to do to the page so that it lists what is logged.
pub(crate) fn differences(logged: &Events, listed: &Events) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, event) in logged {
        match listed.get(name) {
            Some(same) if same == event => {}
            Some(_) => lines.push(format!("{PAGE}: correct the row to {}", event.row(name))),
            None => lines.push(format!("{PAGE}: add the row {}", event.row(name))),
        }
    }
    let gone = listed.keys().filter(|name| !logged.contains_key(*name));
    lines.extend(gone.map(|name| format!("{PAGE}: take out `{name}`; nothing logs it")));
    lines
}

/// Whether the tests ask for an event: whether its name stands in them as a text. What ships is
/// not a test, nor is this folder.
pub(crate) fn asks(source: &Source, event: &str) -> bool {
    let text = format!("\"{event}\"");
    let is_test = !source.path.starts_with("examples/") && !source.path.starts_with("tests/tidy");
    let begins =
        if source.path.starts_with("tests/") { Some(0) } else { source.text.find("#[cfg(test)]") };
    let tests = begins.and_then(|begins| source.text.get(begins..)).unwrap_or_default();
    is_test && tests.contains(&text)
}

/// What to do so that the tests ask for every event, or a reason stands here.
pub(crate) fn not_asked_for(
    listed: &Events,
    is_asked_for: impl Fn(&str) -> bool,
    excused: &[(&str, &str)],
) -> Vec<String> {
    let has_reason = |name: &str| excused.iter().any(|(event, _)| *event == name);
    let mut lines = Vec::new();
    for name in listed.keys() {
        match (is_asked_for(name), has_reason(name)) {
            (false, false) => lines.push(format!(
                "no test asks for `{name}`; provoke it and see it with Log::has (tests/it/support/log.rs), \
                 or enter a reason in tests/tidy/events.rs"
            )),
            (true, true) => lines.push(format!("a test asks for `{name}`: take its reason out")),
            _ => {}
        }
    }
    let gone = excused.iter().filter(|(event, _)| !listed.contains_key(*event));
    lines.extend(gone.map(|(event, _)| format!("`{event}` is not listed: take its reason out")));
    lines
}

#[test]
fn an_event_is_read_with_its_levels_and_fields() {
    let text = r#"fn f() {
        tracing::info!(event = "a.done", token = %id, %session, many = list.len(), "said {x}, y");
        tracing::warn!(event = "a.done", why, place = f(a, b));
        tracing::debug!("no event");
    }"#;
    let mut events = Events::new();
    logged(&Source::new("src/x.rs", text), &mut events);
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let fields = set(&["token", "session", "many", "why", "place"]);
    let done = Event { levels: set(&["info", "warn"]), fields };
    assert_eq!(events, Events::from([("a.done".to_owned(), done)]));
}

#[test]
fn a_page_that_lacks_an_event_is_told_its_row() {
    let mut events = Events::new();
    let text = "fn f() { tracing::info!(event = \"a.done\", %id); }";
    logged(&Source::new("src/x.rs", text), &mut events);
    let row = "| `a.done` | info | what it means | `id` |";
    assert_eq!(differences(&events, &listed("")), [format!("docs/EVENTS.md: add the row {row}")]);
    let page = "| `a.done` | warn | it is done | `id` |\n| `b` | info | never | |";
    let told = differences(&events, &listed(page));
    assert_eq!(told[0], format!("docs/EVENTS.md: correct the row to {row}"));
    assert_eq!(told[1], "docs/EVENTS.md: take out `b`; nothing logs it");
    assert!(differences(&events, &listed("| `a.done` | info | it is done | `id` |")).is_empty());
}

#[test]
fn an_event_is_asked_for_by_a_test_or_has_a_reason() {
    let mention = r#"fn f() { log.has(&["a.done"]); }"#;
    let asked = |path: &str, text: &str| asks(&Source::new(path, text), "a.done");
    assert!(asked("tests/it/a.rs", mention) && !asked("src/a.rs", mention));
    let inside = format!("#[cfg(test)]\nmod tests {{ {mention} }}");
    assert!(asked("src/a.rs", &inside));
    assert!(!asked("tests/tidy/events.rs", mention) && !asked("examples/a.rs", mention));
    let listed = listed("| `a` | info | x | |\n| `b` | info | x | |\n| `c` | info | x | |");
    let excused = [("b", "why"), ("c", "why"), ("d", "why")];
    let lines = not_asked_for(&listed, |event| event == "c", &excused);
    assert!(lines[0].starts_with("no test asks for `a`;"), "{lines:?}");
    assert_eq!(lines[1], "a test asks for `c`: take its reason out");
    assert_eq!(lines[2..], ["`d` is not listed: take its reason out"]);
}
