//! Rate limits on expensive operations: per client, per session, and for all clients together.
//!
//! A client is the network prefix that one customer of a provider is given: an IPv4 address, or
//! the first 64 bits of an IPv6 address. A request without a connection has no address and is not
//! limited by it. With several nodes, each counts for itself.

mod buckets;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::setting::settings;
use crate::flow::rates::buckets::BucketPace;
use crate::flow::rates::buckets::Buckets;
pub use crate::flow::rates::buckets::Rate;
pub use crate::flow::rates::buckets::Wait;
use crate::flow::rates::buckets::micros;

/// Pause between two log lines about the same limit.
const HUSH: Duration = Duration::from_secs(10);

/// Beyond it a rate is none: switch it off with the rest.
const RATE_MAX: u64 = 1_000_000;

settings! {
    /// How often what may be done (docs/SECURITY.md D.6).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Rules {
        /// Requests of one client, more are answered 429: how many a second.
        requests_per_sec: u32 = 100, in 1..=RATE_MAX;
        /// Requests of one client at once, after a quiet time.
        requests_burst: u32 = 400, in 1..=RATE_MAX;
        /// Unknown tokens of one client; further unknown ones are answered 429, good ones are
        /// redeemed: how many a minute.
        failures_per_min: u32 = 20, in 1..=RATE_MAX;
        /// Unknown tokens of one client at once, after a quiet time.
        failures_burst: u32 = 20, in 1..=RATE_MAX;
        /// Unknown tokens of all clients in a minute, beyond which the log raises an alarm.
        failures_alarm_per_min: u32 = 1_000, in 1..=RATE_MAX;
        /// Sign-ins of one client that fail; further ones are answered 429 and not checked: how many
        /// a minute.
        sign_ins_per_min: u32 = 30, in 1..=RATE_MAX;
        /// Sign-ins of one client that fail at once, after a quiet time.
        sign_ins_burst: u32 = 100, in 1..=RATE_MAX;
        /// Tokens that one session mints; more are an error in the handler, and 429: how many a
        /// minute.
        session_mints_per_min: u32 = 10, in 1..=RATE_MAX;
        /// Tokens that one session mints at once, after a quiet time.
        session_mints_burst: u32 = 60, in 1..=RATE_MAX;
        /// Tokens minted for one client, as above: how many a minute.
        mints_per_min: u32 = 100, in 1..=RATE_MAX;
        /// Tokens minted for one client at once, after a quiet time.
        mints_burst: u32 = 100, in 1..=RATE_MAX;
        /// Sessions that one client begins; a request that needs one more is answered 503: a
        /// minute.
        guests_per_min: u32 = 30, in 1..=RATE_MAX;
        /// Sessions that one client begins at once, after a quiet time.
        guests_burst: u32 = 60, in 1..=RATE_MAX;
        /// Sessions that all clients begin, as above: how many a second.
        all_guests_per_sec: u32 = 200, in 1..=RATE_MAX;
        /// Sessions that all clients begin at once, after a quiet time.
        all_guests_burst: u32 = 1_000, in 1..=RATE_MAX;
    }
}

fn per_sec(count: u32, burst: u32) -> Rate {
    Rate { count, per: Duration::from_secs(1), burst }
}

fn per_min(count: u32, burst: u32) -> Rate {
    Rate { count, per: Duration::from_mins(1), burst }
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
    sign_ins: Limit,
    session_mints: Limit,
    mints: Limit,
    guests: Limit,
    all_guests: Limit,
    /// Counts reports of a suspected proxy; nothing is refused.
    suspicions: Limit,
}

/// One of the limits.
#[derive(Debug)]
struct Limit {
    /// Its name in the log, which also separates its buckets from those of other limits.
    name: &'static str,
    pace: BucketPace,
    /// The one bucket of a limit for all clients.
    due: AtomicU64,
    /// Until when nothing is logged, and what has not been logged since.
    hushed_until: AtomicU64,
    unsaid: AtomicU64,
}

/// The subject of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
    Session(SessionId),
}

impl Rates {
    /// Applies these rules.
    pub fn new(rules: &Rules) -> Self {
        let requests = per_sec(rules.requests_per_sec, rules.requests_burst);
        let failures = per_min(rules.failures_per_min, rules.failures_burst);
        // It refuses nothing, so a burst of its own would mean nothing.
        let alarm = per_min(rules.failures_alarm_per_min, rules.failures_alarm_per_min);
        let sign_ins = per_min(rules.sign_ins_per_min, rules.sign_ins_burst);
        // A session may hold 16 unspent tokens (docs/CONTRACT.md §6.1), so its burst must not be
        // less.
        let session_mints = per_min(rules.session_mints_per_min, rules.session_mints_burst);
        let mints = per_min(rules.mints_per_min, rules.mints_burst);
        let guests = per_min(rules.guests_per_min, rules.guests_burst);
        let all_guests = per_sec(rules.all_guests_per_sec, rules.all_guests_burst);
        Self(Some(Box::new(Counters {
            buckets: Buckets::new(),
            requests: Limit::new("requests", requests),
            failures: Limit::new("failures", failures),
            failures_alarm: Limit::new("failures_alarm", alarm),
            sign_ins: Limit::new("sign_ins", sign_ins),
            session_mints: Limit::new("session_mints", session_mints),
            mints: Limit::new("mints", mints),
            guests: Limit::new("guests", guests),
            all_guests: Limit::new("all_guests", all_guests),
            suspicions: Limit::new("suspicions", requests),
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

    /// Counts a token of this client that was never minted. It is counted once it is known to be
    /// unknown, so that wrong tokens never shut out right ones.
    pub(crate) fn unknown_token(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        if counters.failures_alarm.take_shared(now).is_err() {
            counters.failures_alarm.alarm(now);
        }
        counters.take(&counters.failures, client.map(Owner::of), now)
    }

    /// Counts a sign-in of this client as one that fails, before it is checked.
    pub(crate) fn sign_in(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        counters.take(&counters.sign_ins, client.map(Owner::of), now)
    }

    /// Forgets a sign-in that was counted and has not failed.
    pub(crate) fn forget_sign_in(&self, client: Option<IpAddr>) {
        if let (Some(counters), Some(client)) = (&self.0, client) {
            let limit = &counters.sign_ins;
            counters.buckets.give_back((limit.name, Owner::of(client)), limit.pace);
        }
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

    /// Counts a session that this client is about to create.
    pub(crate) fn found(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Wait> {
        let Some(counters) = &self.0 else { return Ok(()) };
        counters.take(&counters.guests, client.map(Owner::of), now)?;
        counters.all_guests.take_shared(now).inspect_err(|_| counters.all_guests.tell(None, now))
    }

    /// Logs that a peer over its limit names clients without being a trusted proxy.
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
        let pace = BucketPace::of(rate);
        Self { name, pace, due: zero(), hushed_until: zero(), unsaid: zero() }
    }

    /// Takes one from the bucket that all clients share.
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

    /// Logs that a client is over this limit, but not each time, because a flood would fill the
    /// log.
    fn tell(&self, owner: Option<Owner>, now: Timestamp) {
        if let Some(unsaid) = self.may_speak(now) {
            let (limit, client) = (self.name, owner.map(tracing::field::display));
            tracing::warn!(event = "rate.limited", limit, client, unsaid, "over a rate limit");
        }
    }

    /// Logs that so many tokens are unknown that a client may be guessing them.
    fn alarm(&self, now: Timestamp) {
        if let Some(unsaid) = self.may_speak(now) {
            tracing::error!(event = "rate.alarm", limit = self.name, unsaid, "many tokens fail");
        }
    }

    /// The number of log lines suppressed before this one; `None` while the limit is suppressed.
    fn may_speak(&self, now: Timestamp) -> Option<u64> {
        let until = self.hushed_until.load(Ordering::Relaxed);
        let next = now.after(HUSH).millis();
        // A time more than one pause ahead was set before the clock was set back.
        let hushed = now.millis() < until && until <= next;
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if hushed || self.hushed_until.compare_exchange(until, next, success, failure).is_err() {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

/// The network that one customer of a provider is given: an IPv4 address, also in its IPv6 form, or
/// the first 64 bits of an IPv6 address (RFC 6177).
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Owner {
    fn of(client: IpAddr) -> Self {
        match network_of(client) {
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
        assert_eq!(until_refused(|| rates.sign_in(one, now())), 100);
        rates.forget_sign_in(one);
        assert_eq!(until_refused(|| rates.sign_in(one, now())), 1, "one that has not failed");
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
        let (limit, clock) = (Limit::new("x", per_sec(100, 400)), ManualClock::default());
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
