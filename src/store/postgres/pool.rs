//! The connections of one store: a bounded number, each lent for one command.
//!
//! After a command times out or the server turns out to be a standby, idle connections are probed
//! before reuse. After a failover none of them works, and each would cost a caller its timeout.

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
/// Timeout of the probe of an idle connection.
const PROBE: Duration = Duration::from_millis(300);
/// Pause after a failed connect, shared by all callers.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a command waits while a failed connect is retried.
const PATIENCE: Duration = Duration::from_millis(500);
/// Commands fail fast once connecting has failed for longer than this.
const FAIL_FAST_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pool {
    door: Door,
    permits: Semaphore,
    idle: Mutex<Vec<Line>>,
    scares: AtomicU64,
    outage: Mutex<Option<Outage>>,
}

/// Connecting to the database has failed, and has not succeeded since.
#[derive(Debug, Clone)]
struct Outage {
    since: Stopwatch,
    /// The last failed connect.
    tried: Stopwatch,
    why: String,
}

/// A connection in use. It returns to the pool when this is dropped. If that happens during a
/// command, the connection is probed before its next use.
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
            outage: Mutex::default(),
        }
    }

    /// Lends a connection. If that fails, nothing was sent.
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

    /// Connects once, regardless of recent failures.
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
            // The state of the others is no better known, and probing each of them would take too
            // long.
            let others: Vec<Line> = self.idle().drain(..).collect();
            for line in others {
                if line.calm == scares { self.idle().push(line) } else { line.break_off() }
            }
        }
    }

    /// Connects. A short outage (a proxy or a server that restarts, a lost reply) is waited out,
    /// because a command that fails costs a caller its request.
    async fn connect(&self) -> Result<Line, StoreError> {
        let watch = Stopwatch::start();
        loop {
            if let Some(outage) = self.outage()
                && let Some(pause) = PAUSE.checked_sub(outage.tried.elapsed())
            {
                if outage.since.elapsed() > FAIL_FAST_AFTER || watch.elapsed() > PATIENCE {
                    return Err(StoreError::Unreachable(outage.why.into()));
                }
                tokio::time::sleep(pause).await;
                if let Some(line) = self.reuse().await {
                    return Ok(line);
                }
                continue;
            }
            match self.first().await {
                Ok(line) => {
                    *lock(&self.outage) = None;
                    return Ok(line);
                }
                Err(error) => self.failed(error.to_string()),
            }
        }
    }

    fn outage(&self) -> Option<Outage> {
        lock(&self.outage).clone()
    }

    /// Records a failed connect.
    fn failed(&self, why: String) {
        let mut outage = lock(&self.outage);
        let now = Stopwatch::start();
        let since = outage.as_ref().map_or(now, |outage| outage.since);
        *outage = Some(Outage { since, tried: now, why });
    }

    /// Returns an idle connection to the pool.
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

    /// The command is complete.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The connection is unusable, and the idle ones are suspect.
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

/// A panic under the lock leaves no value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
