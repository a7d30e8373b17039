//! A model of the store port in plain maps: what every verb must answer, without any of the
//! machinery that makes it fast or durable.

use std::collections::BTreeMap;

use callgate::base::Timestamp;
use callgate::base::limits::TOKEN_GRACE;
use callgate::base::limits::TOKENS_PER_SESSION_MAX;
use callgate::base::limits::TOMBSTONE;
use callgate::session::Lifetime;
use callgate::store::port::Checked;
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
    /// Those that ever could.
    known: Vec<Number>,
    /// How often others were put out.
    generation: u64,
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
    /// When a rotation ended it.
    put_out_at: Option<Timestamp>,
    /// The generation that he came into.
    generation: u64,
}

/// Under which right something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Operator,
    Device(Number),
    Grant(u64),
}

/// How a redemption must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Granted(Number),
    Used,
    Expired,
    Unknown,
    SessionGone,
    EndedBySignIn,
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
        let (now, needed_until) = (self.now, self.needed_until(session));
        let Some(held) = self.sessions.get_mut(&session) else { return false };
        let unused_at = held.seen_at.after(Lifetime::default().idle());
        if held.ended_at.is_none() && now >= unused_at.max(needed_until) {
            held.ended_at = Some(now);
        }
        held.ended_at.is_none()
    }

    /// When the last unspent token of a session expires.
    fn needed_until(&self, session: Number) -> Timestamp {
        let slips = self.tokens.values().filter(|slip| slip.session == session);
        let unspent = slips.filter(|slip| slip.won.is_none() && slip.put_out_at.is_none());
        unspent.map(|slip| slip.expires_at).max().unwrap_or_default()
    }

    pub(crate) fn create(&mut self, session: Number, device: Number) {
        let held = Held {
            storage: BTreeMap::new(),
            devices: vec![device],
            known: vec![device],
            generation: 0,
            seen_at: self.now,
            ended_at: None,
        };
        self.sessions.insert(session, held);
    }

    pub(crate) fn resume(&mut self, session: Number, device: Number) -> Checked<()> {
        let (came, now) = (self.under(session, By::Device(device)), self.now);
        if let (Checked::Done(()), Some(held)) = (came, self.sessions.get_mut(&session)) {
            held.seen_at = now;
        }
        came
    }

    /// One of the rights that there are or were.
    pub(crate) fn right(&self, session: Number, number: Number) -> By {
        let Some(held) = self.sessions.get(&session) else { return By::Operator };
        let devices = held.known.iter().map(|device| By::Device(*device));
        let grants = (0..=held.generation + 1).map(By::Grant);
        // As often as all the others: most steps are to change something.
        let all: Vec<By> = devices.chain(grants).collect();
        all.get(number % (2 * all.len())).copied().unwrap_or(By::Operator)
    }

    /// What becomes of something that is done under a right.
    pub(crate) fn under(&mut self, session: Number, by: By) -> Checked<()> {
        if !self.lives(session) {
            return Checked::Gone;
        }
        let held = &self.sessions[&session];
        let holds = match by {
            By::Operator => true,
            By::Device(device) => held.devices.contains(&device),
            By::Grant(generation) => held.generation == generation,
        };
        if holds { Checked::Done(()) } else { Checked::Replaced }
    }

    /// Writes a value; with a device, rotates to it, which ends every other and all tokens.
    pub(crate) fn patch(
        &mut self,
        session: Number,
        by: By,
        (key, value): (usize, u64),
        rotate: Option<Number>,
    ) -> Checked<()> {
        let came = self.under(session, by);
        let held = self.sessions.get_mut(&session).filter(|_| came == Checked::Done(()));
        let Some(held) = held else { return came };
        held.storage.insert(key, value);
        if let Some(device) = rotate {
            held.devices = vec![device];
            held.known.push(device);
            held.generation += 1;
            let now = self.now;
            let slips = self.tokens.values_mut().filter(|slip| slip.session == session);
            for slip in slips.filter(|slip| slip.won.is_none()) {
                slip.put_out_at = slip.put_out_at.or(Some(now));
            }
        }
        came
    }

    /// Whether a token may be minted; `None` for too many.
    pub(crate) fn mint(
        &mut self,
        session: Number,
        by: By,
        token: Number,
        wish: Wish,
    ) -> Option<Checked<()>> {
        let came = self.under(session, by);
        if came != Checked::Done(()) {
            return Some(came);
        }
        let unspent = self
            .tokens
            .values()
            .filter(|slip| slip.session == session && slip.is_unspent(self.now));
        if unspent.count() >= TOKENS_PER_SESSION_MAX {
            return None;
        }
        let expires_at = self.now.after_secs(wish.lifespan_secs);
        let slip = Slip { session, expires_at, wish, won: None, put_out_at: None, generation: 0 };
        self.tokens.insert(token, slip);
        Some(came)
    }

    pub(crate) fn redeem(&mut self, token: Number, attempt: Number, bearer: Bearer) -> Ending {
        let Some(slip) = self.tokens.get(&token).cloned() else { return Ending::Unknown };
        let (session, now) = (slip.session, self.now);
        if let Some(at) = slip.put_out_at {
            let remembered = now < slip.expires_at.min(at.after(TOMBSTONE));
            return if remembered { Ending::EndedBySignIn } else { Ending::Unknown };
        }
        match slip.won {
            _ if now >= slip.expires_at.after(TOKEN_GRACE) => return Ending::Unknown,
            _ if self.may_be_forgotten(&slip) => return Ending::Refused,
            Some(won) if won != attempt => return Ending::Used,
            None if now >= slip.expires_at => return Ending::Expired,
            _ => {}
        }
        let first = slip.won.is_none();
        let question = bearer.question(slip.wish, session).filter(|_| first);
        let generation = self.sessions.get(&session).map_or(0, |held| held.generation);
        // The token itself may be what the session lives for.
        let lives = self.lives(session);
        if question.is_none() && first {
            self.tokens.insert(token, Slip { won: Some(attempt), generation, ..slip.clone() });
        }
        if !lives {
            return Ending::SessionGone;
        }
        if let Some(question) = question {
            return Ending::Asks(question);
        }
        if let Some(held) = self.sessions.get_mut(&session).filter(|_| first) {
            held.seen_at = now;
            if bearer.joins {
                held.devices.push(attempt);
                held.known.push(attempt);
            }
        }
        let put_out = match &self.sessions[&session] {
            _ if first => false,
            held if bearer.joins => !held.devices.contains(&attempt),
            held => held.generation != slip.generation,
        };
        if put_out {
            return Ending::Used;
        }
        Ending::Granted(session)
    }

    /// Whether a session has been over for so long that its tokens may be forgotten with it. A
    /// session that expired is over from then on or from when somebody noticed, a sweep perhaps.
    fn may_be_forgotten(&self, slip: &Slip) -> bool {
        let Some(held) = self.sessions.get(&slip.session) else { return false };
        let unused_at = held.seen_at.after(Lifetime::default().idle());
        let expired_at = unused_at.max(self.needed_until(slip.session));
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

    pub(crate) fn detach(&mut self, session: Number, by: By, device: Number) -> Checked<bool> {
        match (self.under(session, by), self.sessions.get_mut(&session)) {
            (Checked::Done(()), Some(held)) => {
                let before = held.devices.len();
                held.devices.retain(|other| *other != device);
                Checked::Done(held.devices.len() < before)
            }
            (Checked::Replaced, _) => Checked::Replaced,
            _ => Checked::Gone,
        }
    }

    pub(crate) fn end(&mut self, session: Number, by: By) -> Checked<()> {
        let came = self.under(session, by);
        if let (Checked::Done(()), Some(held)) = (came, self.sessions.get_mut(&session)) {
            held.ended_at = Some(self.now);
        }
        came
    }
}

impl Slip {
    fn is_unspent(&self, now: Timestamp) -> bool {
        self.won.is_none() && self.put_out_at.is_none() && now < self.expires_at
    }
}
