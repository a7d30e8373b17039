//! The lifetime of a session: idle timeout and absolute limit, as plain arithmetic.

use std::time::Duration;

use crate::base::Timestamp;
use crate::base::limits::IDLE_MINUTES_MAX;
use crate::base::limits::IDLE_MINUTES_MIN;
use crate::base::setting::OrZero;
use crate::base::setting::settings;

settings! {
    /// The limits of one session's lifetime.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Lifetime {
        /// Minutes without a request after which a session ends; 60 at least.
        idle_minutes: u32
            = u64::from(IDLE_MINUTES_MIN), in u64::from(IDLE_MINUTES_MIN)..=u64::from(IDLE_MINUTES_MAX);
        /// Minutes after which a session ends regardless of use; 0 is never.
        absolute_minutes: Option<u32> as OrZero<u32>
            = 0, in 0..=10 * u64::from(IDLE_MINUTES_MAX);
    }
}

impl Lifetime {
    /// The allowed idle timeout nearest to `minutes`.
    pub fn clamp_idle(minutes: u32) -> u32 {
        minutes.clamp(IDLE_MINUTES_MIN, IDLE_MINUTES_MAX)
    }

    /// The idle timeout.
    pub fn idle(self) -> Duration {
        Duration::from_secs(u64::from(self.idle_minutes) * 60)
    }

    /// When a session that was created at `created_at` and last used at `seen_at` ends. It lives at
    /// least until `needed_until`, when the last of its unspent tokens expires, but never longer
    /// than the absolute limit.
    pub fn expires_at(
        self,
        created_at: Timestamp,
        seen_at: Timestamp,
        needed_until: Timestamp,
    ) -> Timestamp {
        let unused_at = seen_at.after(self.idle()).max(needed_until);
        match self.absolute_minutes {
            Some(minutes) => unused_at.min(created_at.after_secs(u64::from(minutes) * 60)),
            None => unused_at,
        }
    }

    /// How far the durable "last used" time may lag behind: a tenth of the idle timeout.
    ///
    /// Every request updates this time, but a store need not make each update durable
    /// (docs/SECURITY.md D.5). After a crash a store adds the lag, so that a session never ends
    /// before its idle timeout.
    pub fn touch_lag(self) -> Duration {
        (self.idle() / 10).max(Duration::from_mins(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_both_limits_ends_a_session() {
        let start = Timestamp::from_millis(0);
        let life = Lifetime { idle_minutes: 60, absolute_minutes: Some(90) };
        assert_eq!(life.expires_at(start, start, start), start.after_secs(3600));
        assert_eq!(life.expires_at(start, start.after_secs(3000), start), start.after_secs(5400));
        let idle_only = Lifetime::default();
        let late = start.after_secs(9000);
        assert_eq!(idle_only.expires_at(start, late, start), start.after_secs(12_600));
    }

    #[test]
    fn an_unspent_token_prolongs_a_session_up_to_its_absolute_limit() {
        let start = Timestamp::from_millis(0);
        let day = start.after_secs(86_400);
        assert_eq!(Lifetime::default().expires_at(start, start, day), day);
        assert_eq!(Lifetime::default().expires_at(start, day, start), day.after_secs(3600));
        let limited = Lifetime { idle_minutes: 60, absolute_minutes: Some(90) };
        assert_eq!(limited.expires_at(start, start, day), start.after_secs(5400));
    }

    #[test]
    fn idle_timeouts_are_raised_to_an_hour() {
        assert_eq!(Lifetime::clamp_idle(0), 60);
        assert_eq!(Lifetime::clamp_idle(61), 61);
        assert_eq!(Lifetime::clamp_idle(u32::MAX), IDLE_MINUTES_MAX);
    }
}
