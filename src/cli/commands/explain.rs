//! `callgate explain METHOD URL`: which row handles a request, and why the others do not.

use hyper::Request;
use hyper::Uri;

use crate::base::text::query::Query;
use crate::http::confirm;
use crate::http::message::token_place::Brought;
use crate::http::message::token_place::Places;
use crate::settings::Settings;
use crate::table;
use crate::table::CanonicalPath;
use crate::table::Explanation;
use crate::table::Resolution;
use crate::table::Row;
use crate::table::Table;

use crate::cli::Format;
use crate::cli::commands::check;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;

/// Explains one request with the table of the settings.
pub(crate) fn run(
    settings: &Settings,
    method: &str,
    url: &str,
    format: Format,
) -> Result<CommandOutput, CommandError> {
    let table = check::table(settings)?;
    let target = url.split('#').next().unwrap_or_default();
    let explain = |verb: &str| explain(&table, verb, target, settings);
    let explanation =
        if is_button(method, url) { asked_about(explain("GET")) } else { explain(method) };
    let text = match format {
        Format::Human => explanation.to_string(),
        Format::Json => serde_json::to_string(&explanation)
            .map_err(|error| CommandError::new(Exit::Io, format!("explanation: {error}")))?,
    };
    Ok(CommandOutput::well(text.trim_end().to_owned() + "\n"))
}

/// Explains how the server would handle one request, including what it checks besides the table:
/// the syntax and length of the target before a row is found, and the tokens of the query after.
fn explain(table: &Table, verb: &str, target: &str, settings: &Settings) -> Explanation {
    let explanation = table::explain(table, verb, target, &settings.base_path);
    let Ok(uri) = Uri::try_from(target) else {
        let reason = "the target has a character that no URL has; percent-encode it";
        return explanation.refused(Resolution::BadPath, reason);
    };
    if matches!(explanation.answer, Resolution::BadRequest | Resolution::NotImplemented)
        || target == "*"
    {
        return explanation;
    }
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let (bytes, most) =
        (path.len() + uri.query().map_or(0, |it| it.len() + 1), settings.limits.target_bytes);
    if bytes > most {
        let reason = format!("path and query have {bytes} bytes; limits.target_bytes is {most}");
        return explanation.refused(Resolution::TargetTooLong, reason);
    }
    let row = explanation.row.and_then(|number| table.rows().get(number.checked_sub(1)?));
    let Some(row) = row else { return explanation };
    if Query::read(query).is_err() {
        return explanation
            .refused(Resolution::BadRequest, "the query has too many or too long parameters");
    }
    if brings_several(verb, &uri, row, settings) {
        let reason = "the address brings more than one token; none is used";
        return explanation.refused(Resolution::BadRequest, reason);
    }
    explanation
}

/// Whether the URL carries several tokens to a row.
fn brings_several(verb: &str, uri: &Uri, row: &Row, settings: &Settings) -> bool {
    let request = Request::builder().method(verb).uri(uri).body(());
    let path = CanonicalPath::of(uri.path(), &settings.base_path);
    let (Ok(request), Ok(path)) = (request, path) else { return false };
    let (head, ()) = request.into_parts();
    let request = Places { head: &head, path: &path, body: &[] };
    matches!(Brought::find(request, row), Brought::Several)
}

/// Whether the server takes a request for the button of the confirmation page.
fn is_button(method: &str, url: &str) -> bool {
    let local = url.split('#').next().unwrap_or_default();
    let raw_query = local.split_once('?').map_or("", |(_, raw_query)| raw_query);
    confirm::stands_for_get(&method.to_ascii_uppercase(), raw_query)
}

/// The explanation of the GET that the button stands for. The steps do not mention the button,
/// because each row is matched against that GET.
fn asked_about(get: Explanation) -> Explanation {
    let remark = "this POST is the button of the page that asks before a link counts; with its \
                  form it is answered as the GET that it stands for, as here, and without, 403";
    Explanation { reason: format!("{}\n{remark}", get.reason), ..get }
}
