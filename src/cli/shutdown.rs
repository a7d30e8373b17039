//! Shutdown: after a signal, after a second signal, or because the store has failed
//! (docs/SECURITY.md D.9).

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::oneshot;

use super::exit::CommandError;
use super::exit::CommandOutput;
use super::exit::Exit;
use crate::gate::Gate;
use crate::gate::Listeners;
use crate::http::conn::server::Drained;

/// Serves until shutdown.
///
/// ```text
/// SIGTERM ─▶ /readyz is 503 ─▶ the lead time passes ─┐
/// SIGINT ────────────────────────────────────────────┼─▶ no new requests ─▶ drained ─▶ exit
/// the store has failed ──────────────────────────────┘          │
/// a second signal, from the first on ───────────────────────────┴─▶ exit at once
/// ```
pub(super) struct Shutdown {
    signals: Signals,
    /// How long `SIGTERM` leaves the server running, so that load balancers can react.
    lead: Duration,
}

/// Why the server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShutdownCause {
    Signal,
    /// A second signal cut the shutdown short.
    SecondSignal,
    StoreFailed,
}

impl Shutdown {
    pub(super) fn new(signals: Signals, lead: Duration) -> Self {
        Self { signals, lead }
    }

    /// Serves, and reports how that ended.
    pub(super) async fn serve(
        mut self,
        gate: &Gate,
        listeners: Listeners,
        store_failed: impl Future<Output = ()>,
    ) -> Result<CommandOutput, CommandError> {
        let (stop, stopped) = oneshot::channel();
        // A dropped sender counts as a stop.
        let stopped = async { stopped.await.unwrap_or(()) };
        let mut cause = ShutdownCause::Signal;
        let ending = async {
            tokio::select! {
                cut_short = self.stop_signal(gate) => if cut_short {
                    return gate.crowding().open;
                },
                () = store_failed => cause = ShutdownCause::StoreFailed,
            }
            let _ = stop.send(());
            self.signals.next().await;
            gate.crowding().open
        };
        let drained = tokio::select! {
            drained = gate.serve(listeners, stopped) => Ok(drained),
            left = ending => Err(left),
        };
        match drained {
            Ok(drained) => output(cause, drained),
            Err(left) => output(ShutdownCause::SecondSignal, Drained::CutOff(left)),
        }
    }

    /// Waits for a signal and then for the lead time. Returns whether a second signal cut that
    /// short.
    async fn stop_signal(&mut self, gate: &Gate) -> bool {
        let signal = self.signals.next().await;
        tracing::info!(event = "server.stopping", signal = signal.name(), "told to stop");
        // SIGINT comes from a terminal, where no load balancer needs the lead time.
        if signal == StopSignal::Interrupt || self.lead.is_zero() {
            return false;
        }
        gate.retire();
        tokio::select! {
            () = tokio::time::sleep(self.lead) => false,
            _ = self.signals.next() => true,
        }
    }
}

fn output(cause: ShutdownCause, drained: Drained) -> Result<CommandOutput, CommandError> {
    match (cause, drained) {
        (ShutdownCause::StoreFailed, _) => {
            Err(CommandError::new(Exit::Io, "the store failed and has stopped; see the log"))
        }
        (_, Drained::Clean) => {
            tracing::info!(event = "server.stopped");
            Ok(CommandOutput { text: String::new(), exit: Exit::Ok })
        }
        (ShutdownCause::SecondSignal, Drained::CutOff(left)) => {
            let why = format!("told to stop twice; {left} connections were cut off");
            Err(CommandError::new(Exit::CutOff, why))
        }
        (ShutdownCause::Signal, Drained::CutOff(left)) => {
            let why = format!("{left} connections were cut off; limits.drain_secs gives them more");
            Err(CommandError::new(Exit::CutOff, why))
        }
    }
}

/// The signals that stop the server.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// A signal that stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopSignal {
    Terminate,
    Interrupt,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }
}

impl StopSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}
