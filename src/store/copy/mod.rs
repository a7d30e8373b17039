//! Copies living sessions and tokens, and all records, from one store to another, a bounded page at a time.
//!
//! A copy can be interrupted at any point and started again: a session that the target already has
//! is left unchanged. A token can never be redeemed in both stores, because it is revoked in the
//! source before it is minted in the target. An interruption between the two loses that token.
//!
//! Only living entries are copied. Tombstones of ended sessions, records of used tokens and the
//! kept responses of callbacks stay in the source.

mod records;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::task::JoinSet;

use crate::base::Clock;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::store::port::Checked;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Store;
use crate::token::Token;

pub use records::Records;

/// Sessions read in one page: of the largest possible, 32 MiB.
const SESSIONS_PER_PAGE: usize = 128;
/// Sessions written concurrently, so that those of one commit share its fsync.
const SESSIONS_AT_ONCE: usize = 32;
/// Tokens read in one page.
const TOKENS_PER_PAGE: usize = 512;
/// Tokens moved concurrently. As many are lost when the process is killed.
const TOKENS_AT_ONCE: usize = 8;
/// Attempts of an operation on a store that is unreachable or busy.
const ATTEMPTS_MAX: u32 = 7;
/// The pause before the first retry. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Source and target of a copy.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The source, whose tokens are revoked as they are moved.
    pub from: Arc<dyn Store>,
    /// The target.
    pub to: Arc<dyn Store>,
    /// The clock that decides which sessions and tokens are still alive.
    pub clock: Arc<dyn Clock>,
}

/// Progress of a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Outcomes of the sessions.
    pub sessions: Sessions,
    /// Outcomes of the tokens.
    pub tokens: Tokens,
    /// Outcomes of the records.
    pub records: Records,
}

/// Outcomes of the sessions that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Created in the target.
    pub copied: u64,
    /// Present in the target before, and unchanged there.
    pub present: u64,
    /// Ended in the target, or ended while being copied.
    pub ended: u64,
    /// Too large for the target.
    pub too_large: u64,
}

/// Outcomes of the tokens that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Redeemable in the target, and only there.
    pub moved: u64,
    /// Known to the target before, whose state of them prevails.
    pub present: u64,
    /// Redeemed, revoked or expired before they could be moved.
    pub ended: u64,
    /// Left in the source, because the target does not have their session.
    pub left: u64,
    /// Revoked in the source and not accepted by the target.
    pub lost: u64,
}

/// Why a copy stopped. What was copied until then remains copied.
#[derive(Debug)]
pub enum CopyError {
    /// The source failed.
    From(StoreError),
    /// The target failed.
    To(StoreError),
    /// A part of the copy failed within callgate.
    Within(JoinError),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(error) => write!(f, "the old store: {error}"),
            Self::To(error) => write!(f, "the new store: {error}"),
            Self::Within(error) => write!(f, "copying failed within callgate: {error}"),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::From(error) | Self::To(error) => error.source(),
            Self::Within(error) => Some(error),
        }
    }
}

/// The outcome of one session.
#[derive(Clone, Copy)]
enum SessionFate {
    Copied,
    Present,
    Ended,
    TooLarge,
}

/// The outcome of one token.
#[derive(Clone, Copy)]
enum TokenFate {
    Moved,
    Present,
    Ended,
    Left,
    Lost,
}

/// Receives the progress so far, and returns whether to continue.
pub type GoOn<'a> = &'a mut (dyn FnMut(&Tally) -> bool + Send);

impl Copy {
    /// Copies every living session. Returns false if `go_on` stopped it.
    ///
    /// A copied session keeps the time of its last use. A store whose time never goes back (rule 3
    /// of the port) may round that up to its present, which only makes the session live longer.
    pub async fn sessions(&self, tally: &mut Tally, go_on: GoOn<'_>) -> Result<bool, CopyError> {
        let mut after = None;
        loop {
            let now = self.clock.now();
            let page = patiently(|| self.from.sessions(now, after, SESSIONS_PER_PAGE)).await;
            let page = page.map_err(CopyError::From)?;
            let Some(last) = page.last() else { return Ok(true) };
            after = Some(last.record.id);
            for piece in page.chunks(SESSIONS_AT_ONCE) {
                let work = piece.iter().map(|opened| self.clone().session(opened.clone()));
                let mut came = Ok(());
                for fate in at_once(work).await {
                    match fate.map_err(CopyError::Within).flatten() {
                        Ok(fate) => tally.sessions.count(fate),
                        Err(error) => came = Err(error),
                    }
                }
                came?;
                if !go_on(tally) {
                    return Ok(false);
                }
            }
        }
    }

    /// Moves every redeemable token whose session is in the target. Returns false if `go_on`
    /// stopped it.
    pub async fn tokens(&self, tally: &mut Tally, go_on: GoOn<'_>) -> Result<bool, CopyError> {
        let mut after = None;
        loop {
            let now = self.clock.now();
            let page = patiently(|| self.from.tokens(now, after, TOKENS_PER_PAGE)).await;
            let page = page.map_err(CopyError::From)?;
            let Some(last) = page.last() else { return Ok(true) };
            after = Some(last.id);
            for piece in page.chunks(TOKENS_AT_ONCE) {
                let work = piece.iter().map(|token| self.clone().token(token.clone()));
                let mut came = Ok(());
                for fate in at_once(work).await {
                    let broken = |error| (TokenFate::Lost, Err(CopyError::Within(error)));
                    let (fate, end) = fate.unwrap_or_else(broken);
                    tally.tokens.count(fate);
                    came = came.and(end);
                }
                came?;
                if !go_on(tally) {
                    return Ok(false);
                }
            }
        }
    }

    async fn session(self, opened: Opened) -> Result<SessionFate, CopyError> {
        let id = opened.record.id;
        let record = Record::clone(&opened.record);
        let founding = Founding { record, patch: Patch::default(), token: None };
        let asked = asked_again(|| self.to.create(opened.seen_at, founding.clone())).await;
        let (created, heard) = (asked.0.map_err(CopyError::To)?, asked.1);
        let now = self.clock.now();
        Ok(match (created, heard) {
            // A session that exists after an attempt without a response was created by that
            // attempt.
            (Created::New(_), _) | (Created::Met(_), Heard::AfterSilence) => {
                // A session that has ended in the source since it was read must not come back in
                // the target.
                let still = patiently(|| self.from.look(now, id, Right::Operator))
                    .await
                    .map_err(CopyError::From)?;
                if still.done().is_some() {
                    return Ok(SessionFate::Copied);
                }
                patiently(|| self.to.end(now, id, Right::Operator)).await.map_err(CopyError::To)?;
                SessionFate::Ended
            }
            // Its first browser may have been signed out since an earlier run copied it.
            (Created::Met(_), Heard::AtOnce) | (Created::Replaced, _) => SessionFate::Present,
            (Created::Closed, _) => SessionFate::Ended,
            (Created::TooLarge, _) => SessionFate::TooLarge,
        })
    }

    async fn token(self, token: Token) -> (TokenFate, Result<(), CopyError>) {
        let now = self.clock.now();
        match patiently(|| self.to.look(now, token.session, Right::Operator)).await {
            Ok(Checked::Done(_)) => {}
            Ok(Checked::Gone | Checked::Replaced) => return (TokenFate::Left, Ok(())),
            Err(error) => return (TokenFate::Left, Err(CopyError::To(error))),
        }
        match asked_again(|| self.from.revoke(now, token.id)).await {
            (Ok(true), _) => {}
            (Ok(false), Heard::AtOnce) => return (TokenFate::Ended, Ok(())),
            // Either this attempt revoked the token or a client redeemed it, and the two cannot be
            // told apart.
            (Ok(false), Heard::AfterSilence) => return (TokenFate::Lost, Ok(())),
            (Err(error), _) => return (TokenFate::Lost, Err(CopyError::From(error))),
        }
        match asked_again(|| self.to.mint(now, Right::Operator, Patch::default(), token.clone()))
            .await
        {
            // Nothing is expected of the session, so a refusal means that the token is present
            // already.
            (Ok(Minted::Done(_)), _) | (Ok(Minted::Refused), Heard::AfterSilence) => {
                (TokenFate::Moved, Ok(()))
            }
            (Ok(Minted::Refused), Heard::AtOnce) => (TokenFate::Present, Ok(())),
            (Ok(Minted::Gone | Minted::Replaced | Minted::TooMany), _) => (TokenFate::Lost, Ok(())),
            (Err(error), _) => (TokenFate::Lost, Err(CopyError::To(error))),
        }
    }
}

/// Runs tasks concurrently, and returns the outcome of each.
async fn at_once<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<Result<T, JoinError>> {
    let mut under_way: JoinSet<T> = work.collect();
    let mut came = Vec::new();
    while let Some(end) = under_way.join_next().await {
        came.push(end);
    }
    came
}

impl Sessions {
    fn count(&mut self, fate: SessionFate) {
        *match fate {
            SessionFate::Copied => &mut self.copied,
            SessionFate::Present => &mut self.present,
            SessionFate::Ended => &mut self.ended,
            SessionFate::TooLarge => &mut self.too_large,
        } += 1;
    }

    /// The number of sessions read.
    pub fn all(&self) -> u64 {
        self.copied + self.present + self.ended + self.too_large
    }
}

impl Tokens {
    fn count(&mut self, fate: TokenFate) {
        *match fate {
            TokenFate::Moved => &mut self.moved,
            TokenFate::Present => &mut self.present,
            TokenFate::Ended => &mut self.ended,
            TokenFate::Left => &mut self.left,
            TokenFate::Lost => &mut self.lost,
        } += 1;
    }

    /// The number of tokens read.
    #[cfg(any(test, feature = "testing"))]
    pub fn all(&self) -> u64 {
        self.moved + self.present + self.ended + self.left + self.lost
    }
}

/// Whether a result belongs to the first attempt that may have had an effect.
enum Heard {
    AtOnce,
    /// An earlier attempt got no response and may have had its effect.
    AfterSilence,
}

/// Retries an operation that is safe to repeat.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    asked_again(ask).await.0
}

/// Retries until there is a result or the attempts are used up.
async fn asked_again<T, F>(ask: impl Fn() -> F) -> (Result<T, StoreError>, Heard)
where
    F: Future<Output = Result<T, StoreError>>,
{
    let (mut heard, mut pause) = (Heard::AtOnce, FIRST_PAUSE);
    for _ in 1..ATTEMPTS_MAX {
        match ask().await {
            Err(StoreError::Unreachable(_)) => heard = Heard::AfterSilence,
            Err(StoreError::Refused(_)) => {}
            said => return (said, heard),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    (ask().await, heard)
}
