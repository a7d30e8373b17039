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
use crate::store::redis::address::Host;
use crate::store::redis::dial::Dialer;
use crate::store::redis::dial::Kind;
use crate::store::redis::dial::Line;
use crate::store::redis::dial::Undialed;
use crate::store::redis::link::Weight;
use crate::store::redis::sentinel::Sentinels;
use crate::store::redis::trouble::Trouble;
use crate::store::redis::trouble::is_wrong_server;

/// How long a command waits for a connection, or for a permit.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// Commands fail fast once an outage is older than this.
const HICCUP: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Maximum number of commands in flight to one server; more wait.
const UNDER_WAY_MAX: usize = 1_024;
/// Connections to a server: the first is for reads, the others are for writes. A server that syncs
/// its log before it replies syncs once for all it has read by then, and it reads 16 KiB at a time
/// from one connection, which is only a few writes. A write that waits for replicas also blocks
/// the commands after it on its connection.
const LINES: usize = 1 + 16;

const GONE: &str = "there is no connection to its server";
const CLOSED: &str = "it is closed";
const CROWDED: &str = "too many commands wait for its server";

/// How a server is found.
#[derive(Debug)]
pub(super) enum Whom {
    /// Always this one.
    Host(Host),
    /// The one that the Sentinels report.
    Master(Sentinels),
}

/// One server and its connections.
pub(super) struct Post {
    state: watch::Receiver<State>,
    under_way: Semaphore,
    keeper: AbortHandle,
}

#[derive(Debug, Clone)]
enum State {
    Up(Arc<[Arc<Line>]>),
    Away { since: Stopwatch, why: Undialed },
}

impl Post {
    /// Starts to connect. Call it within a runtime.
    pub(super) fn keep(dialer: Arc<Dialer>, whom: Whom) -> Self {
        let why = Undialed::Silent("nobody has tried to connect yet".to_owned());
        let (sender, state) = watch::channel(State::Away { since: Stopwatch::start(), why });
        let keeper = tokio::spawn(keep(Keeper { dialer, whom, lines: LINES, state: sender }));
        Self { state, under_way: Semaphore::new(UNDER_WAY_MAX), keeper: keeper.abort_handle() }
    }

    /// Sends commands and waits for the replies, one for each. If `weight` is heavy, they may
    /// block later commands on their connection.
    pub(super) async fn send(
        &self,
        commands: &[Cmd],
        weight: Weight,
    ) -> Result<Vec<Value>, Trouble> {
        let turn = tokio::time::timeout(PATIENCE, self.under_way.acquire()).await;
        let _turn = turn.map_err(|_| Trouble::Unsent(CROWDED))?;
        let line = self.line(weight).await?;
        let answers = line.send(commands).await;
        let answers = answers.map_err(|error| Trouble::lost(&line.host, &error))?;
        let moved =
            |answer: &Value| matches!(answer, Value::ServerError(error) if is_wrong_server(error));
        if answers.iter().any(moved) {
            // The other connections are to the same server, and must not be read from either.
            self.doubt();
        }
        Ok(answers)
    }

    /// Closes the connections, so that the server to use is determined again.
    pub(super) fn doubt(&self) {
        if let State::Up(lines) = &*self.state.borrow() {
            lines.iter().for_each(|line| line.shut());
        }
    }

    /// Why there is no connection; `None` if there is one.
    pub(super) fn away(&self) -> Option<Undialed> {
        match &*self.state.borrow() {
            State::Up(_) => None,
            State::Away { why, .. } => Some(why.clone()),
        }
    }

    /// The server of the connections.
    pub(super) fn host(&self) -> Option<Host> {
        match &*self.state.borrow() {
            State::Up(lines) => lines.first().map(|line| line.host.clone()),
            State::Away { .. } => None,
        }
    }

    /// Closes all connections, and stops replacing them.
    pub(super) fn close(&self) {
        self.keeper.abort();
        self.doubt();
    }

    /// A connection that is not known to be broken. In a short outage the call waits for one.
    async fn line(&self, weight: Weight) -> Result<Arc<Line>, Trouble> {
        let mut state = self.state.clone();
        let wait = async {
            loop {
                match self.now(weight) {
                    Ok(line) => return Ok(line),
                    Err(true) => return Err(Trouble::Unsent(GONE)),
                    Err(false) => {}
                }
                // The keeper announces a new connection, and the end of an attempt.
                state.mark_unchanged();
                if let Ok(line) = self.now(weight) {
                    return Ok(line);
                }
                state.changed().await.map_err(|_| Trouble::Unsent(CLOSED))?;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Err(Trouble::Unsent(GONE)))
    }

    /// A connection, or else whether it is pointless to wait.
    fn now(&self, weight: Weight) -> Result<Arc<Line>, bool> {
        match &*self.state.borrow() {
            State::Up(lines) => {
                let own = match (weight, lines.split_first()) {
                    (Weight::Heavy, Some((_, rest))) if !rest.is_empty() => rest,
                    (_, Some((first, _))) => std::slice::from_ref(first),
                    (_, None) => &[],
                };
                // The count is one for the connection itself, and one more for each command in
                // flight on it.
                let idlest = own.iter().min_by_key(|line| Arc::strong_count(line));
                idlest.filter(|line| !line.is_broken()).map(Arc::clone).ok_or(false)
            }
            State::Away { since, .. } => Err(since.elapsed() > HICCUP),
        }
    }
}

/// Replaces the connections of one pool.
struct Keeper {
    dialer: Arc<Dialer>,
    whom: Whom,
    lines: usize,
    state: watch::Sender<State>,
}

async fn keep(keeper: Keeper) {
    let mut pause = PAUSE_MIN;
    let mut since = Stopwatch::start();
    let mut said = false;
    loop {
        match keeper.dial().await {
            Ok(lines) => {
                if said && let Some(line) = lines.first() {
                    tracing::info!(event = "store.link.up", server = %line.host);
                }
                (pause, said) = (PAUSE_MIN, false);
                keeper.state.send_replace(State::Up(Arc::clone(&lines)));
                keeper.broken(&lines).await;
                lines.iter().for_each(|line| line.shut());
                since = Stopwatch::start();
                let why = Undialed::Silent("the connection has ended".to_owned());
                keeper.state.send_replace(State::Away { since, why });
            }
            Err(why) => {
                if !said {
                    tracing::warn!(event = "store.link.down", server = %keeper.whom, why = %why);
                    said = true;
                }
                keeper.state.send_replace(State::Away { since, why });
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

impl Keeper {
    async fn dial(&self) -> Result<Arc<[Arc<Line>]>, Undialed> {
        let host = match &self.whom {
            Whom::Host(host) => host.clone(),
            Whom::Master(sentinels) => sentinels.master(&self.dialer).await?,
        };
        let mut attempts = JoinSet::new();
        for _ in 0..self.lines {
            let (dialer, host) = (Arc::clone(&self.dialer), host.clone());
            attempts.spawn(async move { dialer.dial(&host, Kind::Primary).await });
        }
        let mut lines = Vec::with_capacity(self.lines);
        while let Some(line) = attempts.join_next().await {
            let failed = |error: JoinError| Undialed::Silent(error.to_string());
            lines.push(line.map_err(failed)??);
        }
        Ok(lines.into())
    }

    /// Completes when the connections must be replaced.
    async fn broken(&self, lines: &[Arc<Line>]) {
        let ends = async {
            // When one connection ends, all are replaced, because most likely the server is gone.
            let mut watches = JoinSet::new();
            for line in lines {
                let line = Arc::clone(line);
                watches.spawn(async move { line.ended().await });
            }
            watches.join_next().await;
        };
        match (&self.whom, lines.first()) {
            (Whom::Master(sentinels), Some(line)) => {
                tokio::select! {
                    () = ends => {}
                    () = sentinels.replaced(&self.dialer, &line.host) => {}
                }
            }
            _ => ends.await,
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Master(sentinels) => sentinels.fmt(f),
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("host", &self.host()).finish_non_exhaustive()
    }
}
