//! `callgate init --from HTTPHandlers.json`: the table of a 4D project, and its classes to be filled
//! in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::base::limits::TABLE_BYTES_MAX;
use crate::cli::commands::init::NewFile;
use crate::cli::commands::init::TABLE;
use crate::cli::commands::init::called_from_anywhere;
use crate::cli::commands::init::word;
use crate::cli::exit::CommandError;
use crate::cli::exit::Exit;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Severity;
use crate::table::Table;
use crate::table::Target;

/// Words that no class of JavaScript can be called (ECMA-262 §12.7.2).
const RESERVED_WORDS: [&str; 24] = [
    "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default",
    "delete", "do", "else", "enum", "export", "extends", "finally", "for", "function", "if",
    "import", "in", "new", "return", "yield",
];

/// The functions of each class, with the rows that name them.
type Classes<'t> = BTreeMap<&'t str, BTreeMap<&'t str, Vec<&'t Row>>>;

/// The table itself, unchanged, and one file for each class that it names.
pub(super) fn files(from: &Path) -> Result<Vec<NewFile>, CommandError> {
    let shown = from.display().to_string();
    let unreadable = |why: String| CommandError::new(Exit::Io, format!("{shown}: {why}"));
    let length = std::fs::metadata(from).map_err(|error| unreadable(error.to_string()))?.len();
    if usize::try_from(length).unwrap_or(usize::MAX) > TABLE_BYTES_MAX {
        return Err(unreadable(format!("is longer than {TABLE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(from).map_err(|error| unreadable(error.to_string()))?;
    let text = Table::text(&shown, &bytes).map_err(|problem| refused(&[*problem]))?;
    let survey = Table::survey(&shown, text);
    if survey.is_broken {
        return Err(refused(&survey.problems));
    }
    let mut classes = Classes::new();
    for row in survey.table.rows() {
        if let Target::Function { class, method } = row.target() {
            classes.entry(class).or_default().entry(method).or_default().push(row);
        }
    }
    let table: NewFile = (Cow::from(TABLE), Cow::from(text.to_owned()));
    let mut files = vec![table];
    for (class, functions) in &classes {
        let text = class_text(class, functions);
        files.push((Cow::from(format!("classes/{class}.js")), Cow::from(text)));
    }
    Ok(files)
}

/// What to do with the files.
pub(super) fn next_steps(from: &Path, (folder, program): (&Path, &Path), classes: usize) -> String {
    let program = called_from_anywhere(program);
    let enter = format!("  cd {}\n", word(folder));
    let enter = if folder == Path::new(".") { "" } else { &enter };
    format!(
        "handlers.json is {} as it was, and classes/ has {classes} classes whose functions answer 501 \
         until you write them.\n\
         docs/FROM-4D.md says what is the same here, what differs, and what has to be rewritten.\n\
         \n\
         {enter}\
         \x20 {program} check\n\
         \x20 {program} serve\n",
        from.display()
    )
}

/// Every error of the table; what the classes should be is not known before they are mended.
fn refused(problems: &[Problem]) -> CommandError {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let lines = errors.map(|problem| {
        let Problem { file, line, column, what, fix, .. } = problem;
        format!("{file}:{line}:{column}: error: {what}; {fix}")
    });
    let lines: Vec<String> = lines.collect();
    CommandError::new(Exit::BadTable, lines.join("\n"))
}

fn class_text(class: &str, functions: &BTreeMap<&str, Vec<&Row>>) -> String {
    let mut text = format!(
        "// What the table calls {class}. In 4D: a shared singleton class.\n\n\
         import {{ OutgoingMessage }} from \"callgate\";\n\n\
         export default class {} {{\n",
        class_name(class)
    );
    for (at, (function, rows)) in functions.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{gap}  /**");
        for row in rows {
            let _ = writeln!(text, "   * {}", about(row));
        }
        let _ = write!(
            text,
            "   *\n   * @type {{Handler}}\n   */\n  {}(request, session) {{\n    \
             return new OutgoingMessage().setStatus(501).setBody({:?});\n  }}\n",
            function_name(function),
            format!("{class}.{function} is not written yet")
        );
    }
    text.push_str("}\n");
    text
}

/// One row in a comment, which nothing in it may end.
fn about(row: &Row) -> String {
    let verbs = if row.verbs().is_all() { "all verbs".to_owned() } else { row.verbs().to_string() };
    let kind = if row.pattern().is_regex() { "regexPattern" } else { "pattern" };
    let line = format!("Row {}: {verbs}, {kind} {}", row.number(), row.pattern().as_str());
    line.replace("*/", "*\u{200b}/").replace(['\n', '\r'], " ")
}

/// The last part of a dotted name, as a name that a class can have.
fn class_name(class: &str) -> String {
    let last = class.rsplit('.').next().unwrap_or(class);
    let is_free = !last.starts_with(char::is_numeric) && !RESERVED_WORDS.contains(&last);
    if is_free { last.to_owned() } else { format!("_{last}") }
}

/// A name that begins with a digit stands in quotes.
fn function_name(function: &str) -> String {
    match function {
        "constructor" => "[\"constructor\"]".to_owned(),
        name if name.starts_with(char::is_numeric) => format!("{name:?}"),
        name => name.to_owned(),
    }
}
