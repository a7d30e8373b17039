//! Time: the only file that reads a clock, and the timestamp that everything else takes as an
//! argument.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{thread_time, uptime};
#[cfg(target_os = "linux")]
pub use linux::{thread_time, uptime};

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The time `span` later; saturates at the maximum.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The time `secs` seconds later.
    #[must_use]
    pub fn after_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }

    /// The time that has passed since `earlier`; zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// ISO 8601 in UTC with milliseconds, such as `2026-11-20T09:30:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The latest time that a four-digit year of ISO 8601 can express: 9999-12-31T23:59:59.999Z.
        const LAST_MILLIS: u64 = 253_402_300_799_999;
        let moment = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(self.0.min(LAST_MILLIS));
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second, milli) = moment.to_hms_milli();
        let month = u8::from(month);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The text is not a time as [`Timestamp`] writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMoment;

impl fmt::Display for NotAMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a moment: expected ISO 8601 in UTC, such as 2026-11-20T09:30:00.000Z")
    }
}

impl std::error::Error for NotAMoment {}

/// Parses the format of `Display` (RFC 3339 §5.6, in UTC).
impl FromStr for Timestamp {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotAMoment)?;
        if !moment.offset().is_utc() {
            return Err(NotAMoment);
        }
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        u64::try_from(millis).map(Self).map_err(|_| NotAMoment)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A source of time.
///
/// Only the floors that do I/O hold a clock; everything below takes `now`.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time of the wall clock.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let moment = SystemTime::now();
        let span = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Measures elapsed time with a clock that never steps. In a test with paused time it shows that
/// time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let start = Instant::now();
        Self(start)
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that advances only when a test moves it.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct ManualClock(std::sync::atomic::AtomicU64);

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(std::sync::atomic::AtomicU64::new(start.millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the clock, possibly backwards.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.millis(), std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Default for ManualClock {
    /// A clock that shows 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_767_225_600_000))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_iso_8601_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(ManualClock::default().now().to_string(), "2026-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_timestamp_reads_back_what_it_writes() {
        // A leap day, the last one of a century, and both ends.
        let moments = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in moments {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(millis)));
        }
        assert_eq!("2026-01-01T00:00:00Z".parse(), Ok(ManualClock::default().now()));
        let refused = [
            "",
            "yesterday",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "1969-12-31T23:59:59Z",
        ];
        for text in refused {
            assert_eq!(text.parse::<Timestamp>(), Err(NotAMoment), "{text}");
        }
    }

    #[test]
    fn the_far_end_of_time_is_not_passed() {
        let late = Timestamp::from_millis(u64::MAX - 1);
        assert_eq!(late.after_secs(u64::MAX), Timestamp::from_millis(u64::MAX));
        assert_eq!(Timestamp::from_millis(5).since(late), Duration::ZERO);
    }
}
