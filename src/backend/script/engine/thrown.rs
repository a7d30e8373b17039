//! Exceptions of scripts: a text for the log and a location.

use std::{fmt, fmt::Write as _};

use rquickjs::{Ctx, Value, atom::PredefinedAtom};

use crate::backend::script::source::Sources;
use crate::base::text::masked::masked;

/// Longest text of an exception, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Lines that an excerpt shows before and after the location, and the longest line in bytes.
const LINES_AROUND: u32 = 3;
const LINE_BYTES_MAX: usize = 160;
/// Longest stack trace that is parsed, in bytes.
const STACK_BYTES_MAX: usize = 16 << 10;

/// An exception, in a form that may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thrown {
    /// The text of the exception, with possible secrets masked.
    pub(crate) text: String,
    /// The location in a class file.
    pub(crate) place: Option<SourceLocation>,
}

/// A location in a class file. Lines and columns are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceLocation {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Thrown {
    /// Takes the pending exception of the engine.
    pub(crate) fn take(ctx: &Ctx<'_>) -> Self {
        Self::of(&ctx.catch())
    }

    /// Describes a thrown value. Reading a hostile value may run code; that is charged to the
    /// call's budget, and exceptions from it are dropped.
    pub(crate) fn of(value: &Value<'_>) -> Self {
        let described = describe(value);
        if described.is_none() {
            value.ctx().catch();
        }
        let (text, stack) = described.unwrap_or_else(|| (format!("a {}", value.type_name()), None));
        let text = masked(&text, TEXT_BYTES_MAX).into_owned();
        Self { text, place: stack.as_deref().and_then(place) }
    }
}

/// `text (file:line:column)`.
impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl SourceLocation {
    /// The location and the lines around it.
    pub(crate) fn excerpt(&self, sources: &Sources) -> Option<String> {
        let text = &sources.find(&self.file)?.text;
        let first = self.line.saturating_sub(LINES_AROUND).max(1);
        let lines = (1..).zip(text.lines()).skip_while(|(number, _)| *number < first);
        let lines = lines.take_while(|(number, _)| *number <= self.line + LINES_AROUND);
        let mut excerpt = self.to_string();
        for (number, line) in lines {
            let mark = if number == self.line { '>' } else { ' ' };
            let line = line.get(..line.floor_char_boundary(LINE_BYTES_MAX)).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(excerpt, "\n{mark} {number:>4} | {line}");
        }
        Some(excerpt)
    }
}

/// The text and stack trace of a value; `None` if reading it throws.
fn describe(value: &Value<'_>) -> Option<(String, Option<String>)> {
    if let Some(text) = value.as_string() {
        return Some((format!("{:?}", text.to_string().ok()?), None));
    }
    let Some(error) = value.as_object().filter(|object| object.is_error()) else {
        return Some((plain(value), None));
    };
    let text = |key| -> Option<String> {
        let found: Value<'_> = error.get(key).ok()?;
        found.as_string()?.to_string().ok()
    };
    let name = text(PredefinedAtom::Name).unwrap_or_else(|| "Error".to_owned());
    let message = text(PredefinedAtom::Message).unwrap_or_default();
    let stack = text(PredefinedAtom::Stack).map(|mut stack| {
        stack.truncate(stack.floor_char_boundary(STACK_BYTES_MAX));
        stack
    });
    Some((format!("{name}: {message}"), stack))
}

/// Describes a value that is neither a string nor an error, without running code.
fn plain(value: &Value<'_>) -> String {
    if value.is_null() {
        return "null, as also happens when no memory is left for an error".to_owned();
    }
    if value.is_undefined() {
        return "undefined".to_owned();
    }
    match (value.as_number(), value.as_bool()) {
        (Some(number), _) => number.to_string(),
        (_, Some(truth)) => truth.to_string(),
        _ => format!("a {} that is no Error", value.type_name()),
    }
}

/// The innermost stack frame in a class file. Lines have the form `    at name (file:line:column)`,
/// or `    at file:line:column` outside of functions.
pub(crate) fn place(stack: &str) -> Option<SourceLocation> {
    stack.lines().find_map(|line| {
        let line = line.trim();
        // Function names contain no ` (`, but file names may.
        let inner = line.strip_suffix(')').and_then(|line| line.split_once(" ("));
        let spot = inner.map_or_else(|| line.strip_prefix("at "), |(_, spot)| Some(spot))?;
        let (rest, column) = spot.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        // callgate's own modules have no extension.
        let is_class = std::path::Path::new(file).extension().is_some_and(|kind| kind == "js");
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        is_class.then(|| SourceLocation { file: file.to_owned(), line, column })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_place_in_a_class_file_counts() {
        let stack = "    at verb (callgate/request:12:3)\n    at map (native)\n    \
                     at inner (classes/lib/a (copy).js:3:14)\n    at outer (classes/Mail.js:9:1)\n";
        let found = place(stack).expect("a place");
        assert_eq!(found.to_string(), "classes/lib/a (copy).js:3:14");
        assert_eq!(place("    at classes/Mail.js:9:1").expect("a place").line, 9);
        assert_eq!(place("    at map (native)\n"), None);
        assert_eq!(place(""), None);
    }
}
