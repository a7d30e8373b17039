//! Disk information on systems other than Linux: none.

use std::io;
use std::path::Path;

use super::Room;

/// Unknown on this system.
pub(super) fn room(_: &Path) -> io::Result<Room> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Unknown on this system.
pub(super) fn foreign(_: &Path) -> Option<&'static str> {
    None
}
