//! A server that is kept connected: whoever asks gets a line to it, and a task replaces lines that
//! break for as long as the post is there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::base::clock::Stopwatch;
use crate::store::redis::address::Host;
use crate::store::redis::dial::Dialer;
use crate::store::redis::dial::Kind;
use crate::store::redis::dial::Line;
use crate::store::redis::dial::Undialed;
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
/// Lines where each write waits for replicas: it holds up what comes behind it on its line.
const LINES_WHILE_WAITING: usize = 8;

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
    turn: AtomicUsize,
    keeper: AbortHandle,
}

#[derive(Debug, Clone)]
enum State {
    Up(Arc<[Arc<Line>]>),
    Away { since: Stopwatch, why: Undialed },
}

impl Post {
    /// Begins to connect. Call it within a runtime.
    pub(super) fn keep(dialer: Arc<Dialer>, whom: Whom, waits: bool) -> Self {
        let why = Undialed::Silent("nobody has tried to connect yet".to_owned());
        let (sender, state) = watch::channel(State::Away { since: Stopwatch::start(), why });
        let lines = if waits { LINES_WHILE_WAITING } else { 1 };
        let keeper = tokio::spawn(keep(Keeper { dialer, whom, lines, state: sender }));
        Self {
            state,
            under_way: Semaphore::new(UNDER_WAY_MAX),
            turn: AtomicUsize::new(0),
            keeper: keeper.abort_handle(),
        }
    }

    /// Sends commands and waits for the answers, one for each.
    pub(super) async fn send(&self, commands: &[Cmd]) -> Result<Vec<Value>, Trouble> {
        let turn = tokio::time::timeout(PATIENCE, self.under_way.acquire()).await;
        let _turn = turn.map_err(|_| Trouble::Unsent(CROWDED))?;
        let line = self.line().await?;
        let answers = line.send(commands).await;
        let answers = answers.map_err(|error| Trouble::lost(&line.host, &error))?;
        let moved =
            |answer: &Value| matches!(answer, Value::ServerError(error) if is_wrong_server(error));
        if answers.iter().any(moved) {
            line.shut();
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
    async fn line(&self) -> Result<Arc<Line>, Trouble> {
        let mut state = self.state.clone();
        let wait = async {
            loop {
                match self.now() {
                    Ok(line) => return Ok(line),
                    Err(true) => return Err(Trouble::Unsent(GONE)),
                    Err(false) => {}
                }
                // The keeper announces a new line, and the end of an attempt.
                state.mark_unchanged();
                if let Ok(line) = self.now() {
                    return Ok(line);
                }
                state.changed().await.map_err(|_| Trouble::Unsent(CLOSED))?;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or(Err(Trouble::Unsent(GONE)))
    }

    /// A line; without one, whether it is pointless to wait.
    fn now(&self) -> Result<Arc<Line>, bool> {
        match &*self.state.borrow() {
            State::Up(lines) => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let next = lines.get(turn % lines.len().max(1)).filter(|line| !line.is_broken());
                next.map(Arc::clone).ok_or(false)
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
        let mut lines = Vec::with_capacity(self.lines);
        for _ in 0..self.lines {
            lines.push(self.dialer.dial(&host, Kind::Primary).await?);
        }
        Ok(lines.into())
    }

    /// Comes back when the lines are not the right ones any more.
    async fn broken(&self, lines: &[Arc<Line>]) {
        let ends = async {
            // A line that ends takes the others along: most likely it is the server that went.
            let mut watches = tokio::task::JoinSet::new();
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
