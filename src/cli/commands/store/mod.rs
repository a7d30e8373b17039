//! `callgate store`: what a store guarantees, and moving what lives in it to another one.

mod copying;
mod doctor;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Subcommand;

use crate::base::Clock;
use crate::base::clock::SystemClock;
use crate::base::secret::SecretText;
use crate::gate::open_store;
use crate::settings::Settings;
use crate::settings::StoreUrl;
use crate::settings::kind_of;
use crate::store::Store;
#[cfg(feature = "embedded")]
use crate::store::embedded::EmbeddedStore;

use crate::cli::Format;
use crate::cli::commands::serve::stop_of;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;

pub(crate) use doctor::in_comments;

/// The argument that stands for the store of the settings.
const OF_SETTINGS: &str = "settings";

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Say what a store guarantees, and what to change about it.
    ///
    /// A password on the command line can be seen by every user of this machine. Leave the URL out
    /// to ask the store of the settings, whose URL is best given in the environment
    /// or in the settings file; or give the password in a file.
    ///
    /// Ends with 78 when the store is not fit for production, as safety = "strict" understands it,
    /// and with 69 when it cannot be reached.
    Doctor {
        /// The store; unset: the one of the settings.
        url: Option<UrlArgument>,
        /// A file with the password, for a URL without one.
        #[arg(long, value_name = "FILE", requires = "url")]
        password_file: Option<PathBuf>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Copy the sessions that live from one store to another.
    ///
    /// Nothing may serve either store meanwhile, nor FROM ever after: a session that is used there
    /// is not copied again. It may be broken off and run again, and goes on where it was. The name
    /// of the application (--app) must be the one that both are used with, and the keys must come
    /// along, or every browser loses its session.
    ///
    /// A password on the command line can be seen by every user of this machine. Write "settings"
    /// for the store of the settings, whose URL is best given in the environment or in the
    /// settings file; or give the password in a file.
    Copy {
        /// The store to read, or "settings".
        from: UrlArgument,
        /// The store to write to, or "settings".
        to: UrlArgument,
        /// Move unspent tokens, too: each is taken back in FROM first, and can then be redeemed in
        /// TO only.
        #[arg(long)]
        tokens: bool,
        /// A file with the password of FROM, for a URL without one.
        #[arg(long, value_name = "FILE")]
        from_password_file: Option<PathBuf>,
        /// A file with the password of TO, for a URL without one.
        #[arg(long, value_name = "FILE")]
        to_password_file: Option<PathBuf>,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// The URL of a store as it was typed. It may contain a password, so clap must not parse it: its
/// errors quote the text.
#[derive(Debug, Clone)]
pub(crate) struct UrlArgument(SecretText);

impl FromStr for UrlArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(SecretText::new(text.to_owned())))
    }
}

/// `callgate store …`.
pub(crate) fn run(
    settings: &Settings,
    command: &StoreCommand,
) -> Result<CommandOutput, CommandError> {
    match command {
        StoreCommand::Doctor { url, password_file, format } => {
            let named = match url {
                Some(url) => named(settings, ("the URL", url), password_file.as_ref())?,
                None => settings.clone(),
            };
            doctor::run(&named, *format)
        }
        StoreCommand::Copy { from, to, tokens, from_password_file, to_password_file, format } => {
            let from = named(settings, ("FROM", from), from_password_file.as_ref())?;
            let to = named(settings, ("TO", to), to_password_file.as_ref())?;
            copying::run(&from, &to, *tokens, *format)
        }
    }
}

/// The settings, with the store of an argument in place of their own.
fn named(
    settings: &Settings,
    (what, url): (&str, &UrlArgument),
    password_file: Option<&PathBuf>,
) -> Result<Settings, CommandError> {
    let usage = |why: String| CommandError::new(Exit::Usage, why);
    let text = url.0.expose();
    if text == OF_SETTINGS {
        let own = Settings {
            store_password_file: password_file.or(settings.store_password_file.as_ref()).cloned(),
            ..settings.clone()
        };
        return Ok(own);
    }
    let store = StoreUrl::parse(text);
    let store = store.map_err(|fix| usage(format!("{what} {}; {fix}", kind_of(text))))?;
    if password_file.is_none() && store.wants_password() {
        let fix = "write USER:PASSWORD@HOST, or give the password in a file";
        return Err(usage(format!("{what} names a user without a password; {fix}")));
    }
    if password_file.is_some() && store.has_password() {
        return Err(usage(format!("{what} holds a password beside the file; drop one of them")));
    }
    Ok(Settings { store, store_password_file: password_file.cloned(), ..settings.clone() })
}

/// Opens the store of these settings.
async fn opened(settings: &Settings) -> Result<Arc<dyn Store>, CommandError> {
    open_store(settings, SystemClock.now()).await.map_err(stop_of)
}

/// Whether this folder contains an embedded store.
#[cfg(feature = "embedded")]
fn is_made(folder: &std::path::Path) -> bool {
    EmbeddedStore::is_in(folder)
}

/// Opening it reports that this build has no such store.
#[cfg(not(feature = "embedded"))]
fn is_made(_: &std::path::Path) -> bool {
    true
}

/// Runs an operation on a store, on this thread.
fn within<T>(asking: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::new(Exit::Io, format!("runtime: {error}")))?;
    Ok(runtime.block_on(asking))
}
