//! Repeats of a callback: how they are recognized, and what they get instead of a second run.
//!
//! ```text
//!             redeemed                 the handler returned
//!   unspent ───────────▶ running ─────────────────────────────▶ answered, or not kept
//!                         │  ▲  │ refused before the handler
//!        the node died, or│  │  └──────────────────▶ not started ──┐
//!        its lease is over▼  │ a repeat takes over                 │
//!                    interrupted ◀── only where the row allows it  │
//!                            └─────────────────────────────────────┘
//! ```
//!
//! The node that runs the handler renews the lease of the run every few seconds, so that other
//! nodes soon detect that it died.
//!
//! Two requests are one callback when they have the same token, method, path, query and body, and
//! come from the same browser or both from a program (docs/CONTRACT.md §6.5).

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
/// Both parts are keyed with the token, so that a reader of the store cannot test guesses of what
/// was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayKey {
    /// The digest of method, path, query and sender.
    pub call: Digest,
    /// The digest of the body.
    pub body: Digest,
}

/// The parts of a callback, besides its token.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'r> {
    /// The method.
    pub method: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The query without the token, in one form for all spellings.
    pub query: &'r str,
    /// A digest that identifies the browser; `None` for a program.
    pub browser: Option<Digest>,
    /// The body. That of a GET means nothing (RFC 9110 §9.3.1) and is given as empty.
    pub body: &'r [u8],
}

impl ReplayKey {
    /// The key of a request with this token.
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

/// How a redemption treats repeats: its own, and the earlier run that it may be a repeat of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The key of the callback.
    pub key: ReplayKey,
    /// How long after the redemption, if it wins, the same callback counts as its repeat.
    pub window: Duration,
    /// How long its run stays valid without a renewal. After that its node is considered dead.
    pub lease: Duration,
    /// Whether it may run the handler if it finds that the first run was cut off.
    pub may_take_over: bool,
}

/// The stored state of the run that a redemption started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The key of its callback.
    pub key: ReplayKey,
    /// The attempt that runs the handler, or ran it last.
    pub by: ClaimId,
    /// When it counts as cut off, unless it has ended or been renewed.
    pub deadline: Timestamp,
    /// How long it stays valid without a renewal; `None` for a run of an earlier callgate, which
    /// renewed none.
    pub lease: Option<Duration>,
    /// When the same callback stops being a repeat.
    pub repeats_until: Timestamp,
    /// Its stage.
    pub stage: RunStage,
}

/// The stage of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStage {
    /// It has started and has not ended, as far as is known.
    Running,
    /// It ended, and its response is stored.
    Answered {
        /// When it was stored; the oldest responses are dropped first.
        at: Timestamp,
        /// The response.
        answer: SealedAnswer,
        /// The right to the session on which it depends; `None` if on none.
        right: Option<AnswerRight>,
    },
    /// It ended, and its response was too large, or was dropped for newer ones.
    NotKept,
    /// It was cut off, and it is unknown how far it came.
    Interrupted,
    /// The request was refused before its handler, or its upstream could not be reached; the
    /// handler did not run.
    NotStarted,
}

/// The right to the session of the token that a stored response depends on: once it has ended, the
/// response is given to no repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRight {
    /// The credential with this digest.
    Credential(Digest),
    /// A redemption in mode `context`, in this generation of the session.
    Grant {
        /// The generation of the session.
        generation: u64,
    },
}

/// What a repeat gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// The first run is still running.
    Running,
    /// The response of the first run.
    Answered(SealedAnswer),
    /// The first run has ended, and its response is not stored.
    NotKept,
    /// The first run was cut off.
    Interrupted,
    /// It has the token, method and path of an earlier request, and a different body.
    Differs,
}

impl Run {
    /// The run that an attempt starts at `now`.
    pub fn begin(by: ClaimId, options: &ReplayOptions, now: Timestamp) -> Self {
        Self {
            key: options.key,
            by,
            deadline: now.after(options.lease),
            lease: Some(options.lease),
            repeats_until: now.after(options.window),
            stage: RunStage::Running,
        }
    }

    /// The same run, taken over by another attempt. Its window still starts at the first
    /// redemption.
    #[must_use]
    pub fn taken_over(&self, by: ClaimId, options: &ReplayOptions, now: Timestamp) -> Self {
        Self { repeats_until: self.repeats_until, ..Self::begin(by, options, now) }
    }

    /// The same run, renewed at `now`. Its deadline changes even if the clock stands still, because
    /// other nodes detect the renewal by it.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Self {
        let next = self.deadline.after(Duration::from_millis(1));
        let deadline = self.lease.map_or(self.deadline, |lease| now.after(lease).max(next));
        Self { deadline, ..self.clone() }
    }

    /// The stored response, if there is one, and when it was stored.
    pub fn answer(&self) -> Option<(Timestamp, &SealedAnswer)> {
        match &self.stage {
            RunStage::Answered { at, answer, .. } => Some((*at, answer)),
            _ => None,
        }
    }

    /// The right on which the stored response depends.
    pub fn answer_right(&self) -> Option<AnswerRight> {
        match self.stage {
            RunStage::Answered { right, .. } => right,
            _ => None,
        }
    }

    fn is_under_way(&self, now: Timestamp) -> bool {
        self.stage == RunStage::Running && now < self.deadline
    }

    /// What a repeat gets; `None` if it may run the handler itself.
    fn tell(&self, options: &ReplayOptions, now: Timestamp) -> Option<Repeat> {
        if options.key.body != self.key.body {
            return Some(Repeat::Differs);
        }
        match &self.stage {
            RunStage::Running if self.is_under_way(now) => Some(Repeat::Running),
            RunStage::Running | RunStage::Interrupted => {
                (!options.may_take_over).then_some(Repeat::Interrupted)
            }
            RunStage::Answered { answer, .. } => Some(Repeat::Answered(answer.clone())),
            RunStage::NotKept => Some(Repeat::NotKept),
            RunStage::NotStarted => None,
        }
    }
}

impl Token {
    /// Decides an attempt on a token that is claimed already.
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
            |options: &ReplayOptions| options.key.call == run.key.call && now < run.repeats_until;
        let Some(options) = attempt.repeat.filter(is_repeat) else {
            return Verdict::Used(mark.at);
        };
        match run.tell(&options, now) {
            Some(repeat) => Verdict::Repeats(mark.at, repeat),
            None if !self.is_for(attempt.handler) => Verdict::WrongHandler,
            // A second run has the same effects as the first one, so it needs the same
            // confirmation.
            None => self.question(attempt).map_or(
                Verdict::TakesOver(run.taken_over(attempt.id, &options, now)),
                Verdict::AskFirst,
            ),
        }
    }
}
