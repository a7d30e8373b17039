//! What the store stands on: how much room the disk has left, and what kind of disk it is.
//!
//! A commit that finds no room fails, and then the store answers nobody until a restart. So it
//! stops growing before that: new sessions and tokens are refused while redemptions, logouts and
//! writes, which need little, go on (docs/SECURITY.md E.5).

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::fmt;
use std::io;
use std::path::Path;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

/// Room that is kept for redemptions and logouts.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Of a disk too small for that, the part that is kept: one in twenty.
const KEPT_PART: u64 = 20;

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes of all.
    pub total: u64,
}

impl Room {
    /// Whether nothing new should be begun: less than 64 MiB is free, or of a small disk less
    /// than a twentieth.
    pub fn is_low(self) -> bool {
        self.free < KEPT_BYTES.min(self.total / KEPT_PART)
    }
}

/// Says how much room there is.
pub(super) type Measure = Box<dyn Fn() -> io::Result<Room> + Send>;

/// The disk below the store.
pub(super) struct Ground {
    measure: Measure,
    low: bool,
}

impl Ground {
    /// The disk of a directory. One that other machines share is warned of: it may say that it
    /// has synced when it has not, and its locks may not hold.
    pub(super) fn of(dir: &Path) -> Self {
        if let Some(kind) = system::foreign(dir) {
            let dir = dir.display();
            tracing::warn!(
                event = "store.foreign_file_system",
                %dir,
                kind,
                "the store is on a file system that may lose what was answered when a machine \
                 fails; put it on a local disk"
            );
        }
        let dir = dir.to_owned();
        Self::measured(Box::new(move || system::room(&dir)))
    }

    /// A disk whose room somebody else knows.
    pub(super) fn measured(measure: Measure) -> Self {
        Self { measure, low: false }
    }

    /// Whether nothing new should be begun. Where nobody can say, it may.
    pub(super) fn is_low(&mut self) -> bool {
        let room = (self.measure)();
        let low = room.as_ref().is_ok_and(|room| room.is_low());
        if low != self.low {
            let free = room.map_or(0, |room| room.free);
            if low {
                tracing::error!(
                    event = "store.room_low",
                    free,
                    "the disk of the store is almost full: new sessions and tokens are refused \
                     until there is room again; those that are there go on"
                );
            } else {
                tracing::info!(event = "store.room_back", free);
            }
            self.low = low;
        }
        low
    }
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("low", &self.low).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_mebibytes_are_kept_and_of_a_small_disk_a_twentieth() {
        const MIB: u64 = 1024 * 1024;
        let low = |free: u64, total: u64| Room { free: free * MIB, total: total * MIB }.is_low();
        assert!(low(63, 1_000_000) && !low(64, 1_000_000));
        assert!(low(4, 100) && !low(5, 100));
    }

    #[test]
    fn the_disk_of_a_directory_has_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut ground = Ground::of(dir.path());
        let room = (ground.measure)().unwrap();
        assert!(room.free <= room.total && room.total > 0, "{room:?}");
        assert_eq!(ground.is_low(), room.is_low());
        let gone = Ground::measured(Box::new(|| Err(io::ErrorKind::NotFound.into())));
        assert!(!{ gone }.is_low(), "who cannot measure goes on");
    }
}
