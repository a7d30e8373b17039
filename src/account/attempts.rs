//! The lock-out rule: after so many wrong passwords in a row a login is locked for a while.
//!
//! An attempt is counted before its password is checked. However many requests arrive at once, on
//! however many nodes, the store lets each of them write its count only once, so no more passwords
//! are checked than the rule allows. A right password resets the count.

use crate::account::config::Config;
use crate::base::Timestamp;

/// The wrong passwords of one login, and attempts whose passwords are still being checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many were checked since the last right one.
    pub checked: u32,
    /// When the last of them was counted.
    pub last: Timestamp,
    /// How many were refused while the login was locked.
    pub refused: u64,
}

/// Whether the password of an attempt is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Check,
    /// It is not: the login is locked.
    Locked,
}

impl Attempts {
    /// Counts one more attempt at `now`, and decides whether its password is checked.
    ///
    /// A refused attempt does not make the lock last longer, or a stranger could keep an account
    /// locked without ever guessing.
    #[must_use]
    pub fn one_more(self, now: Timestamp, rule: &Config) -> (Self, Verdict) {
        let is_old = now >= self.last.after(rule.lock());
        if self.checked >= rule.attempts && !is_old {
            return (Self { refused: self.refused.saturating_add(1), ..self }, Verdict::Locked);
        }
        let checked = if is_old { 0 } else { self.checked };
        (Self { checked: checked.saturating_add(1), last: now, refused: 0 }, Verdict::Check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: fn() -> Config = || Config { attempts: 3, lock_minutes: 10, ..Config::default() };
    const MINUTE: u64 = 60_000;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_millis(1_900_000_000_000 + minute * MINUTE)
    }

    #[test]
    fn exactly_so_many_are_checked_and_then_none() {
        let (mut attempts, mut checked) = (Attempts::default(), 0);
        for _ in 0..64 {
            let (next, verdict) = attempts.one_more(at(0), &RULE());
            checked += u32::from(verdict == Verdict::Check);
            attempts = next;
        }
        assert_eq!((checked, attempts.refused), (3, 61));
    }

    #[test]
    fn the_lock_ends_by_itself_and_refused_attempts_do_not_extend_it() {
        let mut attempts = Attempts { checked: 3, last: at(0), refused: 0 };
        for minute in 0..10 {
            let (next, verdict) = attempts.one_more(at(minute), &RULE());
            assert_eq!(verdict, Verdict::Locked, "minute {minute}");
            attempts = next;
        }
        let (next, verdict) = attempts.one_more(at(10), &RULE());
        assert_eq!((next.checked, next.refused, verdict), (1, 0, Verdict::Check));
    }

    #[test]
    fn wrong_passwords_far_apart_lock_nothing() {
        let mut attempts = Attempts::default();
        for nth in 0..20 {
            let (next, verdict) = attempts.one_more(at(nth * 10), &RULE());
            assert_eq!(verdict, Verdict::Check);
            attempts = next;
        }
    }
}
