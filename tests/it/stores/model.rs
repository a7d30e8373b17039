//! A model of the store port in plain maps: what every verb must answer, without any of the
//! machinery that makes it fast or durable.

use std::collections::BTreeMap;

use callgate::base::Timestamp;
use callgate::base::limits::TOKEN_GRACE;
use callgate::base::limits::TOKENS_PER_SESSION_MAX;
use callgate::base::limits::TOMBSTONE;
use callgate::session::Lifetime;
use callgate::token::Question;

use crate::stores::bearer::Bearer;
use crate::stores::bearer::Wish;

/// A session or token by number.
pub(crate) type Number = usize;

/// Everything there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) now: Timestamp,
    pub(crate) sessions: BTreeMap<Number, Held>,
    pub(crate) tokens: BTreeMap<Number, Slip>,
}

/// What is known of a session.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) storage: BTreeMap<usize, u64>,
    /// The browsers that may open it, by number, in the order they joined.
    pub(crate) devices: Vec<Number>,
    seen_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// What is known of a token.
#[derive(Debug, Clone)]
pub(crate) struct Slip {
    session: Number,
    expires_at: Timestamp,
    wish: Wish,
    /// The attempt that won.
    pub(crate) won: Option<Number>,
}

/// How a redemption must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Granted(Number),
    Used,
    Expired,
    Unknown,
    SessionGone,
    Asks(Question),
    /// Any refusal: the store may have forgotten why.
    Refused,
}

impl Model {
    pub(crate) fn advance(&mut self, millis: u64) {
        self.now = Timestamp::from_millis(self.now.millis() + millis);
    }

    /// Whether a session lives. One that is found to have expired ends there and then.
    pub(crate) fn lives(&mut self, session: Number) -> bool {
        let now = self.now;
        let Some(held) = self.sessions.get_mut(&session) else { return false };
        if held.ended_at.is_none() && now >= held.seen_at.after(Lifetime::default().idle()) {
            held.ended_at = Some(now);
        }
        held.ended_at.is_none()
    }

    pub(crate) fn create(&mut self, session: Number, device: Number) {
        let held = Held {
            storage: BTreeMap::new(),
            devices: vec![device],
            seen_at: self.now,
            ended_at: None,
        };
        self.sessions.insert(session, held);
    }

    pub(crate) fn resume(&mut self, session: Number, device: Number) -> bool {
        let (lives, now) = (self.lives(session), self.now);
        let held =
            self.sessions.get_mut(&session).filter(|held| lives && held.devices.contains(&device));
        held.map(|held| held.seen_at = now).is_some()
    }

    /// Writes a value; with a device, rotates to it, which ends every other and all tokens.
    pub(crate) fn patch(
        &mut self,
        session: Number,
        key: usize,
        value: u64,
        rotate: Option<Number>,
    ) -> bool {
        if !self.lives(session) {
            return false;
        }
        let Some(held) = self.sessions.get_mut(&session) else { return false };
        held.storage.insert(key, value);
        if let Some(device) = rotate {
            held.devices = vec![device];
            self.tokens.retain(|_, slip| slip.session != session || slip.won.is_some());
        }
        true
    }

    /// Whether a token may be minted: false for no session, `None` for too many.
    pub(crate) fn mint(&mut self, session: Number, token: Number, wish: Wish) -> Option<bool> {
        if !self.lives(session) {
            return Some(false);
        }
        let unspent = self
            .tokens
            .values()
            .filter(|slip| slip.session == session && slip.is_unspent(self.now));
        if unspent.count() >= TOKENS_PER_SESSION_MAX {
            return None;
        }
        let expires_at = self.now.after_secs(wish.lifespan_secs);
        let slip = Slip { session, expires_at, wish, won: None };
        self.tokens.insert(token, slip);
        Some(true)
    }

    pub(crate) fn redeem(&mut self, token: Number, attempt: Number, bearer: Bearer) -> Ending {
        let Some(slip) = self.tokens.get(&token).cloned() else { return Ending::Unknown };
        let (session, now) = (slip.session, self.now);
        match slip.won {
            _ if now >= slip.expires_at.after(TOKEN_GRACE) => return Ending::Unknown,
            _ if self.may_be_forgotten(&slip) => return Ending::Refused,
            Some(won) if won != attempt => return Ending::Used,
            None if now >= slip.expires_at => return Ending::Expired,
            _ => {}
        }
        let first = slip.won.is_none();
        let question = bearer.question(slip.wish, session).filter(|_| first);
        if question.is_none() {
            self.tokens.insert(token, Slip { won: Some(attempt), ..slip });
        }
        if !self.lives(session) {
            return Ending::SessionGone;
        }
        if let Some(question) = question {
            return Ending::Asks(question);
        }
        if let Some(held) = self.sessions.get_mut(&session).filter(|_| first) {
            held.seen_at = now;
            if bearer.joins {
                held.devices.push(attempt);
            }
        }
        Ending::Granted(session)
    }

    /// Whether a session has been over for so long that its tokens may be forgotten with it. A
    /// session that expired is over from then on or from when somebody noticed, a sweep perhaps.
    fn may_be_forgotten(&self, slip: &Slip) -> bool {
        let Some(held) = self.sessions.get(&slip.session) else { return false };
        let expired_at = held.seen_at.after(Lifetime::default().idle());
        let over_at = held.ended_at.map_or(expired_at, |ended_at| ended_at.min(expired_at));
        self.now >= over_at.after(TOMBSTONE)
    }

    /// Whether an unspent token is taken back; `None` if that depends on what was forgotten.
    pub(crate) fn revoke(&mut self, token: Number) -> Option<bool> {
        let Some(slip) = self.tokens.get(&token).cloned() else { return Some(false) };
        if slip.is_unspent(self.now) {
            self.tokens.remove(&token);
            return (!self.may_be_forgotten(&slip)).then_some(true);
        }
        Some(false)
    }

    pub(crate) fn detach(&mut self, session: Number, device: Number) -> bool {
        let lives = self.lives(session);
        let Some(held) = self.sessions.get_mut(&session).filter(|_| lives) else { return false };
        let before = held.devices.len();
        held.devices.retain(|other| *other != device);
        held.devices.len() < before
    }

    pub(crate) fn end(&mut self, session: Number) -> bool {
        let lives = self.lives(session);
        if let Some(held) = self.sessions.get_mut(&session).filter(|_| lives) {
            held.ended_at = Some(self.now);
        }
        lives
    }
}

impl Slip {
    fn is_unspent(&self, now: Timestamp) -> bool {
        self.won.is_none() && now < self.expires_at
    }
}
