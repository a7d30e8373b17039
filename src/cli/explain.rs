//! `callgate explain METHOD URL`: which row answers a request, and why the others do not.

use crate::http::confirm;
use crate::settings::Settings;
use crate::table;
use crate::table::Explanation;

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
    let explain = |verb: &str| table::explain(&table, verb, url, &settings.base_path);
    let explanation =
        if is_button(method, url) { asked_about(explain("GET")) } else { explain(method) };
    let text = match format {
        Format::Human => explanation.to_string(),
        Format::Json => serde_json::to_string(&explanation)
            .map_err(|error| Stop::new(Exit::Io, format!("explanation: {error}")))?,
    };
    Ok(Said::well(text.trim_end().to_owned() + "\n"))
}

/// Whether the server takes a request for the button of the page that asks before a link counts.
fn is_button(method: &str, url: &str) -> bool {
    let local = url.split('#').next().unwrap_or_default();
    let raw_query = local.split_once('?').map_or("", |(_, raw_query)| raw_query);
    confirm::stands_for_get(&method.to_ascii_uppercase(), raw_query)
}

/// The explanation of the GET that the button stands for. The rows do not say so, because each of
/// them is asked about that GET.
fn asked_about(get: Explanation) -> Explanation {
    let remark = "this POST is the button of the page that asks before a link counts; with its \
                  form it is answered as the GET that it stands for, as here, and without, 403";
    Explanation { reason: format!("{}\n{remark}", get.reason), ..get }
}
