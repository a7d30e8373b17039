//! Logs that guests were displaced, at a bounded rate instead of once per guest.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::Timestamp;

/// Time between two log lines.
const PAUSE: Duration = Duration::from_mins(1);

/// Guests displaced since the last log line.
#[derive(Debug, Default)]
pub(crate) struct Displaced(Mutex<Unsaid>);

#[derive(Debug, Default)]
struct Unsaid {
    said_at: Option<Timestamp>,
    guests: usize,
}

impl Displaced {
    /// Counts `guests` that were displaced at `now`.
    pub(crate) fn note(&self, now: Timestamp, guests: usize) {
        if guests == 0 {
            return;
        }
        // Two numbers that are consistent after each single write.
        let mut unsaid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.guests += guests;
        if unsaid.said_at.is_none_or(|said_at| now.since(said_at) >= PAUSE) {
            tracing::warn!(
                event = "session.guests_displaced",
                guests = unsaid.guests,
                "guests have their share of the store (session.guest_share), so those that were \
                 idle longest made room; what they had stored is gone"
            );
            *unsaid = Unsaid { said_at: Some(now), guests: 0 };
        }
    }
}
