//! `callgate store doctor`: what a store guarantees, in words, and what to change.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::settings::Settings;
use crate::settings::StoreUrl;
use crate::store::Store as _;
#[cfg(feature = "embedded")]
use crate::store::embedded::EmbeddedStore;
use crate::store::memory::MemoryStore;
use crate::store::port::Guarantees;

use crate::cli::Format;
use crate::cli::commands::store::opened;
use crate::cli::commands::store::within;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;

/// Timeout of the store for `callgate settings`.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Queries the store of these settings.
pub(super) fn run(settings: &Settings, format: Format) -> Result<CommandOutput, CommandError> {
    let guarantees = within(asked(settings))??;
    let text = match format {
        Format::Human => page(&settings.store, &guarantees),
        Format::Json => format!("{}\n", object(&settings.store, &guarantees)),
    };
    let exit = if guarantees.lacks.is_empty() { Exit::Ok } else { Exit::BadSettings };
    Ok(CommandOutput { text, exit })
}

/// The guarantees of the store of the settings, as comments of a settings file. If the store cannot
/// be reached, a comment says so.
pub(crate) fn in_comments(settings: &Settings) -> Result<Vec<String>, CommandError> {
    let store = &settings.store;
    let guarantees = within(async { tokio::time::timeout(QUERY_TIMEOUT, asked(settings)).await })?;
    let text = match guarantees {
        Ok(Ok(guarantees)) => page(store, &guarantees),
        Ok(Err(stop)) => format!("{store} cannot say what it guarantees:\n{}", stop.why),
        Err(_) => {
            let secs = QUERY_TIMEOUT.as_secs();
            format!("{store} did not say within {secs} seconds what it guarantees")
        }
    };
    Ok(text.lines().map(|line| format!("# {line}").trim_end().to_owned()).collect())
}

/// The guarantees of a store. An embedded store is not opened for this: its guarantees are always
/// the same, and opening it would lock it against a server that is about to start.
async fn asked(settings: &Settings) -> Result<Guarantees, CommandError> {
    let failed = |error| CommandError::new(Exit::StoreUnreachable, format!("store: {error}"));
    match &settings.store {
        StoreUrl::Memory => MemoryStore::new().self_check().await.map_err(failed),
        #[cfg(feature = "embedded")]
        StoreUrl::Embedded(_) => Ok(EmbeddedStore::guarantees()),
        _ => {
            let store = opened(settings).await?;
            let guarantees = store.self_check().await.map_err(failed);
            // The query is complete, and nothing was written.
            let _ = store.close().await;
            guarantees
        }
    }
}

/// Each guarantee on a line of its own, then further facts, then what to change.
fn page(store: &StoreUrl, guarantees: &Guarantees) -> String {
    let Guarantees { survives_crash, survives_power_loss, shared, notes, lacks, .. } = guarantees;
    let kept = |kept: &bool| {
        if *kept { "loses nothing that was answered" } else { "can lose what was answered" }
    };
    let nodes = if *shared { "any number of nodes may use it" } else { "one process may use it" };
    let mut lines = vec![
        store.to_string(),
        said("single use", single_use(store)),
        said("a crash", kept(survives_crash)),
        said("a power cut", kept(survives_power_loss)),
        said("sharing", nodes),
    ];
    lines.extend(notes.iter().map(|note| said("to know", note)));
    for lack in lacks {
        lines.push(said("lacking", &lack.what));
        lines.push(said("to change", &lack.remedy));
    }
    if lacks.is_empty() {
        lines.push(said("to change", "nothing"));
    }
    lines.join("\n") + "\n"
}

fn said(about: &str, what: &str) -> String {
    format!("  {about:11}  {what}")
}

/// How far the promise goes that a token is redeemed at most once.
fn single_use(store: &StoreUrl) -> &'static str {
    match store {
        StoreUrl::Memory => "a token is redeemed once at most; a restart forgets all of them",
        #[cfg(feature = "redis")]
        StoreUrl::Redis(address) if address.fence() => {
            "a token is redeemed once at most, on whichever node, through crashes, power cuts, \
             fail-overs and restored backups"
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(address) if address.fence() => {
            "a token is redeemed once at most, on whichever node, through crashes, power cuts, \
             fail-overs and restored dumps and archives; not if an old copy of the disk comes back"
        }
        _ if store.is_shared() => {
            "a token is redeemed once at most, on whichever node, as long as the server forgets \
             nothing; not through fail-overs and restored backups"
        }
        _ => {
            "a token is redeemed once at most, through crashes and power cuts; not through restored \
             backups"
        }
    }
}

fn object(store: &StoreUrl, guarantees: &Guarantees) -> Value {
    let lacks: Vec<Value> = guarantees
        .lacks
        .iter()
        .map(|lack| json!({ "what": lack.what, "remedy": lack.remedy }))
        .collect();
    json!({
        "url": store.to_string(),
        "singleUse": single_use(store),
        "name": guarantees.store,
        "survivesCrash": guarantees.survives_crash,
        "survivesPowerLoss": guarantees.survives_power_loss,
        "shared": guarantees.shared,
        "notes": guarantees.notes,
        "lacks": lacks,
    })
}
