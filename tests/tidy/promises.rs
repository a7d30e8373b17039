//! The page of promises: each one names a test that holds it, and the test is there.

use super::source::Breach;

/// The page.
pub(crate) const PAGE: &str = "docs/PROMISES.md";

/// Promises without a test, and tests that are not where the page says. `find` returns the text
/// of a file of the project.
pub(crate) fn unheld(page: &str, find: impl Fn(&str) -> Option<String>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut taken = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let mut say = |what: String| {
            breaches.push(Breach { path: PAGE.to_owned(), line: number + 1, what });
        };
        let tests: Vec<(&str, &str)> = links(line).collect();
        let name = line.split(' ').nth(1).filter(|_| is_promise(line));
        if let Some(name) = name.filter(|name| taken.contains(name)) {
            say(format!("{name} is another promise already; take the next free number"));
        }
        taken.extend(name);
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

/// A function of Rust; or one of a script, which nobody else runs, so that it must be called there.
fn holds(path: &str, text: &str, name: &str) -> bool {
    if path.strip_suffix(".rs").is_some() {
        return text.contains(&format!("fn {name}("));
    }
    let called = format!("{name}(");
    text.contains(&format!("function {called}")) && text.matches(&called).count() > 1
}

/// A defect that can be switched on, as the head of its patch tells; see `tests/broken/run`.
#[derive(Debug)]
pub(crate) struct Control {
    name: String,
    /// The names of the tests that notice it, without their modules.
    caught_by: Vec<String>,
    /// Why it concerns no promise.
    reason: Option<String>,
}

/// The control in a file of `tests/broken`.
pub(crate) fn control(path: &str, text: &str) -> Option<Control> {
    let name = path.strip_prefix("tests/broken/")?.strip_suffix(".patch")?.to_owned();
    let head = text.lines().take_while(|line| !line.starts_with("---"));
    let (mut caught_by, mut reason) = (Vec::new(), None);
    for line in head {
        if let Some(test) = line.strip_prefix("Caught by: ") {
            caught_by.extend(test.rsplit("::").next().map(str::to_owned));
        }
        reason = line.strip_prefix("No promise: ").map(str::to_owned).or(reason);
    }
    Some(Control { name, caught_by, reason })
}

/// What to do to the page so that its list of controls is right: with each, the promises that one
/// of the same tests holds, or why there is none.
pub(crate) fn unlisted(page: &str, controls: &[Control]) -> Vec<Breach> {
    let breach = |what: String| Breach { path: PAGE.to_owned(), line: 1, what };
    let promises: Vec<(&str, Vec<&str>)> = page
        .lines()
        .filter(|line| is_promise(line))
        .filter_map(|line| {
            let number = line.strip_prefix("| ")?.split_once(' ')?.0;
            Some((number, links(line).map(|(name, _)| name).collect()))
        })
        .collect();
    let mut breaches = Vec::new();
    for control in controls {
        let holds = |test: &&str| control.caught_by.iter().any(|name| name == test);
        let numbers: Vec<&str> = promises
            .iter()
            .filter(|(_, tests)| tests.iter().any(&holds))
            .map(|(number, _)| *number)
            .collect();
        let name = &control.name;
        let why = match (numbers.is_empty(), &control.reason) {
            (false, None) => numbers.join(", "),
            (true, Some(reason)) => reason.clone(),
            (true, None) => {
                breaches.push(breach(format!(
                    "the tests of the control {name} hold no promise; link one of them in a row, \
                     or say why in its patch: \"No promise: …\""
                )));
                continue;
            }
            (false, Some(_)) => {
                breaches.push(breach(format!(
                    "the control {name} concerns {}; take \"No promise\" out of its patch",
                    numbers.join(", ")
                )));
                continue;
            }
        };
        let row = format!("| `{name}` | {why} |");
        if !page.lines().any(|line| line == row) {
            breaches.push(breach(format!("enter under \"Controls\": {row}")));
        }
    }
    let names: Vec<&str> = controls.iter().map(|control| &*control.name).collect();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (name, _) in rows.filter(|(name, _)| !names.contains(name)) {
        breaches.push(breach(format!("there is no control {name}; take its row out")));
    }
    breaches
}

#[test]
fn a_control_is_listed_with_its_promises_or_its_reason() {
    let patch =
        |head: &str| control("tests/broken/x.patch", &format!("{head}\n--- a/b\n")).unwrap();
    let holds = "| P7 | All is well. | [`all_is_well`](../tests/it/a.rs) |\n";
    let told = |page: &str, head: &str| {
        let breaches = unlisted(page, &[patch(head)]);
        breaches.into_iter().map(|breach| breach.what).collect::<Vec<_>>()
    };
    let head = "Broken: y.\nCaught by: a::b::all_is_well";
    assert_eq!(told(holds, head), ["enter under \"Controls\": | `x` | P7 |"]);
    assert!(told(&format!("{holds}| `x` | P7 |"), head).is_empty());
    assert_eq!(told(&format!("{holds}| `x` | P7 |\n| `y` | P7 |"), head).len(), 1);
    assert!(told("", head)[0].contains("hold no promise"));
    let reasoned = format!("{head}\nNo promise: it is inside.");
    assert!(told("| `x` | it is inside. |", &reasoned).is_empty());
    assert!(told(holds, &reasoned)[0].contains("concerns P7"));
}

#[test]
fn what_a_script_only_mentions_is_no_test() {
    assert!(holds("a.cjs", "function works() {}\nawait works();", "works"));
    assert!(!holds("a.cjs", "function works() {}", "works"));
    assert!(!holds("a.cjs", "// it works", "works"));
}
