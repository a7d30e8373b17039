//! Reads a settings file into a layer.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::base::document::strays::is_invisible;
use crate::base::secret::SecretText;
use crate::base::setting::{BadValue, Entry, Kind, Origin, Raw, Shape, Value, Values, quoted};
use crate::base::text::nearest::nearest;

use crate::settings::all::DECLARATION;
use crate::settings::problem::{Flaw, Problem};

/// A settings file: TOML (<https://toml.io>, version 1.1).
pub(crate) struct File<'t> {
    /// The path of the file, as it was given to the program.
    name: Arc<str>,
    text: &'t str,
    /// The valid content.
    declaration: &'t [Entry],
}

impl<'t> File<'t> {
    pub(crate) fn new(name: &str, text: &'t str) -> Self {
        Self::of(&DECLARATION, name, text)
    }

    /// A file with the settings of this declaration.
    pub(crate) fn of(declaration: &'t [Entry], name: &str, text: &'t str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        Self { name: name.into(), text, declaration }
    }

    /// Writes the values of the file over those of `raw`, and returns every problem.
    ///
    /// Values are taken only from a well-formed file, because the text after a missing quote may
    /// not be what its author meant.
    pub(crate) fn read(&self, raw: &mut Raw) -> Vec<Problem> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        let mut problems: Vec<Problem> = errors
            .iter()
            .map(|error| {
                let span = error.span().unwrap_or_default();
                let fix = self.way_out(&span).unwrap_or("see https://toml.io");
                Problem::at(&self.origin(&span), Flaw::error("syntax", error.message(), fix))
            })
            .collect();
        if problems.is_empty() {
            let mut reader = Reader { file: self, raw, problems };
            reader.table(root.get_ref(), self.declaration, "");
            problems = reader.problems;
        } else {
            self.read_places(root.get_ref(), raw);
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// Reads the paths of the other files, so that an error in this file does not hide problems of
    /// those.
    fn read_places(&self, table: &DeTable<'_>, raw: &mut Raw) {
        for (key, value) in table {
            let is_place = ["handlers", "classes", "roles"].contains(&&**key.get_ref());
            if let (true, Ok(read)) = (is_place, read_toml(&Kind::Text, value)) {
                raw.put(key.get_ref().to_string(), read, self.origin(&value.span()));
            }
        }
    }

    /// How to fix what another program has left in the file.
    fn way_out(&self, span: &Range<usize>) -> Option<&'static str> {
        let rest = self.text.get(span.start..)?;
        let line = self.text.get(..span.start)?.rsplit('\n').next().unwrap_or_default();
        let line = self.text.get(span.start - line.len()..)?.lines().next().unwrap_or_default();
        let next = rest.chars().next()?;
        let marks = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
        let is_entry =
            |sign: char| line.split_once(sign).is_some_and(|(key, _)| !key.contains(['=', '"']));
        Some(match next {
            _ if marks.iter().any(|mark| line.starts_with(mark)) => {
                "a mark of a merge conflict: keep one of the two sides, and remove the marks"
            }
            '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
                "use plain double quotes; a text program has replaced them"
            }
            '\0' => "save the file as UTF-8 text; something has written binary data into it",
            c if is_invisible(c) => "remove the invisible character here",
            _ if line.trim_start().starts_with("//") => "begin comments with #",
            _ if line.trim_start().starts_with('{') || is_entry(':') => {
                "write TOML: name = value, texts in double quotes"
            }
            _ if ["True", "False", "yes", "no"].iter().any(|word| rest.starts_with(word)) => {
                "write true or false"
            }
            _ => return None,
        })
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File {
            file: Arc::clone(&self.name),
            line: position(line),
            column: position(column),
        }
    }
}

/// Reads the tables of a well-formed file.
struct Reader<'f, 't> {
    file: &'f File<'t>,
    raw: &'f mut Raw,
    problems: Vec<Problem>,
}

impl Reader<'_, '_> {
    /// Reads the table at `path`, which may contain `entries`.
    fn table(&mut self, table: &DeTable<'_>, entries: &[Entry], path: &str) {
        for (key, value) in table {
            let name = Values::below(path, key.get_ref());
            let Some(entry) = entries.iter().find(|entry| entry.key == *key.get_ref()) else {
                let mut known: Vec<String> =
                    entries.iter().map(|entry| Values::below(path, entry.key)).collect();
                names(self.file.declaration, "", &mut known);
                let flaw = unknown(&name, &known);
                self.problems.push(Problem::at(&self.file.origin(&key.span()), flaw));
                continue;
            };
            let origin = self.file.origin(&value.span());
            match &entry.shape {
                Shape::Value(kind, _) => match read_toml(kind, value) {
                    Ok(value) => self.raw.put(name, value, origin),
                    Err(bad) => self.problems.push(Problem::of(&name, &origin, bad)),
                },
                Shape::Section(inner) => match value.get_ref() {
                    DeValue::Table(table) => self.table(table, inner, &name),
                    _ => self.no_table(&name, &origin, &format!("[{name}]")),
                },
                Shape::Named(inner) => match value.get_ref() {
                    DeValue::Table(tables) => self.named(tables, inner, &name),
                    _ => self.no_table(&name, &origin, &format!("[{name}.NAME]")),
                },
                Shape::List(inner) => match value.get_ref() {
                    DeValue::Array(items) => self.list(items.iter(), inner, &name),
                    _ => self.no_table(&name, &origin, &format!("[[{name}]]")),
                },
            }
        }
    }

    /// Reads the tables `[name.…]`.
    fn named(&mut self, tables: &DeTable<'_>, entries: &[Entry], name: &str) {
        for (own, value) in tables {
            let own_origin = self.file.origin(&own.span());
            let path = Values::below(name, own.get_ref());
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if own.get_ref().is_empty() || !own.get_ref().chars().all(plain) {
                let what = format!("holds a table that is called {}", quoted(own.get_ref()));
                let flaw = Flaw::error("bad-table-name", what, "use letters, digits, - and _");
                self.problems.push(Problem::of(name, &own_origin, flaw));
            } else if let DeValue::Table(table) = value.get_ref() {
                self.raw.put_table(name, path.clone(), own_origin);
                self.table(table, entries, &path);
            } else {
                self.no_table(&path, &self.file.origin(&value.span()), &format!("[{path}]"));
            }
        }
    }

    /// Reads the tables `[[name]]`, which are counted from 1.
    fn list<'v>(
        &mut self,
        items: impl Iterator<Item = &'v Spanned<DeValue<'v>>>,
        entries: &[Entry],
        name: &str,
    ) {
        for (item, place) in items.zip(1..) {
            let (path, origin) = (format!("{name}[{place}]"), self.file.origin(&item.span()));
            if let DeValue::Table(table) = item.get_ref() {
                self.raw.put_table(name, path.clone(), origin);
                self.table(table, entries, &path);
            } else {
                self.no_table(&path, &origin, &format!("[[{name}]]"));
            }
        }
    }

    fn no_table(&mut self, name: &str, origin: &Origin, head: &str) {
        let fix = format!("write a section {head}");
        let flaw = Flaw::error("not-a-section", "is not a table", fix);
        self.problems.push(Problem::of(name, origin, flaw));
    }
}

fn position(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The names of all settings and sections.
fn names(entries: &[Entry], path: &str, all: &mut Vec<String>) {
    for entry in entries {
        let name = Values::below(path, entry.key);
        all.push(name.clone());
        if let Shape::Section(inner) = &entry.shape {
            names(inner, &name, all);
        }
    }
}

fn unknown(name: &str, known: &[String]) -> Flaw {
    // A missing section is the likeliest mistake: `idle_minutes` for `session.idle_minutes`.
    let is_below = |known: &&String| known.rsplit_once('.').is_some_and(|(_, key)| key == name);
    let astray = known.iter().find(is_below).map(String::as_str);
    let fix = match astray.or_else(|| nearest(name, known.iter().map(String::as_str))) {
        Some(known) => format!("did you mean {known:?}"),
        None => "see callgate settings --default for the known ones".to_owned(),
    };
    Flaw::error("unknown-setting", format!("unknown setting {}", quoted(name)), fix)
}

/// Reads a value of a settings file.
fn read_toml(kind: &Kind, value: &Spanned<DeValue<'_>>) -> Result<Value, BadValue> {
    match (kind, value.get_ref()) {
        (Kind::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Choice(_) | Kind::Url, DeValue::String(text)) => kind.read(text),
        (Kind::Number { .. }, DeValue::Integer(number)) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            kind.read(&decimal.map_or_else(|_| number.to_string(), |n| n.to_string()))
        }
        (Kind::Switch, DeValue::Boolean(on)) => Ok(Value::Switch(*on)),
        (Kind::Texts | Kind::Secrets, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            let texts: Option<Vec<String>> = texts.collect();
            let texts = texts.ok_or_else(|| kind.flaw("holds more than texts"))?;
            Ok(match kind {
                Kind::Texts => Value::Texts(texts),
                _ => Value::Secrets(texts.into_iter().map(SecretText::new).collect()),
            })
        }
        (_, other) => Err(kind.flaw(match other {
            DeValue::String(_) => "is a text",
            DeValue::Integer(_) | DeValue::Float(_) => "is a number",
            DeValue::Boolean(_) => "is true or false",
            DeValue::Datetime(_) => "is a date",
            DeValue::Array(_) => "is a list",
            DeValue::Table(_) => "is a table",
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Raw, Vec<String>) {
        let mut raw = Raw::default();
        let problems = File::new("callgate.toml", text).read(&mut raw);
        (raw, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_remember_their_line() {
        let (raw, problems) = read("\u{feff}app = \"shop\"\n\n[session]\nidle_minutes = 0x50\n");
        assert_eq!(problems, Vec::<String>::new());
        let idle = raw.find("session.idle_minutes").unwrap();
        assert!(matches!(idle.value, Value::Number(80)));
        assert_eq!(idle.origin.to_string(), "file callgate.toml:4");
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_one() {
        let (_, problems) = read(
            "lisen = \"x\"\nidle_minutes = 90\n[sesion]\nmax = 3\n[limits]\nheadrs = 1\n[zzz]\n",
        );
        assert_eq!(
            problems,
            [
                "callgate.toml:1:1: error: unknown setting \"lisen\"; did you mean \"listen\"",
                "callgate.toml:2:1: error: unknown setting \"idle_minutes\"; did you mean \"session.idle_minutes\"",
                "callgate.toml:3:2: error: unknown setting \"sesion\"; did you mean \"session\"",
                "callgate.toml:6:1: error: unknown setting \"limits.headrs\"; did you mean \"limits.headers\"",
                "callgate.toml:7:2: error: unknown setting \"zzz\"; see callgate settings --default for the known ones",
            ]
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_says_what_it_is_and_what_it_should_be() {
        let (_, problems) = read(
            "app = 1\nrate_limits = false\nstrict = \"yes\"\nkeys = [1]\nsession = 1\nlisten.port = 1\n[limits]\nheaders = 31\n",
        );
        assert_eq!(
            problems,
            [
                "callgate.toml:1:7: error: app is a number; put a text in quotes",
                "callgate.toml:2:15: error: rate_limits is true or false; use one of \"on\", \"off\"",
                "callgate.toml:3:10: error: strict is a text; use true or false",
                "callgate.toml:4:8: error: keys holds more than texts; use a list of texts, such as keys = [\"…\", \"…\"]",
                "callgate.toml:5:11: error: session is not a table; write a section [session]",
                "callgate.toml:6:1: error: listen is a table; put a text in quotes",
                "callgate.toml:8:11: error: limits.headers is \"31\"; use a whole number from 32 to 200",
            ]
        );
    }

    #[test]
    fn a_broken_file_is_reported_with_line_and_column_and_gives_nothing() {
        let (raw, problems) =
            read("app = \"shop\"\nlisten = 127.0.0.1\nstore = \"memory:\"\napp = \"twice\"\n");
        assert!(problems[0].starts_with("callgate.toml:2:"), "{problems:?}");
        assert!(problems.iter().any(|p| p.starts_with("callgate.toml:4:1: error: duplicate key")));
        assert!(raw.find("app").is_none());
    }
}
