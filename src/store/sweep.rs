//! The loop that removes expired records, a bounded number at a time.

use std::sync::Arc;

use tokio::sync::watch;

use crate::base::Clock;
use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::SWEEP_PAUSE;
use crate::base::limits::SWEEP_RECORDS_MAX;
use crate::store::error::StoreError;
use crate::store::port::Store;

/// Sweeps a store until `stop` is true or its sender is dropped.
///
/// After a sweep that dropped as much as it may, the next one follows at once. Otherwise there is
/// a pause of [`SWEEP_PAUSE`]. An error is logged and does not stop the loop, because expiry does
/// not depend on the sweep, only memory does. Dropping the future at any point is safe.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        let swept = match once(&*store, clock.now()).await {
            Ok(swept) => swept,
            Err(error) => {
                tracing::warn!(event = "store.sweep.failed", %error);
                0
            }
        };
        if swept > 0 {
            tracing::debug!(event = "store.swept", records = swept);
        }
        if swept >= SWEEP_RECORDS_MAX {
            // If the store never suspends, this lets the task see `stop`.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_PAUSE) => {}
            changed = stop.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Drops records that are no longer needed, as many as one sweep may, and returns how many.
pub async fn once(store: &dyn Store, now: Timestamp) -> Result<usize, StoreError> {
    failpoint::reached(Place::Sweep)?;
    store.sweep(now, SWEEP_RECORDS_MAX).await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::base::DeviceId;
    use crate::base::Digest;
    use crate::base::SessionId;
    use crate::base::clock::ManualClock;
    use crate::base::limits::TOMBSTONE;
    use crate::session::Device;
    use crate::session::Lifetime;
    use crate::session::Patch;
    use crate::session::Record;
    use crate::store::memory::MemoryStore;
    use crate::store::port::Founding;
    use crate::store::port::Resumed;

    #[tokio::test]
    async fn many_more_records_than_one_sweep_drops_are_swept_without_a_pause() {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new());
        let id = |n: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            SessionId::from_bytes(bytes)
        };
        let device = Device {
            id: DeviceId::from_bytes([1; 8]),
            digest: Digest::from_bytes([1; 32]),
            since: clock.now(),
            label: String::new(),
        };
        for n in 0..3 * SWEEP_RECORDS_MAX {
            let record = Record::new(id(n), clock.now(), Lifetime::default(), device.clone());
            let founding = Founding { record, patch: Patch::default(), token: None };
            store.create(clock.now(), founding).await.unwrap();
        }
        clock.advance(Lifetime::default().idle());
        store.sweep(clock.now(), usize::MAX).await.unwrap();
        // All of them are tombstones now, which the first sweep of the loop would only create.
        clock.advance(TOMBSTONE);
        let (stopper, stop) = watch::channel(false);
        let loops = tokio::spawn(run(Arc::clone(&store) as _, Arc::clone(&clock) as _, stop));
        // On one thread each turn of this loop is one of the sweep's; a pause would outlast them.
        let mut forgotten = false;
        for _ in 0..1_000 {
            let last = store.resume(clock.now(), id(3 * SWEEP_RECORDS_MAX - 1), device.digest);
            forgotten = matches!(last.await.unwrap(), Resumed::Unheard);
            if forgotten {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(forgotten, "the sweep paused with work left");
        stopper.send(true).unwrap();
        loops.await.unwrap();
    }
}
