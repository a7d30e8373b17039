//! `callgate serve`: loads and checks everything, then opens the ports.

use std::error::Error as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::complain;
use crate::cli::core_dumps;
use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;
use crate::cli::log;
use crate::cli::print;
use crate::cli::shutdown::Shutdown;
use crate::cli::shutdown::Signals;
use crate::gate::Gate;
use crate::gate::GateError;
use crate::gate::Listeners;
use crate::http::conn::server::listen;
use crate::settings::CoreDumps;
use crate::settings::Reading;
use crate::settings::Settings;
use crate::store::StoreError;
#[cfg(feature = "embedded")]
use crate::store::embedded::OpenErrorKind;
#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::store::shared::OpenErrorKind as SharedErrorKind;
use crate::table::Problem;

/// How often the store is checked for a permanent failure.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Starts logging as the settings say, and logs warnings about them; fails on errors.
pub(crate) fn settle(reading: Reading) -> Result<Settings, CommandError> {
    if !log::is_json(&reading.settings) {
        return crate::cli::settle(reading).map(|reading| reading.settings);
    }
    log::start(&reading.settings);
    if reading.is_refused() {
        return crate::cli::settle(reading).map(|reading| reading.settings);
    }
    for warning in &reading.problems {
        tracing::warn!(event = "settings.warning", "{warning}");
    }
    Ok(reading.settings)
}

/// Serves until shutdown.
pub(crate) fn run(settings: Settings) -> Result<CommandOutput, CommandError> {
    log::start(&settings);
    forbid_core_dumps(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CommandError::new(Exit::Io, format!("threads: {error}")))?;
    let ended = runtime.block_on(serve(settings));
    // Requests that still run have exceeded the drain timeout, and must not keep the process.
    runtime.shutdown_background();
    ended
}

/// Disables core dumps, which would contain keys and tokens from memory.
fn forbid_core_dumps(settings: &Settings) -> Result<(), CommandError> {
    let is_wanted = match settings.core_dumps {
        CoreDumps::Auto => !cfg!(debug_assertions),
        CoreDumps::Off => true,
        CoreDumps::On => false,
    };
    if !is_wanted {
        return Ok(());
    }
    core_dumps::settle(settings.core_dumps, core_dumps::forbid())
}

async fn serve(settings: Settings) -> Result<CommandOutput, CommandError> {
    let (address, internal, redirect) =
        (settings.listen, settings.internal, settings.tls.redirect_listen);
    let (in_json, table) = (log::is_json(&settings), settings.handlers.display().to_string());
    let lead = internal.map_or(Duration::ZERO, |_| settings.limits.drain_lead);
    // Signals are handled from here on, so that one during the opening of the store ends the
    // program properly, too.
    let failed = |error: std::io::Error| CommandError::new(Exit::Io, error.to_string());
    let signals = Signals::new().map_err(failed)?;
    let mut hang_ups = signal(SignalKind::hangup()).map_err(failed)?;
    let gate = Gate::builder(settings).open().await.map_err(stop_of)?;
    for warning in gate.warnings() {
        let Problem { line, column, row, code, .. } = warning;
        let what = warning.to_string();
        if in_json {
            tracing::warn!(event = "table.warning", line, column, row, code, "{what}");
        } else {
            complain(&what);
        }
    }
    announce(&gate).await?;
    let internal = bind_if(internal, "internal").await?;
    let redirect = bind_if(redirect, "tls.redirect_listen").await?;
    let listener = bind(address, "listen").await?;
    if let Some((_, address)) = &internal {
        print(&format!("internal on http://{address}\n"))?;
    }
    if let Some((_, address)) = &redirect {
        print(&format!("redirecting on http://{address}\n"))?;
    }
    print(&format!("listening on {}://{}\n", gate.scheme(), listener.1))?;
    tracing::info!(
        event = "server.started",
        version = env!("CARGO_PKG_VERSION"),
        listen = %listener.1,
        internal = internal.as_ref().map(|(_, address)| tracing::field::display(address)),
        table,
        rows = gate.table().rows,
        "serving"
    );
    let listeners = Listeners::new(listener.0)
        .internal(internal.map(|(listener, _)| listener))
        .redirect(redirect.map(|(listener, _)| listener));
    let failing = async {
        tokio::select! {
            () = store_failed(&gate) => {}
            () = reload_when_told(&gate, &mut hang_ups) => {}
        }
    };
    Shutdown::new(signals, lead).serve(&gate, listeners, failing).await
}

async fn bind_if(
    address: Option<SocketAddr>,
    setting: &str,
) -> Result<Option<(TcpListener, SocketAddr)>, CommandError> {
    match address {
        Some(address) => bind(address, setting).await.map(Some),
        None => Ok(None),
    }
}

/// Logs the effective guarantees of the store.
async fn announce(gate: &Gate) -> Result<(), CommandError> {
    let guarantees = gate.guarantees().await;
    let guarantees = guarantees
        .map_err(|error| CommandError::new(Exit::StoreUnreachable, format!("store: {error}")))?;
    tracing::info!(
        event = "store.guarantees",
        store = guarantees.store,
        survives_crash = guarantees.survives_crash,
        survives_power_loss = guarantees.survives_power_loss,
        shared = guarantees.shared,
    );
    for note in &guarantees.notes {
        tracing::info!(event = "store.note", store = guarantees.store, "{note}");
    }
    for lack in &guarantees.lacks {
        let (store, remedy) = (guarantees.store, &*lack.remedy);
        tracing::warn!(event = "store.lack", store, remedy, "{}", lack.what);
    }
    Ok(())
}

async fn bind(
    address: SocketAddr,
    setting: &str,
) -> Result<(TcpListener, SocketAddr), CommandError> {
    let failed = |error: std::io::Error| {
        let advice = way_out(error.kind(), &setting.replace(['.', '_'], "-"));
        CommandError::new(
            Exit::Io,
            format!("{setting}: cannot listen on {address}: {error}; {advice}"),
        )
    };
    let listener = listen(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// How to fix an address that cannot be listened on.
fn way_out(kind: ErrorKind, flag: &str) -> String {
    match kind {
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 need a permission: give the service CAP_NET_BIND_SERVICE, let a proxy \
             hold the port, or choose a higher one with --{flag}"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("no interface of this machine has that address; choose one with --{flag}")
        }
        _ => format!("is another callgate running? choose another address with --{flag}"),
    }
}

/// Completes once the store has failed permanently, as after a failed write to the disk: a
/// supervisor must restart the process.
async fn store_failed(gate: &Gate) {
    loop {
        tokio::time::sleep(WATCH_PAUSE).await;
        if let Err(StoreError::Corrupt(cause)) = gate.guarantees().await {
            tracing::error!(event = "store.failed", %cause, "the store has stopped");
            return;
        }
    }
}

pub(crate) fn stop_of(error: GateError) -> CommandError {
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let text = deeper.to_string();
        // Many errors of dependencies repeat the text of their cause.
        if !why.contains(&text) {
            why = format!("{why}\n  because: {text}");
        }
        cause = deeper.source();
    }
    let exit = match error {
        GateError::Table(_) | GateError::Roles(..) | GateError::File(_) => Exit::BadTable,
        GateError::Settings(_)
        | GateError::Page(..)
        | GateError::Keys(_)
        | GateError::Certificate(_) => Exit::BadSettings,
        #[cfg(feature = "embedded")]
        GateError::Store(error) if error.kind == OpenErrorKind::Locked => Exit::StoreUnreachable,
        #[cfg(feature = "embedded")]
        GateError::Store(_) => Exit::Io,
        #[cfg(any(feature = "redis", feature = "postgres"))]
        GateError::Shared(error) if error.kind == SharedErrorKind::Unreachable => {
            Exit::StoreUnreachable
        }
        #[cfg(any(feature = "redis", feature = "postgres"))]
        GateError::Shared(_) => Exit::BadSettings,
        GateError::Lacking(_) | GateError::Password(_) => Exit::BadSettings,
        GateError::Unchecked(_) => Exit::StoreUnreachable,
        GateError::NoStore(_) | GateError::Thread(_) => Exit::Io,
    };
    CommandError::new(exit, why)
}

/// Reloads the watched files at each SIGHUP, for as long as it is polled. The result is logged.
async fn reload_when_told(gate: &Gate, hang_ups: &mut Signal) {
    while hang_ups.recv().await.is_some() {
        gate.reload().await;
    }
    // No further signal can arrive; that is no reason to stop.
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "embedded")]
    #[test]
    fn a_store_that_does_not_open_says_what_lies_beneath() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "no directory").unwrap();
        let store = file.join("store");
        let refused = crate::store::embedded::EmbeddedStore::open(&store).unwrap_err();
        let stop = stop_of(GateError::Store(refused));
        assert_eq!(stop.exit, Exit::Io);
        let said = format!("store {}: it cannot be read or written; ", store.display());
        assert!(stop.why.starts_with(&said), "{}", stop.why);
        assert!(stop.why.contains("\n  because: Not a directory"), "{}", stop.why);
        assert_eq!(stop.why.lines().count(), 2, "{}", stop.why);
    }

    #[test]
    fn a_port_that_is_denied_is_no_other_callgates() {
        let told = way_out(ErrorKind::PermissionDenied, "listen");
        assert!(told.contains("CAP_NET_BIND_SERVICE") && told.contains("--listen"), "{told}");
        assert!(!told.contains("another callgate"), "{told}");
        assert!(
            way_out(ErrorKind::AddrInUse, "listen").starts_with("is another callgate running?")
        );
    }

    #[test]
    fn no_store_is_no_fault_of_the_table() {
        let stop = stop_of(GateError::NoStore("store data: a test".to_owned()));
        assert_eq!((stop.exit, &*stop.why), (Exit::Io, "store data: a test"));
    }
}
