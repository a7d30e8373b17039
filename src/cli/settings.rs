//! `callgate settings`: every setting with its value and where that came from.

use crate::settings::Reading;
use crate::settings::SETTINGS;
use crate::settings::Settings;
use crate::settings::Value;
use crate::settings::default_file;
use crate::settings::written;

use super::exit::Said;
use super::exit::Stop;
use super::store;

/// The commented default file.
pub(super) fn print_default_file() -> Said {
    Said::well(default_file().to_owned())
}

/// How far to the right origins may stand: one long value must not push them all out of sight.
const CHARS_MAX: usize = 60;

/// The effective settings as a settings file, each line with its origin behind it. Secrets are
/// counted, not shown; a setting that is unset is a comment with what stands in for it.
///
/// At the end stands, in comments, what the store guarantees.
pub(super) fn run(reading: &Reading) -> Result<Said, Stop> {
    let rows: Vec<(&str, String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let (section, key) = setting.name.rsplit_once('.').unwrap_or(("", setting.name));
            let given = reading.raw.find(setting.name);
            let shown = match given.map(|given| &given.value) {
                // As it was understood: the text itself may hold a password.
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
    Ok(Said::well(page.join("\n") + "\n"))
}

/// A value as TOML; `None` for an unset one and for secrets.
fn shown(name: &str, value: &Value) -> Option<String> {
    match value {
        // No text unsets a setting, except for the path that is taken off: there it is the value.
        Value::Text(text) if text.is_empty() && name != "base_path" => None,
        value => written(value),
    }
}

/// What stands in for a setting that has no value to show.
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
