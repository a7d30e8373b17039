//! What systems other than Linux say about a disk: nothing that is understood here.

use std::io;
use std::path::Path;

use super::Room;

/// Nobody knows.
pub(super) fn room(_: &Path) -> io::Result<Room> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nobody knows.
pub(super) fn foreign(_: &Path) -> Option<&'static str> {
    None
}
