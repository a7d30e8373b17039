//! `callgate sessions` and `callgate tokens`: list, show and end them, without printing a secret.

use std::fmt::Write;

use hyper::Method;
use serde_json::Value;
use serde_json::json;

use crate::base::Clock;
use crate::base::Timestamp;
use crate::base::clock::SystemClock;
use crate::cli::Format;
use crate::cli::SessionsCommand;
use crate::cli::TokensCommand;
use crate::cli::columns::age;
use crate::cli::columns::cell;
use crate::cli::columns::columns;
use crate::cli::columns::joined;
use crate::cli::columns::list;
use crate::cli::columns::text;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;
use crate::cli::internal_client::InternalClient;
use crate::settings::Settings;

/// Entries of one page.
const PAGE: usize = 1_000;
/// Most pages of one list: a longer one is considered endless.
const PAGES_MAX: usize = 100_000;

/// `callgate sessions …`.
pub(crate) fn sessions(
    settings: &Settings,
    command: &SessionsCommand,
) -> Result<CommandOutput, CommandError> {
    let inside = InternalClient::of(settings)?;
    let now = SystemClock.now();
    Ok(match command {
        SessionsCommand::List { format } => {
            let all = ask(all(inside, "sessions"))?;
            say(*format, &json!({ "sessions": all }), || session_lines(&all, now))
        }
        SessionsCommand::Show { id, format } => {
            let whole = one(inside, Method::GET, ("session", id.to_string()))?;
            say(*format, &whole, || session_page(&whole, now))
        }
        SessionsCommand::End { id, format } => {
            let done = one(inside, Method::DELETE, ("session", id.to_string()))?;
            say(*format, &done, || format!("session {id} has ended, with its tokens\n"))
        }
    })
}

/// `callgate tokens …`.
pub(crate) fn tokens(
    settings: &Settings,
    command: &TokensCommand,
) -> Result<CommandOutput, CommandError> {
    let inside = InternalClient::of(settings)?;
    let now = SystemClock.now();
    Ok(match command {
        TokensCommand::List { format } => {
            let all = ask(all(inside, "tokens"))?;
            say(*format, &json!({ "tokens": all }), || token_lines(&all, now))
        }
        TokensCommand::Revoke { id, format } => {
            let done = one(inside, Method::DELETE, ("token", id.to_string()))?;
            say(*format, &done, || format!("token {id} is revoked\n"))
        }
    })
}

/// Runs a request on this thread.
pub(crate) fn ask<T>(
    asking: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::new(Exit::Io, format!("runtime: {error}")))?;
    runtime.block_on(asking)
}

/// Requests one session or token, which must exist.
fn one(
    mut inside: InternalClient,
    method: Method,
    (noun, id): (&str, String),
) -> Result<Value, CommandError> {
    let found = ask(inside.ask(method, &format!("/{noun}s/{id}")))?;
    found.ok_or_else(|| {
        let way_out = format!("callgate {noun}s list shows those that there are");
        CommandError::new(Exit::Unknown, format!("there is no {noun} {id}; {way_out}"))
    })
}

/// Every entry of a list, page by page.
pub(crate) async fn all(
    mut inside: InternalClient,
    what: &str,
) -> Result<Vec<Value>, CommandError> {
    let (mut found, mut after, mut last) = (Vec::new(), String::new(), String::new());
    for _ in 0..PAGES_MAX {
        let target = format!("/{what}?limit={PAGE}{after}");
        let page = inside.ask(Method::GET, &target).await?.unwrap_or_default();
        found.extend_from_slice(list(&page, what));
        match page.get("next").and_then(Value::as_str) {
            // Ids ascend: a server whose ids do not is not trusted to end the list.
            Some(next)
                if next > last.as_str() && next.bytes().all(|it| it.is_ascii_alphanumeric()) =>
            {
                next.clone_into(&mut last);
                after = format!("&after={next}");
            }
            Some(_) => {
                let why = "the server's list does not come to an end; is that a callgate?";
                return Err(CommandError::new(Exit::StoreUnreachable, why));
            }
            None => break,
        }
    }
    Ok(found)
}

pub(crate) fn say(format: Format, value: &Value, for_people: impl Fn() -> String) -> CommandOutput {
    CommandOutput::well(match format {
        Format::Human => for_people(),
        Format::Json => format!("{value}\n"),
    })
}

fn session_lines(all: &[Value], now: Timestamp) -> String {
    if all.is_empty() {
        return "no session is stored\n".to_owned();
    }
    let row = |session: &Value| {
        [
            text(session, "id"),
            text(session, "user"),
            joined(session, "privileges"),
            age(session, "seen", now),
            age(session, "expires", now),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    columns(["SESSION", "USER", "PRIVILEGES", "SEEN", "ENDS"], &rows)
}

fn token_lines(all: &[Value], now: Timestamp) -> String {
    if all.is_empty() {
        return "no token can be redeemed\n".to_owned();
    }
    let row = |token: &Value| {
        [
            text(token, "id"),
            text(token, "session"),
            age(token, "minted", now),
            age(token, "expires", now),
            joined(token, "handlers"),
            text(token, "mode"),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    columns(["TOKEN", "SESSION", "MINTED", "ENDS", "FOR", "MODE"], &rows)
}

/// One session in detail.
fn session_page(whole: &Value, now: Timestamp) -> String {
    let is = |name: &str| whole.get(name).and_then(Value::as_bool);
    let moment = |name: &str| format!("{} ({})", cell(&text(whole, name)), age(whole, name, now));
    let guest = if is("guest") == Some(true) { " (guest)" } else { "" };
    let mut page = String::new();
    for (name, value) in [
        ("session", cell(&text(whole, "id"))),
        ("user", cell(&text(whole, "user")) + guest),
        ("privileges", cell(&joined(whole, "privileges"))),
        ("created", moment("created")),
        ("seen", moment("seen")),
        ("ends", moment("expires")),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{name:12}{value}");
    }
    let devices: Vec<_> = list(whole, "devices")
        .iter()
        .map(|it| [text(it, "id"), age(it, "since", now), text(it, "label")])
        .collect();
    let storage: Vec<_> = list(whole, "storage")
        .iter()
        .map(|it| [text(it, "key"), it.get("bytes").map(Value::to_string).unwrap_or_default()])
        .collect();
    page.push('\n');
    page += &columns(["DEVICE", "SINCE", "LABEL"], &devices);
    if !storage.is_empty() {
        page.push('\n');
        page += &columns(["STORAGE KEY", "BYTES"], &storage);
    }
    if !list(whole, "tokens").is_empty() {
        page.push('\n');
        page += &token_lines(list(whole, "tokens"), now);
    }
    if is("tokensComplete") == Some(false) {
        page += "there may be more tokens; callgate tokens list shows all\n";
    }
    page
}
