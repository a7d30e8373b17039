//! The page of promises: each one names a test that holds it, and the test is there.

use super::source::Breach;

/// The page.
pub(crate) const PAGE: &str = "docs/PROMISES.md";

/// Promises without a test, and tests that are not where the page says. `find` returns the text
/// of a file of the project.
pub(crate) fn unheld(page: &str, find: impl Fn(&str) -> Option<String>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let mut say = |what: String| {
            breaches.push(Breach { path: PAGE.to_owned(), line: number + 1, what });
        };
        let tests: Vec<(&str, &str)> = links(line).collect();
        if is_promise(line) && tests.is_empty() {
            say("a promise without a test; link the one that holds it".to_owned());
        }
        for (name, target) in tests {
            let path = target.trim_start_matches("../");
            match find(path) {
                None => say(format!("no file {path}")),
                Some(text) if !holds(path, &text, name) => say(format!("no test {name} in {path}")),
                Some(_) => {}
            }
        }
    }
    breaches
}

/// A row of a table that begins with the number of a promise.
fn is_promise(line: &str) -> bool {
    let first = line.strip_prefix("| P").and_then(|rest| rest.split_once(' '));
    first.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// The links of a line whose text is code, as name and target.
fn links(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("[`").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("`](")?;
        let (target, _) = rest.split_once(')')?;
        Some((name, target))
    })
}

/// A function in Rust; in anything else the words themselves.
fn holds(path: &str, text: &str, name: &str) -> bool {
    match path.strip_suffix(".rs") {
        Some(_) => text.contains(&format!("fn {name}(")),
        None => text.contains(name),
    }
}
