//! How many more guests a node may admit before it checks again whether they exceed their share.
//!
//! Counting guests with every create would cost a round trip each, and a lock shared by all nodes.
//! A node therefore counts what it creates itself, and queries the database once a part of the
//! remaining share is used up. All nodes together may exceed the share by that part for each node.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::store::displaced::Displaced;
use crate::store::error::StoreError;
use crate::store::live::Config;
use crate::store::shared::engine::Engine;
use crate::store::shared::engine::Share;
use crate::store::shared::engine::Trimmed;

/// Guests dropped in one step at most.
const DROPPED_MAX: usize = 512;
/// The part of the share that a node may use before it queries again, and by which guests are
/// reduced once some are dropped.
const PART: usize = 64;

/// What one node may admit.
#[derive(Debug)]
pub(crate) struct Guests {
    config: Config,
    left: AtomicI64,
    left_bytes: AtomicI64,
    log: Displaced,
}

impl Guests {
    pub(crate) fn new(config: Config) -> Self {
        // Nothing is known yet, so the first guest triggers a query.
        let (left, left_bytes) = (AtomicI64::new(0), AtomicI64::new(0));
        Self { config, left, left_bytes, log: Displaced::default() }
    }

    /// Counts a guest whose document was written, and returns whether the share must be checked.
    pub(crate) fn wrote(&self, is_new: bool, bytes: usize) -> bool {
        let guests = self.left.fetch_sub(i64::from(is_new), Ordering::Relaxed);
        let bytes = self.left_bytes.fetch_sub(signed(bytes), Ordering::Relaxed) - signed(bytes);
        is_new && guests <= 0 || bytes < 0
    }

    /// Ensures that guests have no more than their share.
    pub(crate) async fn trim(
        &self,
        engine: &dyn Engine,
        now: Timestamp,
        spared: Option<SessionId>,
    ) -> Result<usize, StoreError> {
        let (guests, bytes) = (self.config.guests_max(), self.config.guest_bytes_max());
        let share = Share { guests, bytes, at_most: DROPPED_MAX, spared };
        let Trimmed { guests: left, bytes: left_bytes, dropped } = engine.trim(share).await?;
        let may =
            |most: usize, left: usize| signed((most.saturating_sub(left) / 4).max(most / PART / 4));
        self.left.store(may(guests, left), Ordering::Relaxed);
        self.left_bytes.store(may(bytes, left_bytes), Ordering::Relaxed);
        self.log.note(now, dropped);
        Ok(dropped)
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
