//! How serving ends: told by a signal, told twice, or because the store has failed
//! (docs/SECURITY.md D.9).

use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::oneshot;

use super::exit::Exit;
use super::exit::Said;
use super::exit::Stop;
use crate::gate::Gate;
use crate::gate::Listeners;
use crate::http::conn::server::Drained;

/// Serving, until it is to end.
///
/// ```text
/// SIGTERM ─▶ /readyz says no ─▶ the lead passes ─┐
/// SIGINT ────────────────────────────────────────┼─▶ nobody new gets in ─▶ drained ─▶ exit
/// the store has failed ──────────────────────────┘                │
/// a second signal, from the first on ─────────────────────────────┴─▶ exit at once
/// ```
pub(super) struct Ending {
    signals: Signals,
    /// How long `SIGTERM` leaves everything at work.
    lead: Duration,
}

/// Why the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Signal,
    /// Somebody did not want to wait for the end.
    SecondSignal,
    StoreFailed,
}

impl Ending {
    pub(super) fn new(signals: Signals, lead: Duration) -> Self {
        Self { signals, lead }
    }

    /// Serves, and says how that ended.
    pub(super) async fn of(
        mut self,
        gate: &Gate,
        listeners: Listeners,
        store_failed: impl Future<Output = ()>,
    ) -> Result<Said, Stop> {
        let (stop, stopped) = oneshot::channel();
        // A sender that is gone has stopped, too.
        let stopped = async { stopped.await.unwrap_or(()) };
        let mut cause = Cause::Signal;
        let ending = async {
            tokio::select! {
                hurried = self.told(gate) => if hurried {
                    return gate.crowding().open;
                },
                () = store_failed => cause = Cause::StoreFailed,
            }
            let _ = stop.send(());
            self.signals.next().await;
            gate.crowding().open
        };
        let drained = tokio::select! {
            drained = gate.serve_all(listeners, stopped) => Ok(drained),
            left = ending => Err(left),
        };
        match drained {
            Ok(drained) => said(cause, drained),
            Err(left) => said(Cause::SecondSignal, Drained::CutOff(left)),
        }
    }

    /// Waits for a signal, and then for the lead to pass; whether a second one cut that short.
    async fn told(&mut self, gate: &Gate) -> bool {
        let told = self.signals.next().await;
        tracing::info!(event = "server.stopping", signal = told.name(), "told to stop");
        // Whoever sits at the terminal does not spread requests over several servers.
        if told == Told::Interrupt || self.lead.is_zero() {
            return false;
        }
        gate.retire();
        tokio::select! {
            () = tokio::time::sleep(self.lead) => false,
            _ = self.signals.next() => true,
        }
    }
}

fn said(cause: Cause, drained: Drained) -> Result<Said, Stop> {
    match (cause, drained) {
        (Cause::StoreFailed, _) => {
            Err(Stop::new(Exit::Io, "the store failed and has stopped; see the log"))
        }
        (_, Drained::Clean) => {
            tracing::info!(event = "server.stopped");
            Ok(Said { text: String::new(), exit: Exit::Ok })
        }
        (Cause::SecondSignal, Drained::CutOff(left)) => {
            let why = format!("told to stop twice; {left} connections were cut off");
            Err(Stop::new(Exit::CutOff, why))
        }
        (Cause::Signal, Drained::CutOff(left)) => {
            let why = format!("{left} connections were cut off; limits.drain_secs gives them more");
            Err(Stop::new(Exit::CutOff, why))
        }
    }
}

/// The signals to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// A signal to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
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

    /// The next signal to end.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Terminate,
            _ = self.interrupt.recv() => Told::Interrupt,
        }
    }
}

impl Told {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}
