//! Moving what lives from one store to another, a bounded piece at a time.
//!
//! It can be broken off anywhere and begun again: a session that is there already is left as it
//! is there. A token can never be redeemed in both stores, because it is taken back in the one
//! before it is minted in the other; what breaks off in between has lost that token.
//!
//! Only what lives is moved. That a session ended or a token was used is known to the old store
//! alone, and an answer that is kept for the repeats of a callback stays there, too.

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
use crate::store::port::Pending;
use crate::store::port::Store;
use crate::token::Token;

/// Sessions that are read at once: of the largest possible, 32 MiB.
const SESSIONS_PER_PAGE: usize = 128;
/// Sessions that are written at once, so that those of one commit share its fsync.
const SESSIONS_AT_ONCE: usize = 32;
/// Tokens that are read at once.
const TOKENS_PER_PAGE: usize = 512;
/// Tokens that are on their way at once: as many are lost when the process is killed.
const TOKENS_AT_ONCE: usize = 8;
/// How often a store that does not answer, or has no time, is asked again.
const ATTEMPTS_MAX: u32 = 7;
/// The pause before the first time; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// From where to where.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The store that is read, and whose tokens are taken back.
    pub from: Arc<dyn Store>,
    /// The store that is written.
    pub to: Arc<dyn Store>,
    /// What says which sessions and tokens live.
    pub clock: Arc<dyn Clock>,
}

/// What a copy has come to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// What became of the sessions.
    pub sessions: Sessions,
    /// What became of the tokens.
    pub tokens: Tokens,
}

/// What became of the sessions that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sessions {
    /// They were founded in the new store.
    pub copied: u64,
    /// They were there already, and stay as they are there.
    pub present: u64,
    /// They have ended in the new store, or while they were being copied.
    pub ended: u64,
    /// They do not fit into the new store.
    pub too_large: u64,
}

/// What became of the tokens that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// They can be redeemed in the new store, and there only.
    pub moved: u64,
    /// The new store knew them already; what it knows of them counts.
    pub present: u64,
    /// They were redeemed, revoked or over before they could be moved.
    pub ended: u64,
    /// Their session is not in the new store, so that they stay where they are.
    pub left: u64,
    /// They were taken back in the old store, and the new one did not take them.
    pub lost: u64,
}

/// Why a copy stopped. What was done until then stays done.
#[derive(Debug)]
pub enum CopyError {
    /// The store that is read gave no answer.
    From(StoreError),
    /// The store that is written gave no answer.
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

/// What became of one session.
#[derive(Clone, Copy)]
enum SessionFate {
    Copied,
    Present,
    Ended,
    TooLarge,
}

/// What became of one token.
#[derive(Clone, Copy)]
enum TokenFate {
    Moved,
    Present,
    Ended,
    Left,
    Lost,
}

/// Hears what was done so far, and says whether there is to be more.
pub type GoOn<'a> = &'a mut (dyn FnMut(&Tally) -> bool + Send);

impl Copy {
    /// Copies every session that lives; false if `go_on` did not want all of them.
    ///
    /// A session counts as used when it was used last. A store that never goes back (rule 3 of
    /// the port) may take that for later, up to now: then a session lives as much longer.
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

    /// Moves every token that can be redeemed and whose session is in the new store; false if
    /// `go_on` did not want all of them.
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
            // What is met after a silence is what was founded in it.
            (Created::New(_), _) | (Created::Met(_), Heard::AfterSilence) => {
                // It must not come back there if it has ended here since it was read.
                let still = patiently(|| self.from.look(now, id, Right::Operator))
                    .await
                    .map_err(CopyError::From)?;
                if still.done().is_some() {
                    return Ok(SessionFate::Copied);
                }
                patiently(|| self.to.end(now, id, Right::Operator)).await.map_err(CopyError::To)?;
                SessionFate::Ended
            }
            // Its first browser may have been put out since an earlier run copied it.
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
            // Either this has taken it back or somebody has redeemed it, and nobody knows which.
            (Ok(false), Heard::AfterSilence) => return (TokenFate::Lost, Ok(())),
            (Err(error), _) => return (TokenFate::Lost, Err(CopyError::From(error))),
        }
        match asked_again(|| self.to.mint(now, Right::Operator, Patch::default(), token.clone()))
            .await
        {
            // Nothing is expected of the session, so what is refused is there already.
            (Ok(Minted::Done(_)), _) | (Ok(Minted::Refused), Heard::AfterSilence) => {
                (TokenFate::Moved, Ok(()))
            }
            (Ok(Minted::Refused), Heard::AtOnce) => (TokenFate::Present, Ok(())),
            (Ok(Minted::Gone | Minted::Replaced | Minted::TooMany), _) => (TokenFate::Lost, Ok(())),
            (Err(error), _) => (TokenFate::Lost, Err(CopyError::To(error))),
        }
    }
}

/// Does pieces of work at once, and says how each of them ended.
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

    /// How many were read.
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

    /// How many were read.
    pub fn all(&self) -> u64 {
        self.moved + self.present + self.ended + self.left + self.lost
    }
}

/// Whether an answer is to the first question that may have had an effect.
enum Heard {
    AtOnce,
    /// A question before it was not answered, and may have done what was asked.
    AfterSilence,
}

/// Asks what may be asked any number of times.
async fn patiently<'a, T>(ask: impl Fn() -> Pending<'a, T>) -> Result<T, StoreError> {
    asked_again(ask).await.0
}

/// Asks until there is an answer, or patience is at an end.
async fn asked_again<'a, T>(ask: impl Fn() -> Pending<'a, T>) -> (Result<T, StoreError>, Heard) {
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
