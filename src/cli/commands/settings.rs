//! `callgate settings`: every setting with its value and its origin.

use crate::settings::Reading;
use crate::settings::SETTINGS;
use crate::settings::Settings;
use crate::settings::Value;
use crate::settings::default_file;
use crate::settings::written;

use crate::cli::commands::store;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;

/// The commented default file.
pub(crate) fn print_default_file() -> CommandOutput {
    CommandOutput::well(default_file().to_owned())
}

/// The column that origins may be pushed to: one long value must not move them all out of sight.
const CHARS_MAX: usize = 60;

/// The effective settings as a settings file, each line with its origin in a comment. Secrets are
/// counted, not shown; an unset setting is a comment with its effective value.
///
/// Comments at the end show what the store guarantees.
pub(crate) fn run(reading: &Reading) -> Result<CommandOutput, CommandError> {
    let rows: Vec<(&str, String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let (section, key) = setting.name.rsplit_once('.').unwrap_or(("", setting.name));
            let given = reading.raw.find(setting.name);
            let shown = match given.map(|given| &given.value) {
                // The parsed form: the text itself may contain a password.
                Some(Value::Url(_)) => written(&Value::Text(reading.settings.store.to_string())),
                given => given.and_then(|value| shown(setting.name, value)),
            };
            let line = match (shown, instead(&reading.settings, setting.name)) {
                (Some(value), _) => format!("{key} = {value}"),
                (None, Some(value)) => format!("#{key} = {value}"),
                (None, None) => format!("#{key}"),
            };
            (section, line, reading.raw.origin(setting.name).to_string())
        })
        .collect();
    let widths = rows.iter().map(|(_, line, _)| line.chars().count());
    let width = widths.max().unwrap_or_default().min(CHARS_MAX);
    let mut page = Vec::new();
    let mut current = "";
    for (section, line, origin) in &rows {
        if *section != current {
            page.push(format!("\n[{section}]"));
            current = section;
        }
        page.push(format!("{line:width$}  # {origin}"));
    }
    page.push(String::new());
    page.extend(store::in_comments(&reading.settings)?);
    Ok(CommandOutput::well(page.join("\n") + "\n"))
}

/// A value as TOML; `None` for an unset one and for secrets.
fn shown(name: &str, value: &Value) -> Option<String> {
    match value {
        // An empty text unsets a setting, except for the base path, whose value it is.
        Value::Text(text) if text.is_empty() && name != "base_path" => None,
        value => written(value),
    }
}

/// The effective value of a setting that has no value to show.
fn instead(settings: &Settings, name: &str) -> Option<String> {
    let path = |path: std::path::PathBuf| written(&Value::Text(path.display().to_string()));
    match name {
        "classes" => path(settings.classes_folder()),
        "roles" => settings.roles_file().and_then(path),
        "keys" if settings.keys.len() == 1 => Some("[1 key]".to_owned()),
        "keys" => Some(format!("[{} keys]", settings.keys.len())),
        "keys_file" => settings.key_path().and_then(path),
        _ => None,
    }
}
