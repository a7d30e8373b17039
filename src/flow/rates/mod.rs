//! Rate limits: how often one client, one session and everybody together may do what costs.
//!
//! A client is the network prefix that one customer of a provider is given: an IPv4 address, or
//! the 64 bits in front of an IPv6 address. What was not asked over a connection has no address
//! and is not limited by it. With several nodes, each counts for itself.

mod buckets;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::flow::rates::buckets::Buckets;
use crate::flow::rates::buckets::Pace;
pub use crate::flow::rates::buckets::Rate;
pub use crate::flow::rates::buckets::Wait;
use crate::flow::rates::buckets::micros;

/// Pause between two log lines about the same limit.
const HUSH: Duration = Duration::from_secs(10);

/// How often what may be done (docs/SECURITY.md D.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Requests of one client. Default 100 a second, 400 at once.
    pub requests: Rate,
    /// Unknown tokens of one client, beyond which further unknown ones are refused; a token that
    /// is good is redeemed all the same. Default 20 a minute, 20 at once.
    pub failures: Rate,
    /// Unknown tokens of all clients, beyond which the log raises an alarm; nothing is
    /// refused. Default 1,000 a minute.
    pub failures_alarm: Rate,
    /// Tokens that one session mints. Default 10 a minute, 60 at once: a session may hold 16
    /// unspent ones (docs/CONTRACT.md §6.1), so the burst must not be smaller than that.
    pub session_mints: Rate,
    /// Tokens that the sessions of one client mint. Default 100 a minute, 100 at once.
    pub mints: Rate,
    /// Sessions that one client founds. Default 30 a minute, 60 at once.
    pub guests: Rate,
    /// Sessions that all clients found. Default 200 a second, 1,000 at once.
    pub all_guests: Rate,
}

impl Default for Rules {
    fn default() -> Self {
        let every = |per, count, burst| Rate { count, per, burst };
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        Self {
            requests: every(second, 100, 400),
            failures: every(minute, 20, 20),
            failures_alarm: every(minute, 1_000, 1_000),
            session_mints: every(minute, 10, 60),
            mints: every(minute, 100, 100),
            guests: every(minute, 30, 60),
            all_guests: every(second, 200, 1_000),
        }
    }
}

/// Counts what is limited. Switched off, it counts nothing and costs nothing.
#[derive(Debug, Default)]
pub struct Rates(Option<Box<Counters>>);

#[derive(Debug)]
struct Counters {
    buckets: Buckets,
    requests: Limit,
    failures: Limit,
    failures_alarm: Limit,
    session_mints: Limit,
    mints: Limit,
    guests: Limit,
    all_guests: Limit,
    /// How often a proxy is suspected; nothing is refused.
    suspicions: Limit,
}

/// One of the limits.
#[derive(Debug)]
struct Limit {
    /// Its name in the log, and what tells its buckets from those of other limits.
    name: &'static str,
    pace: Pace,
    /// The one bucket of a limit for everybody.
    due: AtomicU64,
    /// Until when nothing is logged, and what has not been logged since.
    hushed_until: AtomicU64,
    unsaid: AtomicU64,
}

/// Whom a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    V4(u32),
    /// The 64 bits in front.
    V6(u64),
    Session(SessionId),
}

impl Rates {
    /// Counts by these rules.
    pub fn new(rules: &Rules) -> Self {
        Self(Some(Box::new(Counters {
            buckets: Buckets::new(),
            requests: Limit::new("requests", rules.requests),
            failures: Limit::new("failures", rules.failures),
            failures_alarm: Limit::new("failures_alarm", rules.failures_alarm),
            session_mints: Limit::new("session_mints", rules.session_mints),
            mints: Limit::new("mints", rules.mints),
            guests: Limit::new("guests", rules.guests),
            all_guests: Limit::new("all_guests", rules.all_guests),
            suspicions: Limit::new("suspicions", rules.requests),
        })))
    }

    /// No limits.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts a request of this client.
    pub(crate) fn request(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        counters.take(&counters.requests, client.map(Owner::of), now)
    }

    /// Counts a token of this client that nobody minted. It is counted once it is known to be
    /// unknown, so that wrong tokens never shut out right ones.
    pub(crate) fn unknown_token(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        if counters.failures_alarm.take_shared(now).is_err() {
            counters.failures_alarm.alarm(now);
        }
        counters.take(&counters.failures, client.map(Owner::of), now)
    }

    /// Counts a token that this session is about to mint for this client.
    pub(crate) fn mint(
        &self,
        session: SessionId,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        counters.take(&counters.session_mints, Some(Owner::Session(session)), now)?;
        counters.take(&counters.mints, client.map(Owner::of), now)
    }

    /// Counts a session that this client is about to found.
    pub(crate) fn found(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        counters.take(&counters.guests, client.map(Owner::of), now)?;
        counters.all_guests.take_shared(now).inspect_err(|_| counters.all_guests.tell(None, now))
    }

    /// Says in the log that a peer over its limit speaks for others, though nobody trusts it.
    pub(crate) fn hint(&self, peer: IpAddr, now: Timestamp) {
        let Some(counters) = &self.0 else { return };
        if counters.suspicions.may_speak(now).is_some() {
            let advice = "a peer over its rate limit forwards for others; \
                          if it is your proxy, name it in the setting trusted_proxies";
            tracing::warn!(event = "rate.untrusted_proxy", %peer, "{advice}");
        }
    }
}

impl Counters {
    fn take(&self, limit: &Limit, owner: Option<Owner>, now: Timestamp) -> Result<(), Wait> {
        let Some(owner) = owner else { return Ok(()) };
        let taken = self.buckets.take((limit.name, owner), limit.pace, micros(now));
        taken.inspect_err(|_| limit.tell(Some(owner), now))
    }
}

impl Limit {
    fn new(name: &'static str, rate: Rate) -> Self {
        let zero = AtomicU64::default;
        let pace = Pace::of(rate);
        Self { name, pace, due: zero(), hushed_until: zero(), unsaid: zero() }
    }

    /// Takes one from the bucket that everybody shares.
    fn take_shared(&self, now: Timestamp) -> Result<(), Wait> {
        let mut waits = Ok(());
        // The update fails only where `take` says to wait.
        let _ = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            let taken = self.pace.take(due, micros(now));
            waits = taken.map(|_| ());
            taken.ok()
        });
        waits
    }

    /// Says in the log that somebody is over this limit; not each time, or the log would be what
    /// a flood fills.
    fn tell(&self, owner: Option<Owner>, now: Timestamp) {
        if let Some(unsaid) = self.may_speak(now) {
            let (limit, client) = (self.name, owner.map(tracing::field::display));
            tracing::warn!(event = "rate.limited", limit, client, unsaid, "over a rate limit");
        }
    }

    /// Says in the log that so much fails that somebody may be trying tokens.
    fn alarm(&self, now: Timestamp) {
        if let Some(unsaid) = self.may_speak(now) {
            tracing::error!(event = "rate.alarm", limit = self.name, unsaid, "many tokens fail");
        }
    }

    /// How often nothing was said before this; `None` while the limit is hushed.
    fn may_speak(&self, now: Timestamp) -> Option<u64> {
        let until = self.hushed_until.load(Ordering::Relaxed);
        let next = now.after(HUSH).millis();
        // A moment further away than one pause was set before the clock was.
        let hushed = now.millis() < until && until <= next;
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if hushed || self.hushed_until.compare_exchange(until, next, success, failure).is_err() {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

impl Owner {
    fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(address.to_bits() >> u64::BITS).unwrap_or_default())
            }
        }
    }
}

/// `192.0.2.1`, `2001:db8::/64`, or the session's public name.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(bits) => std::net::Ipv4Addr::from_bits(*bits).fmt(f),
            Self::V6(bits) => {
                let address = std::net::Ipv6Addr::from_bits(u128::from(*bits) << u64::BITS);
                write!(f, "{address}/64")
            }
            Self::Session(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::clock::ManualClock;

    fn now() -> Timestamp {
        ManualClock::default().now()
    }

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn until_refused(mut ask: impl FnMut() -> Result<(), Wait>) -> usize {
        (0..10_000).take_while(|_| ask().is_ok()).count()
    }

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let rates = Rates::new(&Rules::default());
        let one = Some(client("192.0.2.1"));
        assert_eq!(until_refused(|| rates.request(one, now())), 400);
        assert_eq!(until_refused(|| rates.unknown_token(one, now())), 20);
        let (a, b) = (SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
        assert_eq!(until_refused(|| rates.mint(a, one, now())), 60);
        assert_eq!(until_refused(|| rates.mint(b, one, now())), 40, "100 for the client");
        assert_eq!(until_refused(|| rates.found(one, now())), 60);
        let mut host = 0_u32;
        let many = || {
            host += 1;
            rates.found(Some(std::net::Ipv4Addr::from_bits(host).into()), now())
        };
        assert_eq!(until_refused(many), 1_000 - 60);
    }

    #[test]
    fn a_client_is_a_prefix() {
        let rates = Rates::new(&Rules::default());
        let asks = |text| until_refused(|| rates.request(Some(client(text)), now()));
        assert_eq!(asks("2001:db8:0:1::1"), 400);
        assert_eq!(asks("2001:db8:0:1:ffff::2"), 0, "the same 64 bits");
        assert_eq!(asks("2001:db8:0:2::1"), 400);
        assert_eq!(asks("192.0.2.1"), 400);
        assert_eq!(asks("::ffff:192.0.2.1"), 0, "the same address");
        assert_eq!(asks("192.0.2.2"), 400);
        assert_eq!(until_refused(|| rates.request(None, now())), 10_000, "no address, no limit");
    }

    #[test]
    fn whoever_waits_as_long_as_he_was_told_is_let_in_again() {
        let rates = Rates::new(&Rules::default());
        let (one, clock) = (Some(client("192.0.2.1")), ManualClock::default());
        while rates.unknown_token(one, clock.now()).is_ok() {}
        let wait = rates.unknown_token(one, clock.now()).unwrap_err();
        assert_eq!(wait.secs(), 3, "20 a minute");
        clock.advance(Duration::from_secs(wait.secs()));
        assert!(rates.unknown_token(one, clock.now()).is_ok());
    }

    #[test]
    fn a_limit_speaks_once_in_a_while_and_counts_what_it_did_not_say() {
        let (limit, clock) = (Limit::new("x", Rules::default().requests), ManualClock::default());
        assert_eq!(limit.may_speak(clock.now()), Some(0));
        for _ in 0..7 {
            assert_eq!(limit.may_speak(clock.now()), None);
        }
        clock.advance(HUSH);
        assert_eq!(limit.may_speak(clock.now()), Some(7));
        clock.set(Timestamp::from_millis(5));
        assert_eq!(limit.may_speak(clock.now()), Some(0), "a clock set back hushes nobody");
    }

    #[test]
    fn switched_off_nothing_is_refused() {
        let (rates, one) = (Rates::off(), Some(client("192.0.2.1")));
        assert_eq!(until_refused(|| rates.request(one, now())), 10_000);
        assert_eq!(until_refused(|| rates.found(one, now())), 10_000);
    }
}
