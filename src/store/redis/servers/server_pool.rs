//! A connection pool for one server. A task replaces broken connections until the pool is dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinError;
use tokio::task::JoinSet;

use crate::base::clock::Stopwatch;
use crate::store::redis::servers::address::Host;
use crate::store::redis::servers::connect::ConnectError;
use crate::store::redis::servers::connect::Connection;
use crate::store::redis::servers::connect::Connector;
use crate::store::redis::servers::connect::Kind;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::error::is_wrong_server;
use crate::store::redis::servers::sentinel::Sentinels;
use crate::store::redis::servers::topology::Weight;

/// How long a command waits for a connection, or for a permit.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
/// Commands fail fast once an outage is older than this.
const FAIL_FAST_AFTER: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Maximum number of commands in flight to one server; more wait.
const UNDER_WAY_MAX: usize = 1_024;
/// Connections to a server: the first is for reads, the others are for writes. A server that syncs
/// its log before it replies syncs once for all it has read by then, and it reads 16 KiB at a time
/// from one connection, which is only a few writes. A write that waits for replicas also blocks
/// the commands after it on its connection.
const CONNECTIONS: usize = 1 + 16;

const GONE: &str = "there is no connection to its server";
const CLOSED: &str = "it is closed";
const CROWDED: &str = "too many commands wait for its server";

/// How a server is found.
#[derive(Debug)]
pub(crate) enum Target {
    /// Always this one.
    Host(Host),
    /// The one that the Sentinels report.
    Master(Sentinels),
}

/// One server and its connections.
pub(crate) struct ServerPool {
    state: watch::Receiver<State>,
    under_way: Semaphore,
    maintainer: AbortHandle,
}

#[derive(Debug, Clone)]
enum State {
    Up(Arc<[Arc<Connection>]>),
    Away { since: Stopwatch, why: ConnectError },
}

impl ServerPool {
    /// Starts to connect. Call it within a runtime.
    pub(crate) fn keep(connector: Arc<Connector>, target: Target) -> Self {
        let why = ConnectError::Silent("nobody has tried to connect yet".to_owned());
        let (sender, state) = watch::channel(State::Away { since: Stopwatch::start(), why });
        let maintainer = tokio::spawn(keep(Maintainer {
            connector,
            target,
            connections: CONNECTIONS,
            state: sender,
        }));
        Self {
            state,
            under_way: Semaphore::new(UNDER_WAY_MAX),
            maintainer: maintainer.abort_handle(),
        }
    }

    /// Sends commands and waits for the replies, one for each. If `weight` is heavy, they may
    /// block later commands on their connection.
    pub(crate) async fn send(
        &self,
        commands: &[Cmd],
        weight: Weight,
    ) -> Result<Vec<Value>, CommandError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.under_way.acquire()).await;
        let _turn = turn.map_err(|_| CommandError::Unsent(CROWDED))?;
        let connection = self.connection(weight).await?;
        let answers = connection.send(commands).await;
        let answers = answers.map_err(|error| CommandError::lost(&connection.host, &error))?;
        let moved =
            |answer: &Value| matches!(answer, Value::ServerError(error) if is_wrong_server(error));
        if answers.iter().any(moved) {
            // The other connections are to the same server, and must not be read from either.
            self.reset();
        }
        Ok(answers)
    }

    /// Closes the connections, so that the server to use is determined again.
    pub(crate) fn reset(&self) {
        if let State::Up(connections) = &*self.state.borrow() {
            connections.iter().for_each(|connection| connection.shut());
        }
    }

    /// Why there is no connection; `None` if there is one.
    pub(crate) fn away(&self) -> Option<ConnectError> {
        match &*self.state.borrow() {
            State::Up(_) => None,
            State::Away { why, .. } => Some(why.clone()),
        }
    }

    /// The server of the connections.
    pub(crate) fn host(&self) -> Option<Host> {
        match &*self.state.borrow() {
            State::Up(connections) => connections.first().map(|connection| connection.host.clone()),
            State::Away { .. } => None,
        }
    }

    /// Closes all connections, and stops replacing them.
    pub(crate) fn close(&self) {
        self.maintainer.abort();
        self.reset();
    }

    /// A connection that is not known to be broken. In a short outage the call waits for one.
    async fn connection(&self, weight: Weight) -> Result<Arc<Connection>, CommandError> {
        let mut state = self.state.clone();
        let wait = async {
            loop {
                match self.now(weight) {
                    Ok(connection) => return Ok(connection),
                    Err(true) => return Err(CommandError::Unsent(GONE)),
                    Err(false) => {}
                }
                // The maintainer announces a new connection, and the end of an attempt.
                state.mark_unchanged();
                if let Ok(connection) = self.now(weight) {
                    return Ok(connection);
                }
                state.changed().await.map_err(|_| CommandError::Unsent(CLOSED))?;
            }
        };
        tokio::time::timeout(ACQUIRE_TIMEOUT, wait).await.unwrap_or(Err(CommandError::Unsent(GONE)))
    }

    /// A connection, or else whether it is pointless to wait.
    fn now(&self, weight: Weight) -> Result<Arc<Connection>, bool> {
        match &*self.state.borrow() {
            State::Up(connections) => {
                let own = match (weight, connections.split_first()) {
                    (Weight::Heavy, Some((_, rest))) if !rest.is_empty() => rest,
                    (_, Some((first, _))) => std::slice::from_ref(first),
                    (_, None) => &[],
                };
                // The count is one for the connection itself, and one more for each command in
                // flight on it.
                let idlest = own.iter().min_by_key(|connection| Arc::strong_count(connection));
                idlest.filter(|connection| !connection.is_broken()).map(Arc::clone).ok_or(false)
            }
            State::Away { since, .. } => Err(since.elapsed() > FAIL_FAST_AFTER),
        }
    }
}

/// Replaces the connections of one pool.
struct Maintainer {
    connector: Arc<Connector>,
    target: Target,
    connections: usize,
    state: watch::Sender<State>,
}

async fn keep(maintainer: Maintainer) {
    let mut pause = PAUSE_MIN;
    let mut since = Stopwatch::start();
    let mut said = false;
    loop {
        match maintainer.dial().await {
            Ok(connections) => {
                if said && let Some(connection) = connections.first() {
                    tracing::info!(event = "store.link.up", server = %connection.host);
                }
                (pause, said) = (PAUSE_MIN, false);
                maintainer.state.send_replace(State::Up(Arc::clone(&connections)));
                maintainer.broken(&connections).await;
                connections.iter().for_each(|connection| connection.shut());
                since = Stopwatch::start();
                let why = ConnectError::Silent("the connection has ended".to_owned());
                maintainer.state.send_replace(State::Away { since, why });
            }
            Err(why) => {
                if !said {
                    tracing::warn!(event = "store.link.down", server = %maintainer.target, why = %why);
                    said = true;
                }
                maintainer.state.send_replace(State::Away { since, why });
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

impl Maintainer {
    async fn dial(&self) -> Result<Arc<[Arc<Connection>]>, ConnectError> {
        let host = match &self.target {
            Target::Host(host) => host.clone(),
            Target::Master(sentinels) => sentinels.master(&self.connector).await?,
        };
        let mut attempts = JoinSet::new();
        for _ in 0..self.connections {
            let (connector, host) = (Arc::clone(&self.connector), host.clone());
            attempts.spawn(async move { connector.dial(&host, Kind::Primary).await });
        }
        let mut connections = Vec::with_capacity(self.connections);
        while let Some(connection) = attempts.join_next().await {
            let failed = |error: JoinError| ConnectError::Silent(error.to_string());
            connections.push(connection.map_err(failed)??);
        }
        Ok(connections.into())
    }

    /// Completes when the connections must be replaced.
    async fn broken(&self, connections: &[Arc<Connection>]) {
        let ends = async {
            // When one connection ends, all are replaced, because most likely the server is gone.
            let mut watches = JoinSet::new();
            for connection in connections {
                let connection = Arc::clone(connection);
                watches.spawn(async move { connection.ended().await });
            }
            watches.join_next().await;
        };
        match (&self.target, connections.first()) {
            (Target::Master(sentinels), Some(connection)) => {
                tokio::select! {
                    () = ends => {}
                    () = sentinels.replaced(&self.connector, &connection.host) => {}
                }
            }
            _ => ends.await,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Master(sentinels) => sentinels.fmt(f),
        }
    }
}

impl Drop for ServerPool {
    fn drop(&mut self) {
        self.maintainer.abort();
    }
}

impl fmt::Debug for ServerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPool").field("host", &self.host()).finish_non_exhaustive()
    }
}
