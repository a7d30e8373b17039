//! A callback that comes again: whose repeat it is, and what it gets instead of a second run.
//!
//! ```text
//!             redeemed                 the handler returned
//!   unspent ───────────▶ running ─────────────────────────────▶ answered, or not kept
//!                         │  ▲  │ refused before the handler
//!        the node died, or│  │  └──────────────────────▶ unbegun ──┐
//!        its lease is over▼  │ a repeat takes over                 │
//!                    interrupted ◀── only where the row allows it  │
//!                            └─────────────────────────────────────┘
//! ```
//!
//! The node that runs the handler renews the lease of the run every few seconds, so that others
//! learn soon that it died.
//!
//! Two requests are one callback when they bring the same token with the same method, path, query
//! and body, and come from the same browser or both from a program (docs/CONTRACT.md §6.5).

use std::time::Duration;

use ring::hmac;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::token::Attempt;
use crate::token::ClaimMark;
use crate::token::SealedAnswer;
use crate::token::Token;
use crate::token::TokenSecret;
use crate::token::Verdict;

/// What makes two requests with one token the same callback.
///
/// Both parts are keyed with the token, so that nobody who reads a store can try out what was
/// sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatKey {
    /// The digest of method, path, query and sender.
    pub call: Digest,
    /// The digest of the body.
    pub body: Digest,
}

/// What a callback consists of, beside its token.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'r> {
    /// The method.
    pub method: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The query without the token, in one form for all spellings.
    pub query: &'r str,
    /// By what the browser is known that sent it; `None` for a program.
    pub browser: Option<Digest>,
    /// The body. That of a GET means nothing (RFC 9110 §9.3.1) and is given as empty.
    pub body: &'r [u8],
}

impl RepeatKey {
    /// The key of a request that brings this token.
    pub fn of(secret: &TokenSecret, callback: &Callback<'_>) -> Self {
        let Callback { method, path, query, browser, body } = callback;
        let browser: &[u8] = browser.as_ref().map_or(&[], |digest| digest.bytes());
        let call = [method.as_bytes(), path.as_bytes(), query.as_bytes(), browser];
        Self { call: keyed(secret, "call", &call), body: keyed(secret, "body", &[body]) }
    }
}

fn keyed<T: AsRef<[u8]>>(secret: &TokenSecret, purpose: &str, parts: &[T]) -> Digest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(b"callgate/1 repeat ");
    context.update(purpose.as_bytes());
    for part in parts.iter().map(AsRef::as_ref) {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    Digest::from_bytes(bytes)
}

/// What a redemption says about repeats, its own and those it may itself be one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatWish {
    /// Which callback it is.
    pub key: RepeatKey,
    /// How long after it, if it wins, the same callback counts as its repeat.
    pub window: Duration,
    /// How long its run counts as under way without being renewed. After that its node is taken
    /// for dead.
    pub lease: Duration,
    /// Whether it may run the handler if it finds that the first run was cut off.
    pub may_take_over: bool,
}

/// What is kept of the run that a redemption began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which callback it answers.
    pub key: RepeatKey,
    /// The attempt that runs the handler, or ran it last.
    pub by: ClaimId,
    /// From when on it counts as cut off if it has neither ended nor been renewed.
    pub deadline: Timestamp,
    /// How long it counts as under way without being renewed; `None` for a run of an earlier
    /// callgate, which renewed none.
    pub lease: Option<Duration>,
    /// The first moment at which the same callback is no repeat any more.
    pub repeats_until: Timestamp,
    /// How it stands.
    pub stage: RunStage,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStage {
    /// It has begun and has not ended, as far as is known.
    Running,
    /// It ended, and its answer is kept.
    Answered {
        /// When it was kept; the oldest answer makes room.
        at: Timestamp,
        /// The answer.
        answer: SealedAnswer,
    },
    /// It ended, and its answer was too large, or has made room for others.
    NotKept,
    /// It was cut off: nobody knows how far it came.
    Interrupted,
    /// The request was refused before its handler, or its upstream could not be connected to;
    /// nothing ran.
    Unbegun,
}

/// What a repeat is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// The first run is under way.
    Running,
    /// The first run was answered with this.
    Answered(SealedAnswer),
    /// The first run was answered, and nobody remembers with what.
    NotKept,
    /// The first run was cut off.
    Interrupted,
    /// It has the token, method and path of an earlier request, and another body.
    Differs,
}

impl Run {
    /// The run that an attempt begins at `now`.
    pub fn begin(by: ClaimId, wish: &RepeatWish, now: Timestamp) -> Self {
        Self {
            key: wish.key,
            by,
            deadline: now.after(wish.lease),
            lease: Some(wish.lease),
            repeats_until: now.after(wish.window),
            stage: RunStage::Running,
        }
    }

    /// The same run in the hands of another attempt. Its repeats are counted from the first one.
    #[must_use]
    pub fn taken_over(&self, by: ClaimId, wish: &RepeatWish, now: Timestamp) -> Self {
        Self { repeats_until: self.repeats_until, ..Self::begin(by, wish, now) }
    }

    /// The same run, which goes on at `now`. Its deadline moves even where the clock stands still:
    /// other nodes recognise by it that it was renewed.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Self {
        let next = self.deadline.after(Duration::from_millis(1));
        let deadline = self.lease.map_or(self.deadline, |lease| now.after(lease).max(next));
        Self { deadline, ..self.clone() }
    }

    /// The kept answer, if there is one, and when it was kept.
    pub fn answer(&self) -> Option<(Timestamp, &SealedAnswer)> {
        match &self.stage {
            RunStage::Answered { at, answer } => Some((*at, answer)),
            _ => None,
        }
    }

    fn is_under_way(&self, now: Timestamp) -> bool {
        self.stage == RunStage::Running && now < self.deadline
    }

    /// What a repeat is told; `None` if it may run the handler itself.
    fn tell(&self, wish: &RepeatWish, now: Timestamp) -> Option<Repeat> {
        if wish.key.body != self.key.body {
            return Some(Repeat::Differs);
        }
        match &self.stage {
            RunStage::Running if self.is_under_way(now) => Some(Repeat::Running),
            RunStage::Running | RunStage::Interrupted => {
                (!wish.may_take_over).then_some(Repeat::Interrupted)
            }
            RunStage::Answered { answer, .. } => Some(Repeat::Answered(answer.clone())),
            RunStage::NotKept => Some(Repeat::NotKept),
            RunStage::Unbegun => None,
        }
    }
}

impl Token {
    /// Decides an attempt that finds the token claimed.
    pub(super) fn judge_again(
        &self,
        mark: ClaimMark,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Verdict {
        let Some(run) = &self.run else {
            return if mark.id == attempt.id { Verdict::WonBefore } else { Verdict::Used(mark.at) };
        };
        if run.by == attempt.id && run.is_under_way(now) {
            return Verdict::WonBefore;
        }
        let is_repeat =
            |wish: &RepeatWish| wish.key.call == run.key.call && now < run.repeats_until;
        let Some(wish) = attempt.repeat.filter(is_repeat) else {
            return Verdict::Used(mark.at);
        };
        match run.tell(&wish, now) {
            Some(repeat) => Verdict::Repeats(mark.at, repeat),
            None if !self.is_for(attempt.handler) => Verdict::WrongHandler,
            // A second run does as much as the first one, so a person is asked as before it.
            None => self.question(attempt).map_or(
                Verdict::TakesOver(run.taken_over(attempt.id, &wish, now)),
                Verdict::AskFirst,
            ),
        }
    }
}
