//! A server that is kept connected: whoever asks gets a line to it, and a task replaces lines that
//! break for as long as the post is there.

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

/// How long a command waits for a connection, or for its turn.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// An outage of this age is no hiccup, and nobody waits for its end.
const HICCUP: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Commands under way at once on one post; more wait.
const UNDER_WAY_MAX: usize = 1_024;
/// Lines to a server: the first is for what only reads, the others are for writes. A server that
/// syncs its log before it answers does so once for all that it has read by then, and of one line it
/// reads 16 KiB at a time, a few writes; and a write that waits for replicas holds up what comes
/// behind it on its line.
const LINES: usize = 1 + 16;

const GONE: &str = "there is no connection to its server";
const CLOSED: &str = "it is closed";
const CROWDED: &str = "too many commands wait for its server";

/// How a server is found.
#[derive(Debug)]
pub(super) enum Whom {
    /// It is always this one.
    Host(Host),
    /// The one that the Sentinels name.
    Master(Sentinels),
}

/// One server and the lines to it.
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
    /// Begins to connect. Call it within a runtime.
    pub(super) fn keep(dialer: Arc<Dialer>, whom: Whom) -> Self {
        let why = Undialed::Silent("nobody has tried to connect yet".to_owned());
        let (sender, state) = watch::channel(State::Away { since: Stopwatch::start(), why });
        let keeper = tokio::spawn(keep(Keeper { dialer, whom, lines: LINES, state: sender }));
        Self { state, under_way: Semaphore::new(UNDER_WAY_MAX), keeper: keeper.abort_handle() }
    }

    /// Sends commands and waits for the answers, one for each. They may hold up what is sent next
    /// on their line if `weight` is heavy.
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
            // The others lead to the same server, and it must not be read from either.
            self.doubt();
        }
        Ok(answers)
    }

    /// Breaks the lines off, so that whoever is to be talked to is found anew.
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

    /// The server that the lines lead to.
    pub(super) fn host(&self) -> Option<Host> {
        match &*self.state.borrow() {
            State::Up(lines) => lines.first().map(|line| line.host.clone()),
            State::Away { .. } => None,
        }
    }

    /// Ends all lines, and their replacement.
    pub(super) fn close(&self) {
        self.keeper.abort();
        self.doubt();
    }

    /// A line that is not known to be broken. Within a hiccup it is waited for.
    async fn line(&self, weight: Weight) -> Result<Arc<Line>, Trouble> {
        let mut state = self.state.clone();
        let wait = async {
            loop {
                match self.now(weight) {
                    Ok(line) => return Ok(line),
                    Err(true) => return Err(Trouble::Unsent(GONE)),
                    Err(false) => {}
                }
                // The keeper announces a new line, and the end of an attempt.
                state.mark_unchanged();
                if let Ok(line) = self.now(weight) {
                    return Ok(line);
                }
                state.changed().await.map_err(|_| Trouble::Unsent(CLOSED))?;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Err(Trouble::Unsent(GONE)))
    }

    /// A line; without one, whether it is pointless to wait.
    fn now(&self, weight: Weight) -> Result<Arc<Line>, bool> {
        match &*self.state.borrow() {
            State::Up(lines) => {
                let own = match (weight, lines.split_first()) {
                    (Weight::Heavy, Some((_, rest))) if !rest.is_empty() => rest,
                    (_, Some((first, _))) => std::slice::from_ref(first),
                    (_, None) => &[],
                };
                // A line that holds what is sent on it counts once, and once more for each of them.
                let idlest = own.iter().min_by_key(|line| Arc::strong_count(line));
                idlest.filter(|line| !line.is_broken()).map(Arc::clone).ok_or(false)
            }
            State::Away { since, .. } => Err(since.elapsed() > HICCUP),
        }
    }
}

/// Replaces the lines of one post.
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

    /// Comes back when the lines are not the right ones any more.
    async fn broken(&self, lines: &[Arc<Line>]) {
        let ends = async {
            // A line that ends takes the others along: most likely it is the server that went.
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
