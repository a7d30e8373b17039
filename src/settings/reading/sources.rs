//! The sources of settings: flags, the environment, the file, the defaults, in this order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;

use crate::base::document::text::NotText;
use crate::base::document::text::decode;
use crate::base::setting::{Origin, Raw};
use crate::base::text::nearest::nearest;

use crate::settings::all;
use crate::settings::all::{SETTINGS, Setting};
use crate::settings::problem::{Flaw, Problem};
use crate::settings::reading::file::File;

/// The prefix of every variable of callgate.
const PREFIX: &str = "CALLGATE_";
/// The prefix of the variables of the test programs, which are not settings.
const TEST_PREFIX: &str = "CALLGATE_TEST_";
/// Names the settings file; not a setting itself.
const FILE_VARIABLE: &str = "CALLGATE_SETTINGS";
/// The settings file that is read, if it is there, when none is named.
const FILE_DEFAULT: &str = "callgate.toml";

/// The variables of the environment that begin with `CALLGATE_`, except `CALLGATE_TEST_…`.
///
/// A variable without a value counts as not given, since that is how a deployment file passes on
/// a variable that it was not given itself.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment of this process: the only place that reads it.
    pub fn of_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let variables = std::env::vars_os();
        variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    fn find(&self, name: &str) -> Option<Result<&str, Problem>> {
        let value = self.0.get(name)?;
        Some(value.to_str().ok_or_else(|| {
            let flaw = Flaw::error("not-utf-8", "is not UTF-8", "write it in UTF-8");
            Problem::of(name, &Origin::Environment(name.to_owned()), flaw)
        }))
    }

    /// A warning for each variable that is not the name of a setting.
    fn unknown(&self) -> Vec<Problem> {
        let ours = SETTINGS.iter().map(Setting::variable);
        let known: Vec<String> = ours.chain([FILE_VARIABLE.to_owned()]).collect();
        let strangers = self.0.keys().filter(|name| !known.contains(name));
        let problem = |name: &String| {
            let fix = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}"),
                None => "no setting is called that; remove it".to_owned(),
            };
            let flaw = Flaw::warning("unknown-variable", "is not known", fix);
            Problem::of(name, &Origin::Environment(name.clone()), flaw)
        };
        strangers.map(problem).collect()
    }
}

impl FromIterator<(String, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, OsString)>>(variables: I) -> Self {
        let ours = |name: &str| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX);
        let given = variables.into_iter().filter(|(name, value)| ours(name) && !value.is_empty());
        Self(given.collect())
    }
}

/// The names only: a variable may hold a key.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The settings of the command line.
#[derive(Clone, Default)]
pub struct Flags {
    /// The settings file; unset: `CALLGATE_SETTINGS`, then `callgate.toml` if it is there.
    pub file: Option<String>,
    /// Settings by name, with the text of their flag.
    pub given: Vec<(&'static str, String)>,
}

/// The names only: the URL of a store may hold a password.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<&str> = self.given.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Flags").field("file", &self.file).field("given", &given).finish()
    }
}

/// Reads every layer. The result has the value of the highest layer that sets it, for every
/// setting. The problems are those of all layers.
pub(crate) fn read(flags: &Flags, environment: &Environment) -> (Raw, Vec<Problem>) {
    let mut raw = all::defaults();
    let mut problems = read_file(flags, environment, &mut raw);
    problems.extend(read_environment(environment, &mut raw));
    problems.extend(read_flags(flags, &mut raw));
    (raw, problems)
}

fn read_file(flags: &Flags, environment: &Environment, raw: &mut Raw) -> Vec<Problem> {
    let variable = || environment.find(FILE_VARIABLE).map(|value| value.map(str::to_owned));
    let named = match flags.file.clone().map(Ok).or_else(variable).transpose() {
        Ok(named) => named,
        Err(problem) => return vec![problem],
    };
    let name = named.as_deref().unwrap_or(FILE_DEFAULT);
    match std::fs::read(name) {
        Ok(bytes) => match decode(&bytes) {
            Ok(text) => File::new(name, text).read(raw),
            Err(NotText { line, column, what, fix }) => {
                let flaw = Flaw::error("not-utf-8", what, fix);
                let origin = Origin::File { file: name.into(), line, column };
                vec![Problem::at(&origin, flaw)]
            }
        },
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![unreadable(name, &error.to_string())],
    }
}

fn unreadable(name: &str, why: &str) -> Problem {
    let what = format!("cannot be read: {why}");
    let fix = "name a file that can be read with --settings FILE";
    let flaw = Flaw::error("unreadable-settings", what, fix);
    Problem { file: Some(name.to_owned()), ..Problem::at(&Origin::Default, flaw) }
}

fn read_environment(environment: &Environment, raw: &mut Raw) -> Vec<Problem> {
    let mut problems = Vec::new();
    for setting in SETTINGS.iter() {
        let variable = setting.variable();
        let origin = Origin::Environment(variable.clone());
        let read = environment.find(&variable).map(|text| {
            let value = setting.kind.read(text?);
            value.map_err(|flaw| Problem::of(setting.name, &origin, flaw))
        });
        match read {
            Some(Ok(value)) => raw.put(setting.name, value, origin),
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    problems.extend(environment.unknown());
    problems
}

fn read_flags(flags: &Flags, raw: &mut Raw) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, text) in &flags.given {
        let Some((setting, long)) = Setting::find(name).and_then(|s| Some((s, s.flag()?))) else {
            let why = Flaw::error("unknown-flag", "has no flag", "give it in the settings file");
            problems.push(Problem::of(name, &Origin::Default, why));
            continue;
        };
        let origin = Origin::Flag(format!("--{long}"));
        match setting.kind.read(text) {
            Ok(value) => raw.put(setting.name, value, origin),
            Err(flaw) => problems.push(Problem::of(name, &origin, flaw)),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::setting::Value;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect()
    }

    /// Reads the layers over an empty settings file, independent of the test's directory.
    fn read_without_file(flags: Flags, environment: &Environment) -> (Raw, Vec<Problem>) {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let file = Some(empty.path().display().to_string());
        read(&Flags { file, ..flags }, environment)
    }

    /// The value and origin of `session.idle_minutes` from these layers.
    fn idle(file: Option<&str>, variable: Option<&str>, flag: Option<&str>) -> (u64, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callgate.toml").display().to_string();
        let content = file.map(|value| format!("[session]\nidle_minutes = {value}\n"));
        std::fs::write(&path, content.unwrap_or_default()).unwrap();
        let name = "session.idle_minutes";
        let flags = Flags {
            file: Some(path.clone()),
            given: flag.map(|value| (name, value.to_owned())).into_iter().collect(),
        };
        let variables = variable.map(|value| ("CALLGATE_SESSION_IDLE_MINUTES", value));
        let (raw, problems) = read(&flags, &environment(variables.as_slice()));
        assert_eq!(problems, []);
        let given = raw.find(name).unwrap();
        let Value::Number(minutes) = given.value else { panic!("{given:?}") };
        (minutes, given.origin.to_string().replace(&path, "FILE"))
    }

    #[test]
    fn each_layer_wins_over_every_layer_below_it() {
        let flag = |m| (m, "flag --session-idle-minutes".to_owned());
        let variable = |m| (m, "environment CALLGATE_SESSION_IDLE_MINUTES".to_owned());
        let file = |m| (m, "file FILE:2".to_owned());
        assert_eq!(idle(None, None, None), (60, "default".to_owned()));
        assert_eq!(idle(Some("61"), None, None), file(61));
        assert_eq!(idle(None, Some("62"), None), variable(62));
        assert_eq!(idle(None, None, Some("63")), flag(63));
        assert_eq!(idle(Some("61"), Some("62"), None), variable(62));
        assert_eq!(idle(Some("61"), None, Some("63")), flag(63));
        assert_eq!(idle(None, Some("62"), Some("63")), flag(63));
        assert_eq!(idle(Some("61"), Some("62"), Some("63")), flag(63));
    }

    #[test]
    fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
        let environment = environment(&[
            ("CALLGATE_LISTN", "x"),
            ("CALLGATE_KEY", "topsecret"),
            ("CALLGATE_SOMETHING_ELSE", "x"),
            ("CALLGATE_TEST_REDIS", "x"),
            ("HOME", "/"),
        ]);
        let (_, problems) = read_without_file(Flags::default(), &environment);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "warning: CALLGATE_KEY is not known; did you mean CALLGATE_KEYS",
                "warning: CALLGATE_LISTN is not known; did you mean CALLGATE_LISTEN",
                "warning: CALLGATE_SOMETHING_ELSE is not known; no setting is called that; remove it",
            ]
        );
        assert!(!format!("{environment:?}").contains("topsecret"));
    }

    #[test]
    fn a_variable_without_a_value_is_not_given() {
        let unset = environment(&[("CALLGATE_LISTEN", "")]);
        let (raw, problems) = read_without_file(Flags::default(), &unset);
        assert_eq!(problems, []);
        assert_eq!(raw.origin("listen"), Origin::Default);
    }

    #[test]
    fn a_settings_file_that_was_named_must_be_there() {
        let flags = Flags { file: Some("/nowhere/callgate.toml".into()), given: Vec::new() };
        let (_, problems) = read(&flags, &Environment::default());
        assert_eq!(problems.len(), 1);
        let line = problems[0].to_string();
        assert!(line.starts_with("/nowhere/callgate.toml: error: cannot be read: "), "{line}");
        let by_variable = environment(&[("CALLGATE_SETTINGS", "/nowhere/callgate.toml")]);
        assert_eq!(read(&Flags::default(), &by_variable).1, problems);
    }

    #[test]
    fn a_secret_cannot_be_given_as_a_flag() {
        let flags = Flags { file: None, given: vec![("keys", "topsecret".into())] };
        let (raw, problems) = read_without_file(flags, &Environment::default());
        assert_eq!(
            problems[0].to_string(),
            "error: keys has no flag; give it in the settings file"
        );
        assert_eq!(raw.origin("keys"), Origin::Default);
    }
}
