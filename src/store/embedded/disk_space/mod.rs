//! The disk below the store: how much space it has left, and what kind of disk it is.
//!
//! A commit that finds no space fails, and then the store refuses every operation until a restart.
//! It therefore stops growing before that: new sessions and tokens are refused, while redemptions,
//! logouts and writes, which need little space, continue (docs/SECURITY.md E.5).

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

/// Space reserved for redemptions and logouts.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// The reserved part of a disk too small for that: one in twenty.
const KEPT_PART: u64 = 20;

/// The space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes in total.
    pub total: u64,
}

impl Room {
    /// Whether new sessions and tokens must be refused: less than 64 MiB is free, or on a small
    /// disk less than a twentieth.
    pub fn is_low(self) -> bool {
        self.free < KEPT_BYTES.min(self.total / KEPT_PART)
    }
}

/// Measures the space.
pub(super) type Measure = Box<dyn Fn() -> io::Result<Room> + Send>;

/// The disk below the store.
pub(super) struct DiskSpace {
    measure: Measure,
    low: bool,
}

impl DiskSpace {
    /// The disk of a directory. A disk shared with other machines is logged as a warning: it may
    /// report a sync that did not happen, and its locks may not hold.
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

    /// A disk whose space the given function measures.
    pub(super) fn measured(measure: Measure) -> Self {
        Self { measure, low: false }
    }

    /// Whether new sessions and tokens must be refused. If the space cannot be measured, they are
    /// not.
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

impl fmt::Debug for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskSpace").field("low", &self.low).finish_non_exhaustive()
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
        let mut disk_space = DiskSpace::of(dir.path());
        let room = (disk_space.measure)().unwrap();
        assert!(room.free <= room.total && room.total > 0, "{room:?}");
        assert_eq!(disk_space.is_low(), room.is_low());
        let gone = DiskSpace::measured(Box::new(|| Err(io::ErrorKind::NotFound.into())));
        assert!(!{ gone }.is_low(), "who cannot measure goes on");
    }
}
