//! The directory of the embedded store: created once, private, and locked while it is open.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use redb::Builder;
use redb::Database;
use redb::DatabaseError;
use redb::StorageError;

use crate::store::embedded::error::OpenError;
use crate::store::embedded::error::OpenErrorKind;
use crate::store::embedded::journal::Journal;

const FILE: &str = "callgate.redb";
const UNFINISHED: &str = "callgate.redb.new";
const LOCK: &str = "callgate.lock";
/// Memory for redb's page cache. The journal is written at its end and read at its beginning, so a
/// larger cache gains nothing.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Makes the names in a directory durable.
type SyncDir<'a> = &'a mut dyn FnMut(&Path) -> io::Result<()>;

/// An open directory. Dropping it releases the lock.
#[derive(Debug)]
pub(super) struct Folder {
    _lock: File,
}

impl Folder {
    /// Opens the journal in `dir`, and creates both if there is none.
    ///
    /// A new file is written under another name and renamed when it is complete. A file under its
    /// final name has therefore been complete once, and is refused if it is not. It is never
    /// replaced by a new one.
    pub(super) fn open(dir: &Path) -> Result<(Self, Journal), OpenError> {
        Self::open_syncing(dir, &mut sync_dir)
    }

    /// The name of a file is durable once its directory is synced. That is done at every opening,
    /// because the process that renamed the file may have died before the sync.
    fn open_syncing(dir: &Path, sync: SyncDir<'_>) -> Result<(Self, Journal), OpenError> {
        let failed = |error: io::Error| OpenError::new(dir, OpenErrorKind::Io).because(error);
        make_dir(dir, sync).map_err(failed)?;
        let lock = private(&dir.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::new(dir, OpenErrorKind::Locked));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let path = dir.join(FILE);
        if !path.try_exists().map_err(failed)? {
            create(dir, &path)?;
        }
        sync(dir).map_err(failed)?;
        let database = builder().open(&path).map_err(|error| explain(&path, error))?;
        Ok((Self { _lock: lock }, Journal::open(database, &path)?))
    }
}

/// Whether a directory has a store.
pub(super) fn is_made(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// The options of the database, for creating and opening it.
pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn create(dir: &Path, path: &Path) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::new(dir, OpenErrorKind::Io).because(error);
    let unfinished: PathBuf = dir.join(UNFINISHED);
    // A leftover of a process that died while it created the store, before any result was
    // returned.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = private(&unfinished).map_err(failed)?;
    let database = builder().create_file(file).map_err(|error| explain(&unfinished, error))?;
    Journal::create(database, &unfinished)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// Creates the missing directories of a path, the outermost first, and makes the name of each
/// durable before anything is created in it.
fn make_dir(dir: &Path, sync: SyncDir<'_>) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut there = None;
    for path in dir.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        if path.try_exists()? {
            there = Some(path);
            break;
        }
        missing.push(path);
    }
    // A process may have created the innermost existing directory and died before it synced the
    // name. Those further out were synced before. The directory may also belong to another user,
    // in a place that must not be read or cannot be synced, which is no reason not to start.
    if let Some(there) = there
        && let Err(error) = sync(&parent(there))
    {
        let dir = there.display();
        tracing::warn!(event = "store.dir_not_synced", %dir, %error);
    }
    for path in missing.into_iter().rev() {
        private_dir(path)?;
        sync(&parent(path))?;
    }
    Ok(())
}

fn parent(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => dir.to_owned(),
    }
}

/// Creates a directory that only its owner may enter, if it does not exist.
#[cfg(unix)]
fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}

/// Opens a file that only its owner may read, and creates it if necessary.
#[cfg(unix)]
pub(super) fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(not(unix))]
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(unix)]
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Other systems cannot open a directory as a file, and its entries are as durable as they get.
#[cfg(not(unix))]
pub(super) fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Maps redb's error to one for the operator who started callgate.
pub(super) fn explain(path: &Path, error: DatabaseError) -> OpenError {
    let kind = match &error {
        DatabaseError::DatabaseAlreadyOpen => OpenErrorKind::Locked,
        DatabaseError::Storage(StorageError::Io(cause)) => match cause.kind() {
            // redb reports this if the file is not a redb file, or truncated.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => OpenErrorKind::Corrupt,
            _ => OpenErrorKind::Io,
        },
        DatabaseError::Storage(_)
        | DatabaseError::RepairAborted
        | DatabaseError::UpgradeRequired(_) => OpenErrorKind::Corrupt,
        _ => OpenErrorKind::Io,
    };
    OpenError::new(path, kind).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a store, and returns the directories that were synced, in order.
    fn synced(dir: &Path) -> Vec<PathBuf> {
        let mut synced = Vec::new();
        let mut note = |dir: &Path| {
            synced.push(dir.to_owned());
            sync_dir(dir)
        };
        Folder::open_syncing(dir, &mut note).unwrap();
        synced
    }

    #[test]
    fn every_directory_that_is_made_is_synced_and_so_is_the_one_above() {
        let home = tempfile::tempdir().unwrap();
        let (a, b, c) = (home.path().join("a"), home.path().join("a/b"), home.path().join("a/b/c"));
        let above = home.path().parent().unwrap().to_owned();
        assert_eq!(synced(&c), [above, home.path().to_owned(), a, b.clone(), c.clone()]);
        assert_eq!(synced(&c), [b, c]);
    }

    #[test]
    fn what_a_process_that_died_had_not_synced_is_synced_by_the_next() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("store");
        let mut died = |path: &Path| {
            if path == dir {
                Err(io::Error::other("the process of this test died"))
            } else {
                Ok(())
            }
        };
        let error = Folder::open_syncing(&dir, &mut died).unwrap_err();
        assert_eq!(error.kind, OpenErrorKind::Io);
        assert!(dir.join(FILE).exists(), "it died before the file had its name");
        assert_eq!(synced(&dir), [home.path().to_owned(), dir.clone()]);
    }

    #[test]
    fn a_directory_above_that_cannot_be_synced_keeps_no_store_closed() {
        let home = tempfile::tempdir().unwrap();
        let above = home.path().parent().unwrap().to_owned();
        let mut odd = |path: &Path| {
            if path == above { Err(io::ErrorKind::PermissionDenied.into()) } else { sync_dir(path) }
        };
        Folder::open_syncing(home.path(), &mut odd).unwrap();
    }
}
