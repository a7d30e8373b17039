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

use super::connection::ConnectError;
use super::connection::Connection;
use super::connection::Connector;

/// How long a command may wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
/// Timeout of the probe of an idle connection.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
/// Pause after a failed connect, shared by all callers.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// How long a command waits while a failed connect is retried.
const RETRY_WITHIN: Duration = Duration::from_millis(500);
/// Commands fail fast once connecting has failed for longer than this.
const FAIL_FAST_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    failures: AtomicU64,
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
pub(super) struct PooledConnection<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    finished: bool,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub(super) fn new(connector: Connector, size: usize) -> Self {
        Self {
            connector,
            permits: Semaphore::new(size),
            idle: Mutex::default(),
            failures: AtomicU64::new(1),
            outage: Mutex::default(),
        }
    }

    /// Lends a connection. If that fails, nothing was sent.
    pub(super) async fn acquire(&self) -> Result<PooledConnection<'_>, StoreError> {
        let permit = match tokio::time::timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(StoreError::Refused("it is closed")),
            Err(_) => return Err(StoreError::Refused("all connections to the database are busy")),
        };
        let connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(PooledConnection {
            pool: self,
            connection: Some(connection),
            finished: true,
            _permit: permit,
        })
    }

    /// Connects once, regardless of recent failures.
    pub(super) async fn first(&self) -> Result<Connection, ConnectError> {
        let failures = self.failures.load(Ordering::SeqCst);
        let mut connection = self.connector.open().await?;
        connection.failures_seen = failures;
        Ok(connection)
    }

    async fn reuse(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.client.is_closed() {
                continue;
            }
            let failures = self.failures.load(Ordering::SeqCst);
            if connection.failures_seen == failures {
                return Some(connection);
            }
            if let Ok(Ok(true)) = tokio::time::timeout(PROBE_TIMEOUT, connection.set_up()).await {
                connection.take_warning();
                connection.failures_seen = failures;
                return Some(connection);
            }
            connection.abort();
            // The state of the others is no better known, and probing each of them would take too
            // long.
            let others: Vec<Connection> = self.idle().drain(..).collect();
            for connection in others {
                if connection.failures_seen == failures {
                    self.idle().push(connection);
                } else {
                    connection.abort();
                }
            }
        }
    }

    /// Connects. A short outage (a proxy or a server that restarts, a lost reply) is waited out,
    /// because a command that fails costs a caller its request.
    async fn connect(&self) -> Result<Connection, StoreError> {
        let watch = Stopwatch::start();
        loop {
            if let Some(outage) = self.outage()
                && let Some(pause) = CONNECT_PAUSE.checked_sub(outage.tried.elapsed())
            {
                if outage.since.elapsed() > FAIL_FAST_AFTER || watch.elapsed() > RETRY_WITHIN {
                    return Err(StoreError::Unreachable(outage.why.into()));
                }
                tokio::time::sleep(pause).await;
                if let Some(connection) = self.reuse().await {
                    return Ok(connection);
                }
                continue;
            }
            match self.first().await {
                Ok(connection) => {
                    *lock(&self.outage) = None;
                    return Ok(connection);
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
    pub(super) fn keep(&self, connection: Connection) {
        if !self.permits.is_closed() {
            self.idle().push(connection);
        }
    }

    fn suspect_idle(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock(&self.idle)
    }
}

impl PooledConnection<'_> {
    /// The connection, for one command.
    pub(super) fn begin(&mut self) -> Option<&Connection> {
        self.finished = false;
        self.connection.as_ref()
    }

    /// The command is complete.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The connection is unusable, and the idle ones are suspect.
    pub(super) fn discard(mut self) {
        self.pool.suspect_idle();
        if let Some(connection) = self.connection.take() {
            connection.abort();
        }
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if !self.finished {
            connection.failures_seen = 0;
        }
        self.pool.keep(connection);
    }
}

/// A panic under the lock leaves no value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
