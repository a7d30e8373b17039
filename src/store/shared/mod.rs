//! Stores that many nodes share: an operation reads a session, decides in the node, and writes.
//!
//! ```text
//!   engine     the interface of a database: rows, read and written in atomic steps
//!   snapshot      one session as rows, as its state, and as a commit
//!   order      a claim in the form in which a database grants it by itself
//!   session_cache  a bound and a lock for the requests of each session, and its last known state
//!   leases     which runs of callbacks are cut off, as far as this node has seen
//!   guests     how many more guests a node may admit
//!   last_used_batch    pending uses of sessions
//!   map        an engine in memory, for tests and simulations          (feature `testing`)
//!   cases      the cases of a redemption that engines decide           (feature `testing`)
//! ```
//!
//! The state machine is that of the other stores ([`live`](crate::store::live)), so an operation
//! means the same in all of them. The changes of a session are written
//! under the version that was read. If another node wrote first, the operation decides again on
//! the new state. A session that was read in the same request is cached, so that its write needs
//! no second read. An operation that changes nothing is never served from that cache.

#[cfg(any(test, feature = "testing"))]
pub mod cases;
pub mod engine;
#[cfg(any(test, feature = "testing"))]
pub mod map;
mod node;
mod open;
mod operations;
mod order;
mod snapshot;
mod tokens;

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::secret::entropy::OsEntropy;
use crate::base::secret::entropy::random;
use crate::store::error::StoreError;
use crate::store::live::Config;
use crate::store::port::Operation;
use crate::store::port::StoreReply;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::node::guests::Guests;
use crate::store::shared::node::last_used_batch::BATCH_MAX;
use crate::store::shared::node::last_used_batch::LastUsedBatch;
use crate::store::shared::node::last_used_batch::TOUCH_PAUSE;
use crate::store::shared::node::leases::Leases;
use crate::store::shared::node::session_cache::CachedSession;
use crate::store::shared::node::session_cache::SessionCache;
use crate::store::shared::snapshot::Planned;
use crate::store::shared::snapshot::Snapshot;
use crate::token::Token;

pub use engine::Engine;
pub use open::{OpenError, OpenErrorKind};

/// Maximum number of operations that use the database at once. More are refused, so that callers
/// do not queue for a database behind thousands of others.
const OPERATIONS_MAX: usize = 4_096;
/// Maximum number of attempts of an operation whose commits conflict. Each conflict means that the
/// session has changed, so some other operation made progress.
const ATTEMPTS_MAX: usize = 64;

/// Keeps sessions and tokens in a database that many nodes share.
#[derive(Debug)]
pub struct SharedStore {
    engine: Arc<dyn Engine>,
    session_cache: SessionCache,
    last_used_batch: Arc<LastUsedBatch>,
    guests: Guests,
    leases: Leases,
    /// The latest time that any caller has passed to this node, in milliseconds.
    latest: AtomicU64,
    room: Semaphore,
    closed: AtomicBool,
}

impl SharedStore {
    /// A store on this engine. Call it within a runtime: it flushes uses of sessions to the
    /// database every few seconds until it is dropped.
    #[cfg(any(test, feature = "testing"))]
    pub fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        Self::with(engine, Config::default())
    }

    /// A store on this engine in which guests have the share that `config` sets.
    pub fn with(engine: Arc<dyn Engine>, config: Config) -> Arc<Self> {
        let last_used_batch = Arc::new(LastUsedBatch::default());
        tokio::spawn(flush_often(Arc::downgrade(&last_used_batch), Arc::clone(&engine)));
        Arc::new(Self {
            engine,
            session_cache: SessionCache::default(),
            last_used_batch,
            guests: Guests::new(config),
            leases: Leases::default(),
            latest: AtomicU64::new(0),
            room: Semaphore::new(OPERATIONS_MAX),
            closed: AtomicBool::new(false),
        })
    }

    /// Admits an operation to the database. An operation that waits for others on its session is
    /// admitted after it has waited, so that only those that use the database count.
    fn begin(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Refused("it is closed"));
        }
        self.room.try_acquire().map_err(|_| StoreError::Refused("too many operations wait for it"))
    }

    /// Admits an operation on a token. The end of a run is never refused for lack of room: the
    /// handlers that run are bounded already, and the run would count as cut off.
    fn begin_on_token(
        &self,
        operation: &Operation,
    ) -> Result<Option<SemaphorePermit<'_>>, StoreError> {
        match (self.begin(), operation) {
            (Err(_), Operation::Conclude { .. }) if !self.closed.load(Ordering::SeqCst) => Ok(None),
            (place, _) => place.map(Some),
        }
    }

    /// The present, computed from the caller's clock. It never goes back within a node, and a node
    /// whose clock is behind that of the database uses the database's.
    fn present(&self, now: Timestamp) -> Timestamp {
        let now = now.after(self.engine.ahead()).millis();
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::SeqCst).max(now))
    }

    /// A session from the database, with the uses that this node has not written yet.
    async fn read(&self, id: SessionId) -> Result<Snapshot, StoreError> {
        let row = self.engine.read(id).await?;
        self.snapshot(id, row)
    }

    fn snapshot(&self, id: SessionId, row: Option<SessionRow>) -> Result<Snapshot, StoreError> {
        let snapshot = Snapshot::read(id, row).map_err(|bad| StoreError::Corrupt(Box::new(bad)))?;
        Ok(snapshot.seen(self.last_used_batch.last(id)))
    }

    /// Runs an operation that changes nothing unless it finds that the session has expired.
    async fn ask(
        &self,
        now: Timestamp,
        id: SessionId,
        operation: &Operation,
    ) -> Result<StoreReply, StoreError> {
        let cached = self.session_cache.enter(id);
        let _admitted = cached.admit()?;
        let reading = self.begin()?;
        let now = self.present(now);
        let snapshot = self.read(id).await?;
        let planned = snapshot.decide(now, None, operation)?;
        if planned.commit.is_none() {
            if planned.touched && !self.last_used_batch.note(id, now) {
                self.engine.touch(vec![(id, now)]).await?;
            }
            self.session_cache.remember(snapshot);
            return Ok(planned.answer);
        }
        drop(reading);
        let _turn = cached.turn().await?;
        let _writing = self.begin()?;
        sure(self.write(now, &cached, snapshot, operation).await)
    }

    /// Runs an operation that writes to a session. It decides on the state that this node saw
    /// last, or on `guess` if there is none, and reads first if there is neither. `None`: the
    /// token that it mints exists already.
    async fn work(
        &self,
        now: Timestamp,
        id: SessionId,
        guess: Option<Snapshot>,
        operation: &Operation,
    ) -> Result<Option<StoreReply>, StoreError> {
        let cached = self.session_cache.enter(id);
        let _admitted = cached.admit()?;
        let _turn = cached.turn().await?;
        let _writing = self.begin()?;
        let now = self.present(now);
        let known =
            cached.known().map(|known| Snapshot::clone(&known).seen(self.last_used_batch.last(id)));
        // Only a commit verifies that the cached state is current, so a result without a commit,
        // or a refusal, must not be returned.
        let planned = known.or(guess).and_then(|first| first.decide(now, None, operation).ok());
        let snapshot = match planned {
            Some(planned) if planned.commit.is_some() => match self.commit(&cached, planned).await?
            {
                Tried::Done(answer) => return Ok(Some(answer)),
                Tried::Stale(row) => self.snapshot(id, row)?,
                Tried::TokenExists | Tried::Unfenced => return Ok(None),
            },
            _ => self.read(id).await?,
        };
        self.write(now, &cached, snapshot, operation).await
    }

    /// Decides and commits until the commit finds the session that was decided on.
    async fn write(
        &self,
        now: Timestamp,
        cached: &CachedSession,
        mut snapshot: Snapshot,
        operation: &Operation,
    ) -> Result<Option<StoreReply>, StoreError> {
        let id = snapshot.state.id;
        for _ in 0..ATTEMPTS_MAX {
            let planned = snapshot.decide(now, None, operation)?;
            match self.commit(cached, planned).await? {
                Tried::Done(answer) => return Ok(Some(answer)),
                Tried::Stale(row) => snapshot = self.snapshot(id, row)?,
                Tried::TokenExists | Tried::Unfenced => return Ok(None),
            }
        }
        Err(contended())
    }

    /// Writes what an operation planned to.
    async fn commit(&self, cached: &CachedSession, planned: Planned) -> Result<Tried, StoreError> {
        let Some(commit) = planned.commit else {
            self.session_cache.remember(planned.after);
            return Ok(Tried::Done(planned.answer));
        };
        let next = version()?;
        let guest = Guest::in_commit(&commit);
        match self.engine.commit(Commit { next, ..commit }).await {
            Ok(Committed::Done) => {
                self.session_cache.remember(planned.after.written(next));
                if let Some(Guest { id, is_new, bytes }) = guest
                    && self.guests.wrote(is_new, bytes)
                {
                    self.make_room(id).await;
                }
                Ok(Tried::Done(planned.answer))
            }
            Ok(Committed::Stale(row)) => {
                cached.forget();
                Ok(Tried::Stale(row))
            }
            Ok(Committed::TokenExists) => Ok(Tried::TokenExists),
            Ok(Committed::Unfenced) => Ok(Tried::Unfenced),
            Err(error) => {
                cached.forget();
                Err(error)
            }
        }
    }

    /// Ensures that guests have no more than their share, and spares this one. The operation is
    /// complete, so an error is left to the next call.
    async fn make_room(&self, id: SessionId) {
        let now = Timestamp::from_millis(self.latest.load(Ordering::SeqCst));
        if let Err(error) = self.guests.trim(&*self.engine, now, Some(id)).await {
            tracing::warn!(event = "store.trim.failed", %error);
        }
    }

    /// Runs an operation on a token that the database did not decide by itself. `read` is the
    /// state that it decides on first.
    async fn work_on_token(
        &self,
        now: Timestamp,
        (found, read): (Found, impl Fn(Token) -> Token),
        operation: &Operation,
    ) -> Result<OnToken, StoreError> {
        let (id, digest) = (found.token.session, found.token.digest);
        let cached = self.session_cache.enter(id);
        let plan = |mut found: Found| -> Result<(Token, Planned), StoreError> {
            let token = read(token(&found)?);
            let planned =
                self.snapshot(id, found.session.take())?.decide(now, Some(&token), operation)?;
            Ok((token, planned))
        };
        let (mut token, mut planned) = plan(found)?;
        // A decision without a write is final, and needs no turn.
        let writes = planned.commit.is_some();
        let ends_run = matches!(operation, Operation::Conclude { .. });
        let _admitted = if writes && !ends_run { Some(cached.admit()?) } else { None };
        let _turn = if writes { Some(cached.turn().await?) } else { None };
        let _writing = if writes { self.begin_on_token(operation)? } else { None };
        for _ in 0..ATTEMPTS_MAX {
            match self.commit(&cached, planned).await? {
                Tried::Done(answer) => return Ok(OnToken::Answer(answer)),
                Tried::Unfenced => return Ok(OnToken::Unfenced(Box::new(token))),
                // No token is minted here.
                Tried::Stale(_) | Tried::TokenExists => {}
            }
            match self.engine.find(TokenKey::Digest(digest)).await? {
                Some(again) => (token, planned) = plan(again)?,
                None => return Ok(OnToken::Gone),
            }
        }
        Err(contended())
    }

    /// Writes every pending use of a session to the database, so that other nodes see it.
    pub async fn flush(&self) -> Result<(), StoreError> {
        flush(&self.last_used_batch, &*self.engine).await
    }
}

/// A guest whose document was written.
struct Guest {
    id: SessionId,
    is_new: bool,
    bytes: usize,
}

impl Guest {
    fn in_commit(commit: &Commit) -> Option<Self> {
        let row = commit.session.as_ref().filter(|_| commit.guest)?;
        let is_new = commit.expect == Expect::Absent;
        Some(Self { id: commit.id, is_new, bytes: row.doc.len() })
    }
}

/// The result of a commit.
enum Tried {
    Done(StoreReply),
    Stale(Option<SessionRow>),
    TokenExists,
    Unfenced,
}

/// The result of an operation on a token.
enum OnToken {
    Answer(StoreReply),
    /// Its fence does not hold.
    Unfenced(Box<Token>),
    /// It was revoked or forgotten meanwhile.
    Gone,
}

/// A version that no session has ever had.
fn version() -> Result<u64, StoreError> {
    let bytes = random(&OsEntropy::new()).map_err(|_| StoreError::Refused("no random bytes"))?;
    // Positive in databases that count with a sign.
    Ok((u64::from_be_bytes(bytes) >> 2) + 1)
}

fn contended() -> StoreError {
    StoreError::Refused("other nodes change the session all the time")
}

/// The result of an operation that has none only if it mints a token that exists already.
fn sure(answer: Result<Option<StoreReply>, StoreError>) -> Result<StoreReply, StoreError> {
    answer?.ok_or(StoreError::Refused("a token with this digest was minted before"))
}

fn token(found: &Found) -> Result<Token, StoreError> {
    tokens::token(&found.token).map_err(|bad| StoreError::Corrupt(Box::new(bad)))
}

/// Writes what is pending now to the database. Later uses wait for the next call, because on a
/// busy node the loop would never end.
async fn flush(last_used_batch: &LastUsedBatch, engine: &dyn Engine) -> Result<(), StoreError> {
    for batch in last_used_batch.waiting().chunks(BATCH_MAX) {
        engine.touch(batch.to_vec()).await?;
        last_used_batch.done(batch);
    }
    Ok(())
}

/// Flushes every few seconds, for as long as uses can be noted.
async fn flush_often(last_used_batch: Weak<LastUsedBatch>, engine: Arc<dyn Engine>) {
    loop {
        tokio::time::sleep(TOUCH_PAUSE).await;
        let Some(last_used_batch) = last_used_batch.upgrade() else { return };
        if let Err(error) = flush(&last_used_batch, &*engine).await {
            // They remain pending, and the requests have completed.
            tracing::debug!(event = "store.touch.failed", %error);
        }
    }
}
