//! A stamp of a folder, which tells without reading any file whether its files may have changed.

use std::fs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::Digest;

/// Deepest nesting of folders; one more than class files may have.
const DEPTH_MAX: usize = 9;
/// Most entries that are examined. A folder with more is always read, and then refused.
const ENTRIES_MAX: usize = 20_000;

/// A digest of the names of all entries of a folder, each with the metadata of its file: identity,
/// length and times.
///
/// A program cannot set the time of the last status change of a file (`ctime`), so a copy that
/// preserves its times has another stamp. Links are followed, so that a Kubernetes volume that was
/// swapped has another stamp, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Option<Digest>);

impl Stamp {
    /// The stamp of a folder as it is now.
    pub(super) fn of(folder: &Path) -> Self {
        let mut walk = Walk { facts: Vec::new(), entries: 0 };
        walk.facts(fs::metadata(folder));
        walk.folder(folder, 0);
        let is_whole = walk.entries <= ENTRIES_MAX;
        Self(is_whole.then(|| Digest::of_content("stamp", &walk.facts)))
    }

    /// Whether nothing can have changed between two stamps, as far as file times show. A folder
    /// that was too large has no stamp, which equals no other.
    pub(super) fn is_same_as(self, other: Self) -> bool {
        self.0.is_some() && self == other
    }
}

/// The state of walking a folder.
struct Walk {
    facts: Vec<u8>,
    entries: usize,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return self.facts.push(b'?') };
        // File systems list entries in any order, which is mostly stable but not guaranteed.
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort_unstable();
        for name in names {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return;
            }
            let path = folder.join(&name);
            let known = fs::metadata(&path);
            let is_folder = known.as_ref().is_ok_and(Metadata::is_dir);
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            self.facts.extend(name.len().to_be_bytes());
            self.facts.extend(name.as_encoded_bytes());
            self.facts(known);
            if is_folder && !is_hidden && depth < DEPTH_MAX {
                self.folder(&path, depth + 1);
            }
        }
        self.facts.push(b'/');
    }

    fn facts(&mut self, known: std::io::Result<Metadata>) {
        let Ok(known) = known else { return self.facts.push(b'!') };
        let numbers = [known.dev(), known.ino(), known.size(), u64::from(known.mode())];
        let times = [known.mtime(), known.mtime_nsec(), known.ctime(), known.ctime_nsec()];
        self.facts.extend(numbers.into_iter().flat_map(u64::to_be_bytes));
        self.facts.extend(times.into_iter().flat_map(i64::to_be_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct FolderPlace(tempfile::TempDir);

    impl FolderPlace {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            fs::create_dir(place.path("deep")).unwrap();
            place.write("Mail.js", "one");
            place.write("deep/part.js", "two");
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn stamp(&self) -> Stamp {
            Stamp::of(self.0.path())
        }
    }

    /// Waits until the clock of the file system has advanced, so that a change gets another time.
    fn tick(place: &FolderPlace) {
        let probe = tempfile::NamedTempFile::new().unwrap();
        let before = fs::metadata(place.path("Mail.js")).unwrap();
        loop {
            fs::write(probe.path(), "x").unwrap();
            let now = fs::metadata(probe.path()).unwrap();
            if (now.mtime(), now.mtime_nsec()) > (before.ctime(), before.ctime_nsec()) {
                return;
            }
        }
    }

    #[test]
    fn what_is_left_alone_keeps_its_stamp() {
        let place = FolderPlace::new();
        assert!(place.stamp().is_same_as(place.stamp()));
        assert!(Stamp::of(&place.path("nowhere")).is_same_as(Stamp::of(&place.path("nowhere"))));
        assert!(!Stamp::of(&place.path("nowhere")).is_same_as(place.stamp()));
    }

    #[test]
    fn a_file_as_long_and_as_old_as_before_has_another_stamp() {
        let place = FolderPlace::new();
        let (path, before) = (place.path("Mail.js"), place.stamp());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        tick(&place);
        place.write("Mail.js", "won");
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert!(!place.stamp().is_same_as(before));
    }

    #[test]
    fn a_file_that_comes_goes_or_lies_deeper_is_noticed() {
        let place = FolderPlace::new();
        let mut stamps = vec![place.stamp()];
        let mut noticed = |what: &str| {
            let stamp = place.stamp();
            assert!(!stamps.iter().any(|known| stamp.is_same_as(*known)), "{what}");
            stamps.push(stamp);
        };
        place.write("Shop.js", "new");
        noticed("a new file");
        place.write("deep/part.js", "changed");
        noticed("a file in a folder");
        fs::remove_file(place.path("deep/part.js")).unwrap();
        noticed("a file that is gone");
        fs::rename(place.path("Shop.js"), place.path("Mail.js")).unwrap();
        noticed("a file renamed over another");
    }

    #[test]
    fn a_link_that_leads_to_a_like_file_is_noticed() {
        let place = FolderPlace::new();
        place.write("copy.js", "one");
        symlink("Mail.js", place.path("link.js")).unwrap();
        let before = place.stamp();
        symlink("copy.js", place.path("new")).unwrap();
        fs::rename(place.path("new"), place.path("link.js")).unwrap();
        assert!(!place.stamp().is_same_as(before));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let place = FolderPlace::new();
        symlink(".", place.path("deep/loop")).unwrap();
        symlink("Mail.js", place.path("deep/file")).unwrap();
        assert!(place.stamp().is_same_as(place.stamp()));
    }
}
