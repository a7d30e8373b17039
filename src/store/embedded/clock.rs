//! The clock of the store beside that of the machine.

use std::time::Duration;

use crate::base::Timestamp;
use crate::store::embedded::EmbeddedStore;
use crate::store::embedded::writer::Shared;

/// How far the clock of a store may be ahead of the wall clock without a warning: more than clocks
/// are usually stepped, and short enough to wait for.
pub(super) const CLOCK_AHEAD_MAX: Duration = Duration::from_hours(24);

impl EmbeddedStore {
    /// Compares the latest time that any caller has passed to the store with the wall clock, and
    /// returns how far the store is ahead. More than a day is logged as `store.clock_ahead`: time
    /// continues from there, so whatever is minted by a clock behind it is expired at once.
    pub fn compare_clock(&self, wall: Timestamp) -> Duration {
        let latest = Shared::lock(&self.shared).machine.latest();
        let ahead = latest.since(wall);
        if ahead > CLOCK_AHEAD_MAX {
            tracing::warn!(
                event = "store.clock_ahead",
                %latest,
                %wall,
                hours = ahead.as_secs() / 3_600,
                "the store was used with a clock far ahead of this one, and its time does not go \
                 back: until then new tokens are expired at once and no idle session ends; set \
                 this clock if it is behind, or move the store away to start empty"
            );
        }
        ahead
    }
}
