//! Reads a settings file into the layer of what it gives.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::base::document::strays::is_invisible;
use crate::base::nearest::nearest;
use crate::base::secret::SecretText;

use super::problem::Flaw;
use super::problem::Problem;
use super::problem::quoted;
use super::raw::Kind;
use super::raw::Origin;
use super::raw::Raw;
use super::raw::SETTINGS;
use super::raw::Setting;
use super::raw::Value;

/// A settings file: TOML (<https://toml.io>, version 1.1).
pub(super) struct File<'t> {
    /// The file as it was named to the program; `None` for the defaults that are compiled in.
    name: Option<Arc<str>>,
    text: &'t str,
}

impl<'t> File<'t> {
    pub(super) fn new(name: &str, text: &'t str) -> Self {
        Self { name: Some(name.into()), text: text.trim_start_matches('\u{feff}') }
    }

    /// The defaults as they are printed by `callgate settings --default`.
    pub(super) fn of_defaults() -> Self {
        Self { name: None, text: super::DEFAULT_TOML }
    }

    /// Puts everything that the file gives over `raw`, and returns everything wrong with it.
    ///
    /// Values are only taken from a file that is well formed: what stands behind a missing quote
    /// is not what its author meant.
    pub(super) fn read(&self, raw: &mut Raw) -> Vec<Problem> {
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
            self.read_table(root.get_ref(), "", raw, &mut problems);
        } else {
            self.read_places(root.get_ref(), raw);
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// Where the other files are, so that a slip in this one does not hide what is wrong with them.
    fn read_places(&self, table: &DeTable<'_>, raw: &mut Raw) {
        for (key, value) in table {
            let place = Setting::find(key.get_ref())
                .filter(|setting| ["handlers", "classes", "roles"].contains(&setting.name));
            if let Some((setting, Ok(read))) = place.map(|it| (it, it.kind.read_toml(value))) {
                raw.put(setting.name, read, self.origin(&value.span()));
            }
        }
    }

    /// The way out of what another program has left in the file.
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

    fn read_table(
        &self,
        table: &DeTable<'_>,
        section: &str,
        raw: &mut Raw,
        problems: &mut Vec<Problem>,
    ) {
        for (key, value) in table {
            let name = match section {
                "" => key.get_ref().to_string(),
                _ => format!("{section}.{}", key.get_ref()),
            };
            let origin = self.origin(&value.span());
            if let Some(setting) = Setting::find(&name) {
                match setting.kind.read_toml(value) {
                    Ok(value) => raw.put(setting.name, value, origin),
                    Err(flaw) => problems.push(Problem::of(&name, &origin, flaw)),
                }
            } else if !is_section(&name) {
                problems.push(Problem::at(&self.origin(&key.span()), unknown(&name)));
            } else if let Some(inner) = value.get_ref().as_table() {
                self.read_table(inner, &name, raw, problems);
            } else {
                let fix = format!("write a section [{name}]");
                let flaw = Flaw::error("not-a-section", "is not a table", fix);
                problems.push(Problem::of(&name, &origin, flaw));
            }
        }
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        let Some(file) = &self.name else { return Origin::Default };
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { file: Arc::clone(file), line: position(line), column: position(column) }
    }
}

fn position(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_section(name: &str) -> bool {
    let inside = |setting: &Setting| setting.name.split_once('.').map(|(section, _)| section);
    SETTINGS.iter().any(|setting| inside(setting) == Some(name))
}

fn unknown(name: &str) -> Flaw {
    let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    // A setting without its section is the likeliest slip: `idle_minutes` for
    // `session.idle_minutes`.
    let astray = SETTINGS.iter().map(|setting| setting.name).find(|known| last(known) == name);
    let names = SETTINGS.iter().flat_map(|setting| {
        let section = setting.name.split_once('.').map(|(section, _)| section);
        section.into_iter().chain([setting.name])
    });
    let fix = match astray.or_else(|| nearest(name, names)) {
        Some(known) => format!("did you mean {known:?}"),
        None => "see callgate settings --default for the known ones".to_owned(),
    };
    Flaw::error("unknown-setting", format!("unknown setting {}", quoted(name)), fix)
}

impl Kind {
    /// Reads a value of a settings file.
    fn read_toml(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Flaw> {
        match (self, value.get_ref()) {
            (Self::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
            (Self::Choice(_) | Self::Url, DeValue::String(text)) => self.read(text),
            (Self::Number { .. }, DeValue::Integer(number)) => {
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                self.read(&decimal.map_or_else(|_| number.to_string(), |n| n.to_string()))
            }
            (Self::Switch, DeValue::Boolean(on)) => Ok(Value::Switch(*on)),
            (Self::Texts | Self::Secrets, DeValue::Array(items)) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                let texts = texts.ok_or_else(|| self.flaw("holds more than texts"))?;
                Ok(match self {
                    Self::Texts => Value::Texts(texts),
                    _ => Value::Secrets(texts.into_iter().map(SecretText::new).collect()),
                })
            }
            (_, other) => Err(self.flaw(match other {
                DeValue::String(_) => "is a text",
                DeValue::Integer(_) | DeValue::Float(_) => "is a number",
                DeValue::Boolean(_) => "is true or false",
                DeValue::Datetime(_) => "is a date",
                DeValue::Array(_) => "is a list",
                DeValue::Table(_) => "is a table",
            })),
        }
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
