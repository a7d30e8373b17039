//! `callgate serve`: everything is loaded and checked, then the ports are opened.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::complain;
use super::exit::Exit;
use super::exit::Said;
use super::exit::Stop;
use super::log;
use super::print;
use crate::backend::demo;
use crate::gate::Gate;
use crate::gate::GateError;
use crate::http::server::Drained;
use crate::settings::Settings;
use crate::store::StoreError;
#[cfg(feature = "embedded")]
use crate::store::embedded::OpenErrorKind;

/// How often a store that has stopped for good is looked for.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Why the server is to stop.
enum Cause {
    Signal,
    StoreFailed,
}

/// Serves until the process is told to end.
pub(super) fn run(settings: Settings) -> Result<Said, Stop> {
    log::start(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stop::new(Exit::Io, format!("threads: {error}")))?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<Said, Stop> {
    let (listen, internal) = (settings.listen, settings.internal);
    // Signals count from here on: one that comes while the store is being opened ends the
    // program in order, too.
    let (mut signals, mut hang_ups) =
        signals().map_err(|error| Stop::new(Exit::Io, error.to_string()))?;
    let gate = Gate::builder(settings).registry(demo::registry()).open().await.map_err(stop_of)?;
    for warning in gate.warnings() {
        complain(&warning.to_string());
    }
    announce(&gate).await?;
    let internal = match internal {
        Some(address) => Some(bind(address, "internal").await?),
        None => None,
    };
    let listener = bind(listen, "listen").await?;
    if let Some((_, address)) = &internal {
        print(&format!("internal on http://{address}\n"))?;
    }
    print(&format!("listening on http://{}\n", listener.1))?;
    let mut cause = Cause::Signal;
    let stop = async {
        tokio::select! {
            () = signals.end() => tracing::info!(event = "server.stopping", "told to stop"),
            () = store_failed(&gate) => cause = Cause::StoreFailed,
            () = reload_when_told(&gate, &mut hang_ups) => {}
        }
    };
    let drained = gate.serve(listener.0, internal.map(|(listener, _)| listener), stop).await;
    match (cause, drained) {
        (Cause::StoreFailed, _) => {
            Err(Stop::new(Exit::Io, "the store failed and has stopped; see the log"))
        }
        (Cause::Signal, Drained::Clean) => {
            tracing::info!(event = "server.stopped");
            Ok(Said { text: String::new(), exit: Exit::Ok })
        }
        (Cause::Signal, Drained::CutOff(left)) => {
            let why = format!("{left} connections were cut off; limits.drain_secs gives them more");
            Err(Stop::new(Exit::CutOff, why))
        }
    }
}

/// Logs what the store really guarantees.
async fn announce(gate: &Gate) -> Result<(), Stop> {
    let guarantees = gate.guarantees().await;
    let guarantees =
        guarantees.map_err(|error| Stop::new(Exit::StoreUnreachable, format!("store: {error}")))?;
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
    Ok(())
}

async fn bind(address: SocketAddr, setting: &str) -> Result<(TcpListener, SocketAddr), Stop> {
    let failed = |error| {
        Stop::new(
            Exit::Io,
            format!(
                "{setting}: cannot listen on {address}: {error}; is another callgate running? \
                     choose another address with --{setting}"
            ),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Done once the store has stopped for good, as after a failed write to the disk: whoever
/// supervises the process must hear of it.
async fn store_failed(gate: &Gate) {
    loop {
        tokio::time::sleep(WATCH_PAUSE).await;
        if let Err(StoreError::Corrupt(cause)) = gate.guarantees().await {
            tracing::error!(event = "store.failed", %cause, "the store has stopped");
            return;
        }
    }
}

fn stop_of(error: GateError) -> Stop {
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let text = deeper.to_string();
        // Many errors of others say again what their own cause says.
        if !why.contains(&text) {
            why = format!("{why}\n  because: {text}");
        }
        cause = deeper.source();
    }
    let exit = match error {
        GateError::Table(_) | GateError::Roles(..) | GateError::File(_) => Exit::BadTable,
        GateError::Settings(_) | GateError::Keys(_) => Exit::BadSettings,
        #[cfg(feature = "embedded")]
        GateError::Store(error) if error.kind == OpenErrorKind::Locked => Exit::StoreUnreachable,
        #[cfg(feature = "embedded")]
        GateError::Store(_) => Exit::Io,
        GateError::NoStore(_) | GateError::Thread(_) => Exit::Io,
    };
    Stop::new(exit, why)
}

/// Reads the watched files again at each SIGHUP, for as long as it is polled. What came of it is
/// in the log.
async fn reload_when_told(gate: &Gate, hang_ups: &mut Signal) {
    while hang_ups.recv().await.is_some() {
        gate.reload().await;
    }
    // No such signal can come any more; that is no reason to stop.
    std::future::pending::<()>().await;
}

/// The signals that the program listens to: those to end, and SIGHUP.
fn signals() -> std::io::Result<(Ending, Signal)> {
    let ending = Ending {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    Ok((ending, signal(SignalKind::hangup())?))
}

/// The signals to end.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    /// Done at the first of them.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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
    fn no_store_is_no_fault_of_the_table() {
        let stop = stop_of(GateError::NoStore("store data: a test".to_owned()));
        assert_eq!((stop.exit, &*stop.why), (Exit::Io, "store data: a test"));
    }
}
