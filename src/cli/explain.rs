//! `callgate explain METHOD URL`: which row answers a request, and why the others do not.

use crate::settings::Settings;
use crate::table;

use super::Format;
use super::check;
use super::exit::Exit;
use super::exit::Said;
use super::exit::Stop;

/// Explains one request by the table that the settings name.
pub(super) fn run(
    settings: &Settings,
    method: &str,
    url: &str,
    format: Format,
) -> Result<Said, Stop> {
    let table = check::table(settings)?;
    let explanation = table::explain(&table, method, url, &settings.base_path);
    let text = match format {
        Format::Human => explanation.to_string(),
        Format::Json => serde_json::to_string(&explanation)
            .map_err(|error| Stop::new(Exit::Io, format!("explanation: {error}")))?,
    };
    Ok(Said::well(text.trim_end().to_owned() + "\n"))
}
