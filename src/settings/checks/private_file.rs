//! Small files with secrets, read in a way that other users cannot substitute.
//!
//! The checks apply to the opened file and not to its name, which could lead elsewhere a moment
//! later.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::path::Path;

use crate::base::secret::SecretText;

/// Longest file of keys or of a password that is read.
pub(crate) const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest key file that an operator's command trusts (docs/CONTRACT.md §12).
pub(crate) const TRUSTED_KEY_BYTES_MAX: u64 = 4 * 1024;

/// Reads a file that the settings name. It may be a symbolic link, as the secrets of containers
/// are.
pub(crate) fn read(path: &Path) -> io::Result<SecretText> {
    text_of(&open(path, false)?, SECRET_FILE_BYTES_MAX)
}

/// Reads a file that must be owned by the user or root, and must not be a symbolic link or longer
/// than [`TRUSTED_KEY_BYTES_MAX`].
pub(crate) fn read_trusted(path: &Path) -> io::Result<SecretText> {
    let file = open(path, true)?;
    let owner = owner(&file)?;
    if !is_ours(owner) {
        let what = format!("it belongs to user {owner}, and neither to this user nor to root");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    text_of(&file, TRUSTED_KEY_BYTES_MAX)
}

/// Opens without blocking, for example on a pipe without a writer.
fn open(path: &Path, no_link: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let follow = if no_link { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | follow;
        options.custom_flags(flags.bits().cast_signed());
    }
    let opened = options.open(path);
    let is_link = || path.symlink_metadata().is_ok_and(|found| found.is_symlink());
    let file = opened.map_err(|error| match error.kind() {
        _ if no_link && is_link() => not_regular("it is a link"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(not_regular("it is no regular file"));
    }
    Ok(file)
}

fn not_regular(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn text_of(file: &File, bytes_max: u64) -> io::Result<SecretText> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = file.take(bytes_max + 1).read_to_string(&mut text)?;
    if read as u64 > bytes_max {
        let what = format!("it is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(SecretText::new(text.as_str().to_owned()))
}

#[cfg(unix)]
fn owner(file: &File) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.uid())
}

/// Whether a file of this owner can only be written by this user or root.
#[cfg(unix)]
pub(crate) fn is_ours(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn owner(_: &File) -> io::Result<u32> {
    Ok(0)
}

/// On other systems access lists decide, which the standard library does not expose.
#[cfg(not(unix))]
pub(crate) fn is_ours(_: u32) -> bool {
    true
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        read_trusted(path).unwrap_err().to_string()
    }

    #[test]
    fn only_a_small_regular_file_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "a".repeat(4_096)).unwrap();
        assert_eq!(read_trusted(&file).unwrap().expose().len(), 4_096);
        std::fs::write(&file, "a".repeat(4_097)).unwrap();
        assert_eq!(refused(&file), "it is longer than 4096 bytes");
        assert_eq!(read(&file).unwrap().expose().len(), 4_097);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refused(&link), "it is a link");
        assert!(read(&link).is_ok(), "secrets of containers are links");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            assert_eq!(refused(path), "it is no regular file", "{}", path.display());
            assert!(read(path).is_err());
        }
    }
}
