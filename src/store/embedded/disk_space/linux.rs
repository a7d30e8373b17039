//! Disk information on Linux.

use std::io;
use std::path::Path;

use rustix::fs::statfs;
use rustix::fs::statvfs;

use super::Room;

/// File systems whose guarantees end at another machine or with a container, by the magic numbers
/// of `statfs(2)`.
const FOREIGN: [(i128, &str); 7] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x794c_7630, "overlayfs"),
];

/// The space of the disk with a directory that a user who is not root may use.
pub(super) fn room(dir: &Path) -> io::Result<Room> {
    let found = statvfs(dir)?;
    Ok(Room {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The kind of file system of a directory, if it is no local disk.
pub(super) fn foreign(dir: &Path) -> Option<&'static str> {
    // The kernel uses 32 bits of it, which platforms store in types of their own.
    let magic = i128::from(statfs(dir).ok()?.f_type) & 0xffff_ffff;
    FOREIGN.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}
