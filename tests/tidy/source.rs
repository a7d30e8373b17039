//! One file of Rust as the rules see it: code without comments and strings, comments without code.

use std::fmt;

/// One breach of a rule, at the place where it has to be mended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file in views of equal length, so that an offset means the same place in each of them.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the project, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The code alone: comments, strings and characters are blanks.
    pub(crate) code: String,
    /// The code that ships: test modules and parts of the feature `testing` are blanks too.
    pub(crate) shipped: String,
    /// The comments alone.
    pub(crate) comments: String,
}

/// A path in code, such as `crate::store::port`, with every group of a `use` spelt out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) at: usize,
    pub(crate) segments: Vec<String>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = views(text);
        let shipped = without_tests(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, shipped, comments }
    }

    pub(crate) fn breach(&self, at: usize, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line: line_of(&self.text, at), what: what.into() }
    }

    /// The module it belongs to, from the root of the crate: `["store", "port"]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        let mut segments: Vec<&str> = inside.split('/').collect();
        if matches!(segments.last(), Some(&("mod" | "lib" | "main"))) {
            segments.pop();
        }
        segments
    }

    /// The lines before the first test module.
    pub(crate) fn shipped_lines(&self) -> usize {
        let end = occurrences(&self.code, "#[cfg(test)]")
            .find(|at| {
                let rest = self.code.get(at + "#[cfg(test)]".len()..).unwrap_or("");
                rest.trim_start().starts_with("mod ")
            })
            .unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or("").lines().count()
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let code = &self.shipped;
        words(code, "fn").filter_map(|at| function(code, at)).collect()
    }
}

fn function(code: &str, at: usize) -> Option<Function> {
    let name = code.get(at + 2..)?.trim_start();
    let name = leading_word(name).to_owned();
    let end = end_of_item(code, at);
    let has_body = code.get(..end)?.ends_with('}') && !name.is_empty();
    let lines = line_of(code, end) - line_of(code, at) + 1;
    has_body.then_some(Function { at, name, lines })
}

/// The paths in `code` that begin with the word `first`, groups spelt out.
pub(crate) fn paths(code: &str, first: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for at in words(code, first) {
        let before = code.get(..at).unwrap_or("").trim_end();
        if continues(before) || is_in_group(before) {
            continue;
        }
        let rest = code.get(at + first.len()..).unwrap_or("");
        spell_out(rest, at + first.len(), &mut vec![first.to_owned()], &mut found);
    }
    found
}

/// Whether the next word is part of a path or a chain that is under way; `::std` begins one.
fn continues(before: &str) -> bool {
    let chain = before.ends_with('.') && !before.ends_with("..");
    let path = before.strip_suffix("::").and_then(|path| path.chars().next_back());
    chain || path.is_some_and(|letter| is_word(letter) || letter == '>')
}

/// Whether the next word is inside of a group such as `crate::http::{…}`, where it continues the
/// path in front of the brace.
fn is_in_group(before: &str) -> bool {
    let mut depth = 0_usize;
    for (at, letter) in before.char_indices().rev() {
        match letter {
            '}' => depth += 1,
            '{' if depth == 0 => {
                return before.get(..at).is_some_and(|path| path.trim_end().ends_with("::"));
            }
            '{' => depth -= 1,
            ';' if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// Follows `::` from the start of `rest`, which lies at `at` of its file.
fn spell_out(rest: &str, at: usize, path: &mut Vec<String>, found: &mut Vec<Named>) {
    let Some((tail, tail_at)) = after_colons(rest, at) else {
        found.push(Named { at, segments: path.clone() });
        return;
    };
    if tail.starts_with('{') {
        let end = closing(tail, 0).unwrap_or(tail.len());
        for (from, member) in members(tail.get(1..end).unwrap_or("")) {
            let at = tail_at + 1 + from;
            let word = leading_segment(member);
            let mut longer = path.clone();
            if word != "self" {
                longer.push(word.to_owned());
            }
            spell_out(member.get(word.len()..).unwrap_or(""), at + word.len(), &mut longer, found);
        }
        return;
    }
    let word = leading_segment(tail);
    if word.is_empty() {
        found.push(Named { at: tail_at, segments: path.clone() });
        return;
    }
    path.push(word.to_owned());
    spell_out(tail.get(word.len()..).unwrap_or(""), tail_at + word.len(), path, found);
}

/// What follows a `::`, if one comes next.
fn after_colons(rest: &str, at: usize) -> Option<(&str, usize)> {
    let tail = rest.trim_start().strip_prefix("::")?.trim_start();
    Some((tail, at + rest.len() - tail.len()))
}

/// The members of a `use` group, each with its offset; commas of inner groups do not count.
fn members(group: &str) -> Vec<(usize, &str)> {
    let mut list = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in group.char_indices().chain([(group.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let member = group.get(start..at).unwrap_or("");
                let trimmed = member.trim_start();
                if !trimmed.is_empty() {
                    list.push((start + member.len() - trimmed.len(), trimmed));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    list
}

/// The first segment of a path; `*` is one.
fn leading_segment(text: &str) -> &str {
    text.get(..1).filter(|first| *first == "*").unwrap_or_else(|| leading_word(text))
}

fn leading_word(text: &str) -> &str {
    let end = text.find(|letter| !is_word(letter)).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

pub(crate) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Where `needle` stands in `text`.
pub(crate) fn occurrences<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(needle).map(|(at, _)| at)
}

/// Where `word` stands in `text` with no letter, digit or `_` on either side.
///
/// `word` may begin or end with a sign, as in `.unwrap()`; that side is then free.
pub(crate) fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let joins = |side: Option<char>, edge: Option<char>| {
        side.is_some_and(is_word) && edge.is_some_and(is_word)
    };
    occurrences(text, word).filter(move |at| {
        let before = text.get(..*at).unwrap_or("").chars().next_back();
        let after = text.get(at + word.len()..).unwrap_or("").chars().next();
        !joins(before, word.chars().next()) && !joins(after, word.chars().next_back())
    })
}

/// The line that holds the offset, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// Where the bracket that opens at `open` is closed; `code` must hold no strings.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in code.get(open..)?.char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks every item that only tests, or the feature `testing`, compile.
fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    for mark in ["#[cfg(test)]", "#[cfg(any(test", "#[cfg(all(test"] {
        for at in occurrences(code, mark) {
            let end = end_of_item(code, at);
            let blank = blanked(code.get(at..end).unwrap_or(""));
            kept.replace_range(at..end, &blank);
        }
    }
    kept
}

/// The end of the item whose first attribute stands at `at`.
pub(crate) fn end_of_item(code: &str, at: usize) -> usize {
    let mut from = at;
    while code.get(from..).is_some_and(|rest| rest.trim_start().starts_with("#[")) {
        let open = from + code.get(from..).and_then(|rest| rest.find('[')).unwrap_or(0);
        let Some(end) = closing(code, open) else { return code.len() };
        from = end + 1;
    }
    let rest = code.get(from..).unwrap_or("");
    let mut depth = 0_usize;
    for (offset, letter) in rest.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return from + offset + 1,
            '{' if depth == 0 => {
                return closing(code, from + offset).map_or(code.len(), |end| end + 1);
            }
            _ => {}
        }
    }
    code.len()
}

fn blanked(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// What a stretch of text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stretch {
    Code,
    Comment,
    Quoted,
}

/// The code alone and the comments alone, each as long in bytes as the text.
fn views(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (stretch, length) = next_stretch(rest, code.chars().next_back());
        let (part, tail) = rest.split_at(length);
        let blank = blanked(part);
        code.push_str(if stretch == Stretch::Code { part } else { &blank });
        comments.push_str(if stretch == Stretch::Comment { part } else { &blank });
        rest = tail;
    }
    (code, comments)
}

/// What `rest` begins with and for how many bytes.
fn next_stretch(rest: &str, before: Option<char>) -> (Stretch, usize) {
    if rest.starts_with("//") {
        return (Stretch::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Stretch::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Stretch::Quoted, quoted(rest));
    }
    if let Some(length) = raw_string(rest).filter(|_| !before.is_some_and(is_word)) {
        return (Stretch::Quoted, length);
    }
    if let Some(length) = character(rest) {
        return (Stretch::Quoted, length);
    }
    (Stretch::Code, rest.chars().next().map_or(1, char::len_utf8))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#` and their byte and C kin.
fn raw_string(rest: &str) -> Option<usize> {
    let body = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix).filter(|body| body.starts_with(['"', '#'])))?;
    let hashes: String = body.chars().take_while(|letter| *letter == '#').collect();
    let inside = body.strip_prefix(hashes.as_str())?.strip_prefix('"')?;
    let end = format!("\"{hashes}");
    let from = rest.len() - inside.len();
    Some(inside.find(&end).map_or(rest.len(), |at| from + at + end.len()))
}

/// `'x'` and `'\n'`, but not the lifetime `'x`.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut letters = inside.char_indices();
    let (_, first) = letters.next()?;
    let from =
        if first == '\\' { letters.next().and(letters.next())?.0 } else { letters.next()?.0 };
    let end = inside.get(from..)?.find('\'')?;
    let plain = first != '\\' && end == 0;
    let escape = first == '\\' && end <= "u{10ffff}".len();
    (plain || escape).then_some(1 + from + end + 1)
}
