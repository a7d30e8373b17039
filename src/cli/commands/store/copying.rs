//! `callgate store copy`: moves live sessions and tokens from one store to another, and reports the
//! result.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::clock::Stopwatch;
use crate::base::clock::SystemClock;
use crate::settings::Settings;
use crate::settings::StoreUrl;
use crate::store::StoreError;
use crate::store::copy::Copy;
use crate::store::copy::CopyError;
use crate::store::copy::Tally;

use crate::cli::Format;
use crate::cli::commands::store::is_made;
use crate::cli::commands::store::opened;
use crate::cli::commands::store::within;
use crate::cli::complain;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;
use crate::cli::shutdown::Signals;

/// How often progress is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Copies from the store of the first settings to that of the second.
pub(super) fn run(
    from: &Settings,
    to: &Settings,
    tokens: bool,
    format: Format,
) -> Result<CommandOutput, CommandError> {
    refuse_nonsense(&from.store, &to.store)?;
    let (tally, end) = within(copied(from, to, tokens, format == Format::Human))??;
    if let CopyEnd::Failed(error) = end {
        let exit = match &error {
            CopyError::From(error) | CopyError::To(error) => exit_of(error),
            CopyError::Within(_) => Exit::Io,
        };
        let so_far = counts(&tally, tokens).trim_end().replace('\n', "\n  ");
        let why = format!("{error}; run it again, and it goes on from here:\n  {so_far}");
        return Err(CommandError::new(exit, why));
    }
    let text = match format {
        Format::Human => summary(from, to, &tally, tokens, &end),
        Format::Json => format!("{}\n", object(from, to, &tally, tokens, &end)),
    };
    let whole = tally.sessions.too_large + tally.tokens.left + tally.tokens.lost == 0;
    let exit = match end {
        CopyEnd::Interrupted => Exit::CutOff,
        _ if whole => Exit::Ok,
        _ => Exit::Io,
    };
    Ok(CommandOutput { text, exit })
}

/// How a copy ended.
enum CopyEnd {
    Complete,
    /// By a signal.
    Interrupted,
    Failed(CopyError),
}

fn exit_of(error: &StoreError) -> Exit {
    match error {
        StoreError::Full | StoreError::Corrupt(_) => Exit::Io,
        _ => Exit::StoreUnreachable,
    }
}

/// Refuses stores between which a copy makes no sense.
fn refuse_nonsense(from: &StoreUrl, to: &StoreUrl) -> Result<(), CommandError> {
    let usage = |why: &str| Err(CommandError::new(Exit::Usage, why));
    if matches!(from, StoreUrl::Memory) || matches!(to, StoreUrl::Memory) {
        return usage("memory: begins and ends with a process; name a store that is kept");
    }
    if is_same(from, to) {
        return usage("FROM and TO are the same store; name two");
    }
    match from {
        StoreUrl::Embedded(folder) if !is_made(folder) => Err(CommandError::new(
            Exit::StoreUnreachable,
            format!("store {}: there is none; name the folder of one", folder.display()),
        )),
        _ => Ok(()),
    }
}

fn is_same(one: &StoreUrl, other: &StoreUrl) -> bool {
    let place = |folder: &Path| folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok();
    match (one, other) {
        (StoreUrl::Embedded(one), StoreUrl::Embedded(other)) => place(one) == place(other),
        _ => one.to_string() == other.to_string(),
    }
}

async fn copied(
    from: &Settings,
    to: &Settings,
    tokens: bool,
    aloud: bool,
) -> Result<(Tally, CopyEnd), CommandError> {
    let mut signals =
        Signals::new().map_err(|error| CommandError::new(Exit::Io, error.to_string()))?;
    let copy =
        Copy { from: opened(from).await?, to: opened(to).await?, clock: Arc::new(SystemClock) };
    let told = AtomicBool::new(false);
    let mut tally = Tally::default();
    let end = {
        let mut copying = std::pin::pin!(both(&copy, &mut tally, tokens, &told, aloud));
        tokio::select! {
            end = &mut copying => end,
            _ = signals.next() => {
                told.store(true, Ordering::Relaxed);
                // The current step is finished: a token between two stores would be lost.
                copying.await
            }
        }
    };
    // The old store is not written any more, so an error while it closes changes nothing.
    let _ = copy.from.close().await;
    match (copy.to.close().await, end) {
        (Err(error), CopyEnd::Complete | CopyEnd::Interrupted) => {
            Ok((tally, CopyEnd::Failed(CopyError::To(error))))
        }
        (_, end) => Ok((tally, end)),
    }
}

async fn both(
    copy: &Copy,
    tally: &mut Tally,
    tokens: bool,
    told: &AtomicBool,
    aloud: bool,
) -> CopyEnd {
    let mut since = Stopwatch::start();
    let mut go_on = |tally: &Tally| {
        if aloud && since.elapsed() >= PROGRESS_INTERVAL {
            since = Stopwatch::start();
            complain(counts(tally, tokens).trim_end());
        }
        !told.load(Ordering::Relaxed)
    };
    let mut came = copy.records(tally, &mut go_on).await;
    if matches!(came, Ok(true)) {
        came = copy.sessions(tally, &mut go_on).await;
    }
    if tokens && matches!(came, Ok(true)) {
        came = copy.tokens(tally, &mut go_on).await;
    }
    match came {
        Ok(true) => CopyEnd::Complete,
        Ok(false) => CopyEnd::Interrupted,
        Err(error) => CopyEnd::Failed(error),
    }
}

/// A line for each kind, with the counts; records only where there are any.
fn counts(tally: &Tally, with_tokens: bool) -> String {
    let Tally { sessions, tokens, records } = tally;
    let records = if records.all() == 0 {
        String::new()
    } else {
        let (copied, present) = (records.copied, records.present);
        format!("accounts  {copied} records copied, {present} there already\n")
    };
    let sessions = format!(
        "sessions  {} copied, {} there already, {} ended meanwhile, {} too large\n",
        sessions.copied, sessions.present, sessions.ended, sessions.too_large,
    );
    let tokens = format!(
        "tokens    {} moved, {} there already, {} ended meanwhile, {} left in FROM for want of \
         their session, {} lost\n",
        tokens.moved, tokens.present, tokens.ended, tokens.left, tokens.lost,
    );
    if with_tokens { sessions + &tokens + &records } else { sessions + &records }
}

fn summary(from: &Settings, to: &Settings, tally: &Tally, tokens: bool, end: &CopyEnd) -> String {
    let (old, new, app) = (&from.store, &to.store, &from.app);
    let mut page = vec![
        format!("{old} to {new}, application {app}"),
        counts(tally, tokens).trim_end().to_owned(),
    ];
    if let CopyEnd::Interrupted = end {
        let told = "it was told to end before all was done; run it again, and it goes on";
        page.push(told.to_owned());
        return page.join("\n") + "\n";
    }
    if tally.sessions.all() == 0 && old.is_shared() {
        page.push(format!(
            "nothing was found; sessions are kept by the name of the application: give the one that \
             served them with --app if it is not {app}"
        ));
    }
    page.push(format!(
        "next: serve {new} with the keys that sealed the cookies so far{}; never serve {old} again",
        whose_keys(from),
    ));
    page.push(
        "not copied: that sessions ended and tokens were used, and the answers kept for repeats; a \
         token that was used is an unknown one there"
            .to_owned(),
    );
    if !tokens {
        let left = "not moved: unspent tokens, which are unknown there; --tokens moves them";
        page.push(left.to_owned());
    }
    page.join("\n") + "\n"
}

/// Where to find the keys that sealed the cookies of the old store.
fn whose_keys(from: &Settings) -> String {
    match from.key_path() {
        Some(path) => format!(", which are in {} (keys_file)", path.display()),
        None => String::new(),
    }
}

fn object(from: &Settings, to: &Settings, tally: &Tally, tokens: bool, end: &CopyEnd) -> Value {
    let Tally { sessions, tokens: moved, records } = tally;
    let moved = json!({
        "moved": moved.moved,
        "present": moved.present,
        "ended": moved.ended,
        "left": moved.left,
        "lost": moved.lost,
    });
    json!({
        "from": from.store.to_string(),
        "to": to.store.to_string(),
        "app": from.app.as_str(),
        "complete": matches!(end, CopyEnd::Complete),
        "sessions": {
            "copied": sessions.copied,
            "present": sessions.present,
            "ended": sessions.ended,
            "tooLarge": sessions.too_large,
        },
        "tokens": if tokens { moved } else { Value::Null },
        "records": { "copied": records.copied, "present": records.present },
    })
}
