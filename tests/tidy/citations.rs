//! The pages that comments cite: an id or section that is cited is there, and is there once.

use super::source::Breach;

/// A page that is cited by ids, such as T16, or by sections, such as §6.5.
#[derive(Debug)]
pub(crate) struct Page<'t> {
    /// Its path from the root.
    path: &'static str,
    text: &'t str,
    /// What stands in front of each id where it is cited.
    sign: &'static str,
    is_id: fn(&str) -> bool,
    /// How it used to be cited, by a name that no reader can open.
    old: &'static [&'static str],
}

/// This file, whose tests cite what is not there on purpose.
pub(crate) const OWN: &str = "tests/tidy/citations.rs";

/// Threats, guarantees and limits.
pub(crate) fn security(text: &str) -> Page<'_> {
    Page { path: "docs/SECURITY.md", text, sign: "", is_id: is_entry, old: &["SEC "] }
}

/// What callgate does.
pub(crate) fn contract(text: &str) -> Page<'_> {
    let old = &["contract §", "Contract §", "CONTRACT §", "contract, §"];
    Page { path: "docs/CONTRACT.md", text, sign: "§", is_id: is_section, old }
}

/// An upper-case letter and a number, perhaps with a dot or a hyphen between: `T16`, `D.6`, `C-04`.
fn is_entry(text: &str) -> bool {
    let mut letters = text.chars();
    let letter = letters.next().is_some_and(|letter| letter.is_ascii_uppercase());
    letter && letters.as_str().trim_start_matches(['.', '-']).starts_with(|c: char| c.is_numeric())
}

/// `6` or `6.5`.
fn is_section(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// A name up to what cannot be part of it; a full stop at its end is the sentence's.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
    text[..end.unwrap_or(text.len())].trim_end_matches('.')
}

/// What a line defines, if it is an id: the first cell of a row, or the first word of a heading.
fn defined(line: &str) -> Option<&str> {
    if let Some(row) = line.strip_prefix("| ") {
        return row.split_once(" |").map(|(first, _)| first);
    }
    let title = line.strip_prefix("##")?.trim_start_matches('#');
    title.strip_prefix(' ').map(name)
}

impl Page<'_> {
    /// The ids that the page defines, each with its line.
    fn ids(&self) -> Vec<(usize, &str)> {
        let lines = self.text.lines().enumerate();
        let ids = lines.filter_map(|(at, line)| Some((at + 1, defined(line)?)));
        ids.filter(|(_, id)| (self.is_id)(id) && name(id) == *id).collect()
    }

    /// Ids that the page defines twice.
    pub(crate) fn doubled(&self) -> Vec<Breach> {
        let ids = self.ids();
        let again = ids
            .iter()
            .enumerate()
            .filter(|(at, (_, id))| ids.iter().take(*at).any(|(_, earlier)| earlier == id));
        let breach = |(line, id): &(usize, &str)| Breach {
            path: self.path.to_owned(),
            line: *line,
            what: format!("{}{id} is defined above already; give it a free one", self.sign),
        };
        again.map(|(_, found)| breach(found)).collect()
    }

    /// Citations in a file that lead nowhere, or name the page in the old way.
    pub(crate) fn lost(&self, path: &str, text: &str) -> Vec<Breach> {
        let (flat, lines) = flat(text);
        let ids = self.ids();
        let breach = |at: usize, what: String| Breach {
            path: path.to_owned(),
            line: lines.iter().take_while(|start| **start <= at).count(),
            what,
        };
        let mut breaches = Vec::new();
        for (at, _) in flat.match_indices(self.path) {
            for cited in self.cited(&flat[at + self.path.len()..]) {
                if !ids.iter().any(|(_, id)| *id == cited) {
                    let what = format!("{} has no {}{cited}", self.path, self.sign);
                    breaches.push(breach(at, format!("{what}; add it there, or cite another one")));
                }
            }
        }
        for old in self.old {
            for (at, _) in flat.match_indices(old).filter(|(at, _)| self.is_old(&flat, *at, old)) {
                breaches.push(breach(at, format!("cites no file; write {} first", self.path)));
            }
        }
        breaches
    }

    /// The ids that follow the name of the page: one, or several between commas and `and`.
    fn cited<'c>(&self, rest: &'c str) -> Vec<&'c str> {
        // In Markdown, the name of the page is the text of a link.
        let linked = rest.strip_prefix("](").and_then(|link| link.split_once(')'));
        let mut rest = linked.map_or(rest, |(_, behind)| behind);
        let mut found = Vec::new();
        let starts = [" ", ", ", " and "];
        while let Some(next) = starts
            .iter()
            .filter(|start| found.is_empty() == (**start == " "))
            .find_map(|start| rest.strip_prefix(start)?.strip_prefix(self.sign))
        {
            let id = name(next);
            let is_cited = if self.sign.is_empty() { is_entry(id) } else { !id.is_empty() };
            if !is_cited {
                break;
            }
            found.push(id);
            rest = &next[id.len()..];
        }
        found
    }

    /// Whether the page is cited in the old way here, and not only by letters that look like it.
    fn is_old(&self, flat: &str, at: usize, old: &str) -> bool {
        let before = flat[..at].chars().next_back();
        let is_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_cited = !self.sign.is_empty() || is_entry(name(&flat[at + old.len()..]));
        is_cited && !is_word
    }
}

/// Citations of a collection of facts about 4D that is not part of the project. Cite a page of
/// developer.4d.com by its address, or docs/CONTRACT.md.
pub(crate) fn without_page(path: &str, text: &str) -> Vec<Breach> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains("4D §"));
    let breach = |(at, _): (usize, &str)| Breach {
        path: path.to_owned(),
        line: at + 1,
        what: "cites no page; write the address of a page of developer.4d.com".to_owned(),
    };
    lines.map(breach).collect()
}

/// A text in one line, without the marks of comments, and where each line of it begins there.
fn flat(text: &str) -> (String, Vec<usize>) {
    let (mut flat, mut starts) = (String::new(), Vec::new());
    for line in text.lines() {
        starts.push(flat.len());
        let line = line.trim();
        let marks = ["//!", "///", "//", "/**", "#", "*"];
        let inside = marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        flat.push_str(inside.trim());
        flat.push(' ');
    }
    (flat, starts)
}

/// Promises that a page names and that are not on the page of promises.
pub(crate) fn unknown_promises(page: &Page<'_>, promises: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (at, line) in page.text.lines().enumerate().filter(|(_, line)| line.starts_with("| G")) {
        let last = line.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default();
        let named = last.split(", ").filter(|named| *named != "–");
        for lost in named.filter(|named| !promises.contains(&format!("\n| {named} | "))) {
            let what = format!("there is no promise {lost:?} in docs/PROMISES.md");
            breaches.push(Breach { path: page.path.to_owned(), line: at + 1, what });
        }
    }
    breaches
}

#[cfg(test)]
const ENTRIES: &str = "## D. Limits\n### D.6 Rates\n| id | threat |\n| T16 | two |\n| T17 | a |\n";

#[test]
fn a_citation_that_leads_nowhere_is_caught_in_every_kind_of_comment() {
    let page = security(ENTRIES);
    let told = |text: &str| {
        let breaches = page.lost("src/a.rs", text);
        breaches.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for good in [
        "//! Two tokens (docs/SECURITY.md T16, D.6 and T17).",
        "/// Two tokens (RFC 9110 §7.8,\n/// docs/SECURITY.md\n/// T16): none counts. So is D.9.",
        "See [docs/SECURITY.md](SECURITY.md) T16, and docs/SECURITY.md. It is short.",
        "let took = SEC + SEC / 2; const SEC_FETCH: u8 = SEC;",
    ] {
        assert_eq!(told(good), [""; 0], "{good}");
    }
    let lost = "src/a.rs:2: docs/SECURITY.md has no T99; add it there, or cite another one";
    assert_eq!(told("//! A.\n//! B (docs/SECURITY.md T16, T99)."), [lost]);
    assert_eq!(told("# a\n# docs/SECURITY.md D.60").len(), 1);
    assert_eq!(told("[docs/SECURITY.md](SECURITY.md) T18").len(), 1);
    let old = "//! Two tokens (SEC T16).";
    assert_eq!(told(old), ["src/a.rs:1: cites no file; write docs/SECURITY.md first"]);
    assert_eq!(told("// SEC\n// D.6").len(), 1);
}

#[test]
fn a_section_that_is_not_there_is_caught() {
    let page = contract("## 6. Tokens\n### 6.5 Repeats\n");
    let count = |text: &str| page.lost("src/a.rs", text).len();
    assert_eq!(count("// docs/CONTRACT.md §6.5, §6 and RFC 9110 §7.8"), 0);
    assert_eq!(count("// docs/CONTRACT.md §6.5 and §6.6."), 1);
    assert_eq!(count("// [docs/CONTRACT.md](docs/CONTRACT.md) §7"), 1);
    assert_eq!(count("// the contract §6.5"), 1);
    assert_eq!(count("// CONTRACT §6.5"), 1);
}

#[test]
fn an_id_that_is_defined_twice_and_a_promise_that_is_not_are_caught() {
    assert!(security(ENTRIES).doubled().is_empty());
    let twice = [ENTRIES, "| T16 | three |\n"].concat();
    let doubled = security(&twice).doubled();
    assert_eq!(doubled.iter().map(|breach| breach.line).collect::<Vec<_>>(), [6]);
    let promises = "\n| P1 | One. |\n";
    let lost = |row| unknown_promises(&security(row), promises).len();
    assert_eq!(lost("| G01 | Once. | P1 |\n| G02 | Odd. | – |\n"), 0);
    assert_eq!(lost("| G01 | Once. | P1, P2 |\n"), 1);
}

#[test]
fn a_citation_of_4d_names_a_page() {
    let breaches = without_page("src/x.rs", "//! Rows\n//! (4D §1.3).\nfn f() {} // 4D, §1\n");
    assert_eq!(breaches.iter().map(|breach| breach.line).collect::<Vec<_>>(), [2]);
}
