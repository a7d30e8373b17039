//! Token buckets in a table of fixed size, for the rate limits.
//!
//! Each bucket is one number (GCRA, ITU-T I.371): its theoretical arrival time. Every request moves
//! that time one interval on; an owner whose time is further ahead than the burst has to wait. A
//! bucket whose time has passed is full, and need not be kept.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::RandomState;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::Timestamp;

/// Buckets kept at once (docs/SECURITY.md D.6).
pub(crate) const BUCKETS_MAX: usize = 200_000;
/// Buckets that share a lock and make room for each other.
const WAYS: usize = 8;

const MICROS_PER_SEC: u64 = 1_000_000;

/// How much of something there may be: a steady rate, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number allowed in `per`; at least 1.
    pub count: u32,
    /// The period of `count`.
    pub per: Duration,
    /// The burst: how many at once after a pause; at least 1.
    pub burst: u32,
}

/// For how many whole seconds a client should stay away; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(NonZeroU64);

impl Wait {
    /// The seconds, as `Retry-After` has them.
    pub fn secs(self) -> u64 {
        self.0.get()
    }

    fn micros(micros: u64) -> Self {
        Self(NonZeroU64::new(micros.div_ceil(MICROS_PER_SEC)).unwrap_or(NonZeroU64::MIN))
    }
}

/// A rate in the units of the table, microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BucketPace {
    interval: u64,
    /// How far ahead the time of a bucket may be.
    span: u64,
}

impl BucketPace {
    pub(crate) fn of(rate: Rate) -> Self {
        let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
        let interval = (per / u64::from(rate.count.max(1))).max(1);
        Self { interval, span: interval.saturating_mul(u64::from(rate.burst.max(1))) }
    }

    /// Takes one at `now` from a bucket whose arrival time is `due`. Returns the new arrival time,
    /// or how long to wait.
    pub(crate) fn take(self, due: u64, now: u64) -> Result<u64, Wait> {
        // The time is never further ahead than this, unless the clock was set back since; and that
        // must not lock the owner out until it has caught up.
        let is_ahead = due > now.saturating_add(self.span);
        let due = if is_ahead { now } else { due.max(now) };
        let next = due.saturating_add(self.interval);
        let ahead = next.saturating_sub(now);
        if ahead > self.span { Err(Wait::micros(ahead - self.span)) } else { Ok(next) }
    }
}

/// The time as buckets count it.
pub(crate) fn micros(now: Timestamp) -> u64 {
    now.millis().saturating_mul(1_000)
}

/// The table of all buckets that are not full.
///
/// A bucket's slot group, and its name within it, come from a hash with a key of this process, so
/// clients cannot find out which of them share a group. In a full group, the bucket that becomes
/// full soonest is evicted. A client can therefore shed its own debt only if eight others in its
/// group owe more, which costs more than waiting.
pub(crate) struct Buckets {
    places: Box<[Mutex<Vec<Bucket>>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Bucket {
    owner: u64,
    due: u64,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self::with_places(BUCKETS_MAX / WAYS)
    }

    fn with_places(count: usize) -> Self {
        let places = (0..count).map(|_| Mutex::default()).collect();
        Self { places, hasher: RandomState::new() }
    }

    /// Takes one from the bucket of `owner`. Otherwise returns how long to wait, and takes
    /// nothing.
    pub(crate) fn take(&self, owner: impl Hash, pace: BucketPace, now: u64) -> Result<(), Wait> {
        self.at(owner, |place, owner| {
            if let Some(bucket) = place.iter_mut().find(|bucket| bucket.owner == owner) {
                bucket.due = pace.take(bucket.due, now)?;
                return Ok(());
            }
            let bucket = Bucket { owner, due: pace.take(now, now)? };
            let full = place.len() >= WAYS;
            match place.iter_mut().min_by_key(|bucket| bucket.due) {
                Some(least) if full || least.due <= now => *least = bucket,
                _ => place.push(bucket),
            }
            Ok(())
        })
    }

    /// Gives back one that was taken. A bucket that is not kept is full anyway.
    pub(crate) fn give_back(&self, owner: impl Hash, pace: BucketPace) {
        let given = self.at(owner, |place, owner| {
            if let Some(bucket) = place.iter_mut().find(|bucket| bucket.owner == owner) {
                bucket.due = bucket.due.saturating_sub(pace.interval);
            }
            Ok(())
        });
        debug_assert!(given.is_ok(), "nothing is waited for");
    }

    /// Runs a function on the group of a bucket, which is locked for a few comparisons.
    fn at<T>(
        &self,
        owner: impl Hash,
        visit: impl FnOnce(&mut Vec<Bucket>, u64) -> Result<T, Wait>,
    ) -> Result<T, Wait>
    where
        T: Default,
    {
        let owner = self.hasher.hash_one(owner);
        // The upper bits, spread over all places without a division.
        let index = (u128::from(owner) * self.places.len() as u128) >> u64::BITS;
        let place = usize::try_from(index).ok().and_then(|index| self.places.get(index));
        let Some(place) = place else { return Ok(T::default()) };
        visit(&mut place.lock().unwrap_or_else(PoisonError::into_inner), owner)
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({} places)", self.places.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Buckets {
        /// Whether `owner` could take one now, without taking it.
        fn look(&self, owner: impl Hash, pace: BucketPace, now: u64) -> Result<(), Wait> {
            self.at(owner, |place, owner| {
                let bucket = place.iter().find(|bucket| bucket.owner == owner);
                bucket.map_or(Ok(()), |bucket| pace.take(bucket.due, now).map(|_| ()))
            })
        }
    }

    const SEC: u64 = MICROS_PER_SEC;

    fn pace(count: u32, burst: u32) -> BucketPace {
        BucketPace::of(Rate { count, per: Duration::from_secs(1), burst })
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_steady_rate() {
        let (buckets, pace) = (Buckets::new(), pace(2, 5));
        let took = |now| buckets.take("a", pace, now);
        for n in 0..5 {
            assert!(took(SEC).is_ok(), "{n}");
        }
        let wait = took(SEC).unwrap_err();
        assert_eq!(wait.secs(), 1, "half a second is told as a whole one");
        assert!(took(SEC + SEC / 2 - 1).is_err());
        assert!(took(SEC + SEC / 2).is_ok() && took(SEC + SEC / 2).is_err());
        assert!(buckets.take("b", pace, SEC).is_ok(), "somebody else has his own");
        let later = (0..9).filter(|_| took(100 * SEC).is_ok()).count();
        assert_eq!(later, 5, "whoever was quiet for long has his burst again and no more");
    }

    #[test]
    fn any_stretch_of_time_has_its_rate_and_one_burst_at_most() {
        let (buckets, pace) = (Buckets::new(), pace(100, 400));
        let mut let_through = 0;
        for step in 0..100_000_u64 {
            let_through += u64::from(buckets.take("a", pace, step * 100).is_ok());
        }
        assert_eq!(let_through, 400 + 10 * 100 - 1, "ten seconds of ten thousand a second");
    }

    #[test]
    fn looking_takes_nothing() {
        let (buckets, pace) = (Buckets::new(), pace(1, 1));
        for _ in 0..9 {
            assert!(buckets.look("a", pace, SEC).is_ok());
        }
        assert!(buckets.take("a", pace, SEC).is_ok() && buckets.look("a", pace, SEC).is_err());
        assert!(buckets.look("a", pace, 2 * SEC).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (buckets, pace) = (Buckets::new(), pace(1, 3));
        while buckets.take("a", pace, 9_999 * SEC).is_ok() {}
        for n in 0..3 {
            assert!(buckets.look("a", pace, SEC).is_ok(), "{n}");
            assert!(buckets.take("a", pace, SEC).is_ok(), "{n}");
        }
        assert!(buckets.take("a", pace, SEC).is_err(), "and from there on it counts again");
    }

    #[test]
    fn where_a_place_is_full_the_least_in_debt_makes_room() {
        let (buckets, pace) = (Buckets::with_places(1), pace(1, 100));
        let take = |owner: u32, times: u32| {
            for _ in 0..times {
                buckets.take(owner, pace, SEC).unwrap();
            }
        };
        take(0, 100);
        assert!(buckets.look(0, pace, SEC).is_err());
        // Many new clients, each owing little, evict each other.
        for stranger in 1..10_000 {
            take(stranger, 1);
        }
        assert!(buckets.look(0, pace, SEC).is_err(), "a flood does not reset a bucket");
        assert!(buckets.places[0].lock().unwrap().len() <= WAYS);
    }

    #[test]
    fn the_table_never_outgrows_its_bound() {
        let buckets = Buckets::with_places(100);
        for owner in 0..20_000 {
            buckets.take(owner, pace(1, 9), SEC).unwrap();
        }
        let kept: usize = buckets.places.iter().map(|place| place.lock().unwrap().len()).sum();
        assert!(kept <= 100 * WAYS, "{kept}");
        assert_eq!(Buckets::new().places.len() * WAYS, BUCKETS_MAX);
    }

    #[test]
    fn a_place_whose_debts_are_paid_is_used_again() {
        let buckets = Buckets::with_places(1);
        for owner in 0..1_000_u64 {
            buckets.take(owner, pace(1, 1), 2 * owner * SEC).unwrap();
        }
        assert_eq!(buckets.places[0].lock().unwrap().len(), 1);
    }
}
