//! `callgate check`: reports everything that is wrong with table, classes, roles and settings, at
//! once.

use std::collections::BTreeMap;
use std::path::Path;

use crate::backend::Registry;
#[cfg(feature = "script")]
use crate::backend::script;
use crate::base::Clock as _;
use crate::base::clock::SystemClock;
use crate::base::limits::TABLE_BYTES_MAX;
use crate::gate::ClassReport;
use crate::gate::examine;
use crate::gate::read_file;
use crate::http::Certificates;
use crate::session::Roles;
use crate::settings::Reading;
use crate::settings::Settings;
use crate::table;
use crate::table::Severity;
use crate::table::Survey;
use crate::table::Table;

use crate::cli::Format;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;
use crate::cli::report;
use crate::cli::report::FileReport;
use crate::cli::report::Finding;

/// Checks everything that `reading` names, against the handlers of this program.
///
/// The exit code is 65 when table, class files or roles have an error, or under `strict` anything has a
/// warning; 78 when only the settings have an error.
pub(crate) fn run(
    reading: Reading,
    format: Format,
    native: &Registry,
) -> Result<CommandOutput, CommandError> {
    let Reading { settings, problems, .. } = reading;
    let mut findings: Vec<_> = problems.into_iter().map(Finding::from).collect();
    findings.extend(check_certificate(&settings));
    let roles = settings.roles_file().filter(|path| path.exists()).map(|path| check_roles(&path));
    let (roles, mut roles_part) = roles.map_or((None, None), |(roles, part)| (roles, Some(part)));
    let (mut parts, unused) = check_table(&settings, native, roles.as_ref())?;
    if let Some(part) = &mut roles_part {
        part.findings.extend(unused);
    }
    parts.extend(roles_part);
    let data = parts.iter().any(|part| part.count(Severity::Error) > 0);
    parts.push(FileReport { name: "settings".to_owned(), findings, ..FileReport::default() });
    let any = |severity| parts.iter().any(|part| part.count(severity) > 0);
    let exit = if data || (settings.strict && any(Severity::Warning)) {
        Exit::BadTable
    } else if any(Severity::Error) {
        Exit::BadSettings
    } else {
        Exit::Ok
    };
    let text = match format {
        Format::Human => parts.iter().map(FileReport::for_people).collect(),
        Format::Json => report::for_programs(&parts)
            .map_err(|error| CommandError::new(Exit::Io, format!("report: {error}")))?,
    };
    Ok(CommandOutput { text, exit })
}

/// The JSON Schema of a table, to be saved where an editor finds it.
pub(crate) fn schema() -> CommandOutput {
    CommandOutput { text: table::SCHEMA.to_owned(), exit: Exit::Ok }
}

/// The type declarations for class files, to be saved where an editor finds them.
#[cfg(feature = "script")]
pub(crate) fn types() -> CommandOutput {
    CommandOutput { text: script::DECLARATIONS.to_owned(), exit: Exit::Ok }
}

/// Reads the table of the settings, for commands that need one without errors.
pub(crate) fn table(settings: &Settings) -> Result<Table, CommandError> {
    let (part, survey) = survey(settings);
    match survey {
        Some(Survey { table, is_broken: false, .. }) => Ok(table),
        _ => Err(CommandError::new(Exit::BadTable, part.for_people().trim_end())),
    }
}

/// As much of the table as can be read, and what is wrong with it.
fn survey(settings: &Settings) -> (FileReport, Option<Survey>) {
    let name = settings.handlers.display().to_string();
    let part =
        |text, findings| FileReport { name: name.clone(), text, findings, ..FileReport::default() };
    let bytes = match read_bytes(&settings.handlers, "unreadable-table") {
        Ok(bytes) => bytes,
        Err(finding) => return (part(None, vec![*finding]), None),
    };
    match Table::text(&name, &bytes) {
        Err(problem) => (part(None, vec![Finding::from(*problem)]), None),
        Ok(text) => {
            let survey = Table::survey(&name, text);
            let findings = survey.problems.iter().cloned().map(Finding::from).collect();
            (part(Some(text.to_owned()), findings), Some(survey))
        }
    }
}

/// Checks the table and the class files beside it. Broken parts are left out, and the rest is
/// checked all the same. Returned with them: the permissions of `roles` that protect nothing.
fn check_table(
    settings: &Settings,
    native: &Registry,
    roles: Option<&Roles>,
) -> Result<(Vec<FileReport>, Vec<Finding>), CommandError> {
    let (mut part, survey) = survey(settings);
    let survey = survey.unwrap_or_else(Survey::of_nothing);
    // Loading classes does not block, but they are tied to a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime =
        runtime.map_err(|error| CommandError::new(Exit::Io, format!("threads: {error}")))?;
    let _inside = runtime.enter();
    let examined = examine(&survey, settings, native, roles);
    let proof = survey.table.prove(&part.name);
    part.undecided = proof.undecided();
    let more = proof.problems.into_iter().chain(examined.rows.iter().cloned());
    part.findings.extend(more.map(Finding::from));
    part.findings.sort_by_key(|finding| (finding.line, finding.column));
    part.size = Some(count(survey.table.rows().len(), "row"));
    let unused = examined.permissions.iter().cloned().map(Finding::from).collect();
    let mut parts = vec![part];
    parts.extend(class_files(settings, examined));
    Ok((parts, unused))
}

/// A report for each class file that has problems, and one for all that have none.
fn class_files(settings: &Settings, examined: ClassReport) -> Vec<FileReport> {
    let mut by_file: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for problem in examined.classes {
        by_file.entry(problem.file.clone()).or_default().push(Finding::from(problem));
    }
    if by_file.is_empty() && examined.files > 0 {
        let name = settings.classes_folder().display().to_string();
        let size = Some(count(examined.files, "class file"));
        return vec![FileReport { name, size, ..FileReport::default() }];
    }
    let part = |(name, findings): (String, Vec<Finding>)| {
        let text = std::fs::read_to_string(&name).ok();
        FileReport { name, text, findings, ..FileReport::default() }
    };
    by_file.into_iter().map(part).collect()
}

fn count(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}

/// The roles if they are usable, and what is wrong with them.
fn check_roles(path: &Path) -> (Option<Roles>, FileReport) {
    let name = path.display().to_string();
    let bytes = match read_bytes(path, "unreadable-roles") {
        Ok(bytes) => bytes,
        Err(finding) => {
            return (None, FileReport { name, findings: vec![*finding], ..FileReport::default() });
        }
    };
    let (roles, bad) = match Roles::of_bytes(&bytes) {
        Ok(roles) => (Some(roles), Vec::new()),
        Err(bad) => (None, bad),
    };
    let findings = bad.iter().map(|bad| Finding::of_roles(&name, bad)).collect();
    let text = String::from_utf8(bytes).ok();
    (roles, FileReport { name, text, findings, ..FileReport::default() })
}

/// What is wrong with the certificate and its key. A missing file is a problem of the settings
/// already.
fn check_certificate(settings: &Settings) -> Option<Finding> {
    let (cert, key) = settings.tls.files().filter(|(cert, key)| cert.is_file() && key.is_file())?;
    let bad = Certificates::open(cert, key, SystemClock.now()).err()?;
    Some(Finding::of_certificate(&bad))
}

/// The contents of a file, or a finding that says why it cannot be read.
fn read_bytes(path: &Path, code: &'static str) -> Result<Vec<u8>, Box<Finding>> {
    let name = path.display().to_string();
    read_file(path, TABLE_BYTES_MAX).map_err(|why| {
        let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(&why);
        let (what, fix) = why.rsplit_once("; ").unwrap_or((why, "name a file of UTF-8 text"));
        Box::new(Finding::of_file(&name, code, what, fix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Singleton;
    use crate::settings::Raw;
    use crate::settings::SameSite;

    /// Checks a table in a program that has `Pay.done`.
    fn check(table: &str, settings: Settings) -> CommandOutput {
        let mut registry = Registry::default();
        registry.add(Singleton::new("Pay", ()).method("done", async |_, _, _| ()));
        let folder = tempfile::tempdir().unwrap();
        let handlers = folder.path().join("handlers.json");
        std::fs::write(&handlers, table).unwrap();
        let settings = Settings { handlers, ..settings };
        let reading = Reading { settings, raw: Raw::default(), problems: Vec::new() };
        let said = run(reading, Format::Human, &registry).unwrap();
        let text = said.text.replace(&format!("{}/", folder.path().display()), "");
        CommandOutput { text, ..said }
    }

    const STRIP: &str = r#"[
  { "class": "Pay", "method": "done", "pattern": "pay", "otp": { "strip": true } }
]"#;

    #[test]
    fn a_table_that_is_answered_has_no_problems() {
        let said = check(STRIP, Settings::default());
        assert_eq!(said.text, "handlers.json: 1 row, no problems\nsettings: no problems\n");
        assert_eq!(said.exit, Exit::Ok);
    }

    #[test]
    fn a_function_that_nobody_has_is_a_warning_at_its_row() {
        let said = check(&STRIP.replace("done", "dome"), Settings::default());
        let first = said.text.lines().next().unwrap();
        assert!(first.starts_with("handlers.json:2:3: warning: row 1: nothing answers"), "{first}");
        assert!(first.contains("\"Pay.dome\""), "{first}");
        assert_eq!(said.exit, Exit::Ok);
    }

    #[test]
    fn stripping_the_token_under_a_strict_cookie_is_a_warning() {
        let mut settings = Settings::default();
        settings.cookie.same_site = SameSite::Strict;
        let said = check(STRIP, settings.clone());
        assert!(said.text.contains("warning: row 1: otp.strip loses"), "{}", said.text);
        assert_eq!(said.exit, Exit::Ok);
        let strict = Settings { strict: true, ..settings };
        assert_eq!(check(STRIP, strict).exit, Exit::BadTable, "under strict a warning fails");
    }
}
