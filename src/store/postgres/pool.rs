//! The connections of one store: a bounded number, lent to one command each.
//!
//! After a fright (a command without an answer, a server that turned into a standby) the
//! connections that were idle meanwhile are asked whether they still work before they are used:
//! after a fail-over none of them does, and each would cost somebody his time.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::base::clock::Stopwatch;
use crate::store::error::StoreError;

use super::line::Door;
use super::line::Line;
use super::line::NoLine;

/// How long a command may wait for a connection.
const ACQUIRE: Duration = Duration::from_millis(500);
/// How long a connection may take to say that it still works.
const PROBE: Duration = Duration::from_millis(300);
/// How long nobody tries to connect after somebody has failed to.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Pool {
    door: Door,
    permits: Semaphore,
    idle: Mutex<Vec<Line>>,
    scares: AtomicU64,
    failed: Mutex<Option<(Stopwatch, String)>>,
}

/// A connection in use. It goes back when this is dropped; if that is in the middle of a command,
/// it is asked first the next time.
pub(super) struct Lent<'p> {
    pool: &'p Pool,
    line: Option<Line>,
    finished: bool,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub(super) fn new(door: Door, size: usize) -> Self {
        Self {
            door,
            permits: Semaphore::new(size),
            idle: Mutex::default(),
            scares: AtomicU64::new(1),
            failed: Mutex::default(),
        }
    }

    /// Lends a connection. Whoever gets none has asked nothing.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let permit = match tokio::time::timeout(ACQUIRE, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(StoreError::Refused("it is closed")),
            Err(_) => return Err(StoreError::Refused("all connections to the database are busy")),
        };
        let line = match self.reuse().await {
            Some(line) => line,
            None => self.connect().await?,
        };
        Ok(Lent { pool: self, line: Some(line), finished: true, _permit: permit })
    }

    /// Connects once, whatever went wrong just now.
    pub(super) async fn first(&self) -> Result<Line, NoLine> {
        let scares = self.scares.load(Ordering::SeqCst);
        let mut line = self.door.open().await?;
        line.calm = scares;
        Ok(line)
    }

    async fn reuse(&self) -> Option<Line> {
        loop {
            let mut line = self.idle().pop()?;
            if line.client.is_closed() {
                continue;
            }
            let scares = self.scares.load(Ordering::SeqCst);
            if line.calm == scares {
                return Some(line);
            }
            if let Ok(Ok(true)) = tokio::time::timeout(PROBE, line.greet()).await {
                line.take_doubt();
                line.calm = scares;
                return Some(line);
            }
            line.break_off();
            // The others have seen no more of the server than this one, and to ask each of them
            // would take too long.
            let others: Vec<Line> = self.idle().drain(..).collect();
            for line in others {
                if line.calm == scares { self.idle().push(line) } else { line.break_off() }
            }
        }
    }

    async fn connect(&self) -> Result<Line, StoreError> {
        if let Some((since, why)) = &*lock(&self.failed)
            && since.elapsed() < PAUSE
        {
            return Err(StoreError::Unreachable(why.clone().into()));
        }
        match self.first().await {
            Ok(line) => {
                *lock(&self.failed) = None;
                Ok(line)
            }
            Err(error) => {
                *lock(&self.failed) = Some((Stopwatch::start(), error.to_string()));
                Err(StoreError::Unreachable(Box::new(error)))
            }
        }
    }

    /// Takes a connection that nobody uses.
    pub(super) fn keep(&self, line: Line) {
        if !self.permits.is_closed() {
            self.idle().push(line);
        }
    }

    fn scare(&self) {
        self.scares.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        lock(&self.idle)
    }
}

impl Lent<'_> {
    /// The connection, for one command.
    pub(super) fn begin(&mut self) -> Option<&Line> {
        self.finished = false;
        self.line.as_ref()
    }

    /// The command has been answered.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The connection is of no use any more, and the others may not be either.
    pub(super) fn discard(mut self) {
        self.pool.scare();
        if let Some(line) = self.line.take() {
            line.break_off();
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(mut line) = self.line.take() else { return };
        if !self.finished {
            line.calm = 0;
        }
        self.pool.keep(line);
    }
}

/// Whoever panicked with it in hand left whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
