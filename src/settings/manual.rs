//! The default file: every setting with its default and its meaning, generated from the
//! declaration.

use std::sync::LazyLock;

use crate::base::setting::{Entry, Shape, Values};

use super::all::DECLARATION;

const HEAD: &str = "\
# The settings of callgate with their defaults; a line that begins with \"#name =\" is unset.
#
# Every setting is also a flag (--session-idle-minutes) and an environment variable
# (CALLGATE_SESSION_IDLE_MINUTES). Flags win over variables, variables over this file.
# Relative paths count from the working directory, wherever this file is.
";

/// Longest line of a comment.
const CHARS_MAX: usize = 100;

static DEFAULT_FILE: LazyLock<String> = LazyLock::new(|| HEAD.to_owned() + &text(&DECLARATION));

/// The commented default file, as `callgate settings --default` prints it.
pub fn default_file() -> &'static str {
    &DEFAULT_FILE
}

/// The default file of a declaration, without its head.
pub(super) fn text(declaration: &[Entry]) -> String {
    let mut lines = Vec::new();
    write(declaration, "", false, &mut lines);
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// Writes the settings of a table: values first, as TOML requires, then the tables in it. If the
/// table is an example, every line is a comment.
fn write(entries: &[Entry], path: &str, is_example: bool, lines: &mut Vec<String>) {
    let (values, tables): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| matches!(entry.shape, Shape::Value(..)));
    for entry in values {
        comment(&plain(&entry.manual), lines);
        let sign = if entry.default.is_none() || is_example { "#" } else { "" };
        lines.push(format!("{sign}{} = {}", entry.key, entry.written()));
    }
    for entry in tables {
        let name = Values::below(path, entry.key);
        let (head, inner, is_example) = match &entry.shape {
            Shape::Value(..) => continue,
            Shape::Section(inner) => (format!("[{name}]"), inner, is_example),
            Shape::Named(inner) => (format!("#[{name}.NAME]"), inner, true),
            Shape::List(inner) => (format!("#[[{name}]]"), inner, true),
        };
        comment(&plain(&entry.manual), lines);
        lines.push(head);
        write(inner, &name, is_example, lines);
    }
}

/// A paragraph of Markdown as plain text. Manuals use no other markup than backticks.
pub(super) fn plain(markdown: &str) -> String {
    markdown.replace('`', "")
}

/// Writes a paragraph as a comment, with an empty line in front of it.
fn comment(text: &str, lines: &mut Vec<String>) {
    lines.push(String::new());
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > CHARS_MAX {
            lines.push(std::mem::replace(&mut line, String::from("#")));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SETTINGS;

    #[test]
    fn the_default_file_holds_the_settings_in_order_and_nothing_else() {
        let mut section = String::new();
        let mut names = Vec::new();
        for line in default_file().lines() {
            assert!(line.chars().count() <= CHARS_MAX, "{line}");
            if let Some(inner) = line.strip_prefix('[') {
                section = format!("{}.", inner.trim_end_matches(']'));
            } else if !line.starts_with("# ") && line.contains(" = ") {
                let key = line.trim_start_matches('#').split(" = ").next().unwrap();
                names.push(format!("{section}{key}"));
            }
        }
        let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names, known);
    }
}
