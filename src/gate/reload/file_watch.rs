//! Files that are watched while the gate serves, and whatever is loaded from them again when they
//! change.
//!
//! Files are polled, and compared by content. Kernel notifications are cheaper and miss too much:
//! they watch an inode, and are silent when a parent directory is swapped, as every Kubernetes
//! volume does, when the file lies on NFS or in a bind mount, or when their queue is full. File
//! times are not sufficient either: a copy can preserve them, and two writes can share one. Reading
//! a few kilobytes five times a second costs less than either mistake.
//!
//! Each watch has a thread of its own. A read that blocks, such as one from an unreachable file
//! server, blocks that thread only, and does not keep the process from ending.

use std::fs::File;
use std::io;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::base::Digest;

/// Pause between two checks. A change is applied by the second check that finds it.
const PAUSE: Duration = Duration::from_millis(200);
/// Time for files to be read and checked before they count as unreadable.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The contents of a file, or why they cannot be read.
pub(crate) type FileContents = Result<Vec<u8>, String>;

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// The files are those in use, or the same that were refused before.
    Unchanged,
    /// The new contents are in use now.
    Taken,
    /// The new contents are invalid, and the old ones stay in use. Contains what is wrong, in one
    /// line each; their number and length are limited.
    Refused(Vec<String>),
}

impl Reload {
    /// The result of two reloads together: the worse of the two.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused(mut lines), Self::Refused(more)) => {
                lines.extend(more);
                Self::Refused(lines)
            }
            (refused @ Self::Refused(_), _) | (_, refused @ Self::Refused(_)) => refused,
            (Self::Taken, _) | (_, Self::Taken) => Self::Taken,
            (Self::Unchanged, Self::Unchanged) => Self::Unchanged,
        }
    }
}

/// Something that is loaded from files, and can be replaced while it is in use.
pub(crate) trait Reloadable: Send + Sync + 'static {
    /// The contents of the files at one time, or why they cannot be read.
    type Snapshot;

    /// The files and folders, for a message if they cannot be read in time.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads them, as thoroughly as `how` requires.
    fn read(&self, how: ReadMode) -> Self::Snapshot;

    /// A digest of the contents, to detect changes.
    fn fingerprint(found: &Self::Snapshot) -> Digest;

    /// Applies the contents, or refuses them. It may block.
    fn remake(&self, found: Self::Snapshot) -> Reload;

    /// Refuses a change for these reasons. It is also called on threads that serve requests, so it
    /// must neither read files nor wait for a thread that does.
    fn refuse(&self, why: Vec<String>) -> Reload;
}

/// A watch on some files, with its thread.
pub(crate) struct FileWatch {
    /// Refuses the change, because the files cannot be read in time.
    give_up: Box<dyn Fn() -> Reload + Send + Sync>,
    requests: mpsc::Sender<Request>,
    /// A caller has timed out since the thread last started a request.
    stalled: Arc<AtomicBool>,
}

struct Request {
    how: ReadMode,
    reply: oneshot::Sender<Reload>,
}

/// When files are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// Now, whatever was found before.
    Now,
    /// When they have changed and two checks found the same: a file that is being written differs
    /// from one check to the next, and may temporarily hold half of the old and half of the new
    /// contents and still be well-formed.
    Settled,
}

impl FileWatch {
    /// Watches the files of `thing`, which is in use as it was loaded from `found`.
    pub(crate) fn start<R: Reloadable>(thing: Arc<R>, found: &R::Snapshot) -> io::Result<Self> {
        let (requests, queue) = mpsc::channel(1);
        let stalled = Arc::new(AtomicBool::new(false));
        let seen = R::fingerprint(found);
        let worker = Worker {
            thing: Arc::clone(&thing),
            stalled: Arc::clone(&stalled),
            seen,
            judged: Some(seen),
        };
        let thread = std::thread::Builder::new().name("callgate-reload".to_owned());
        thread.spawn(move || worker.work(queue))?;
        let give_up = Box::new(move || {
            let silent = "does not answer; see the disk that it is on";
            let files = thing.files();
            thing.refuse(files.iter().map(|file| format!("{}: {silent}", file.display())).collect())
        });
        Ok(Self { give_up, requests, stalled })
    }

    /// Reads the files and applies them at once.
    pub(crate) async fn reload(&self) -> Reload {
        match self.ask(ReadMode::Now).await {
            Some(reload) => reload,
            None => self.stall(),
        }
    }

    /// Checks whether the files have changed, and applies a change that has settled.
    pub(crate) async fn look(&self) -> Reload {
        match self.ask(ReadMode::Settled).await {
            Some(reload) => reload,
            None if self.stalled.load(Ordering::Acquire) => Reload::Unchanged,
            None => self.stall(),
        }
    }

    async fn ask(&self, how: ReadMode) -> Option<Reload> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.requests.send(Request { how, reply }).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(READ_TIMEOUT, asking).await.ok()?
    }

    fn stall(&self) -> Reload {
        let reload = (self.give_up)();
        // Set last: the thread may finish meanwhile, and must check once more after this.
        self.stalled.store(true, Ordering::Release);
        reload
    }
}

/// Checks all of them periodically, for as long as it is polled.
pub(crate) async fn run(all: &[FileWatch]) {
    loop {
        tokio::time::sleep(PAUSE).await;
        for watched in all {
            watched.look().await;
        }
    }
}

/// The state of the thread of one watch.
struct Worker<R> {
    thing: Arc<R>,
    stalled: Arc<AtomicBool>,
    /// The digest of the last check.
    seen: Digest,
    /// The digest that was last applied or refused, unless that result is in doubt.
    judged: Option<Digest>,
}

impl<R: Reloadable> Worker<R> {
    /// Runs until all senders are dropped.
    fn work(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(Request { how, reply }) = queue.blocking_recv() {
            let reload = self.answer(how);
            // The caller may have timed out.
            let _ = reply.send(reload);
        }
    }

    fn answer(&mut self, how: ReadMode) -> Reload {
        if self.stalled.swap(false, Ordering::AcqRel) {
            // The files were declared unreadable meanwhile, regardless of their contents.
            self.judged = None;
        }
        let contents = self.thing.read(how);
        let found = R::fingerprint(&contents);
        let settled = self.seen == found;
        self.seen = found;
        if how == ReadMode::Settled && (!settled || self.judged == Some(found)) {
            return Reload::Unchanged;
        }
        self.judged = Some(found);
        let judging = AssertUnwindSafe(|| self.thing.remake(contents));
        // The swap is the last step, so a panic leaves the old contents in use.
        catch_unwind(judging).unwrap_or_else(|_| {
            let files = self.thing.files();
            let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            let why = format!("{}: callgate failed over it; see the log", names.join(", "));
            self.thing.refuse(vec![why])
        })
    }
}

/// Reads a file, unless it is not a regular file or is longer than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: usize) -> FileContents {
    let name = path.display();
    let failed = |error: io::Error| {
        format!("{name}: cannot be read: {error}; name a file of UTF-8 text that is there")
    };
    // Checked before it is opened: opening a pipe blocks until it has a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("{name}: is not a file; name a file of UTF-8 text"));
    }
    let mut content = Vec::new();
    // One byte more distinguishes a file that is too long from one that just fits.
    let at_most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let file = File::open(path).map_err(failed)?;
    file.take(at_most).read_to_end(&mut content).map_err(failed)?;
    if content.len() > bytes_max {
        return Err(format!("{name}: has more than {bytes_max} bytes; make it shorter"));
    }
    Ok(content)
}

/// A digest of the contents of several files.
pub(crate) fn fingerprint(contents: &[FileContents]) -> Digest {
    let each = contents.iter().flat_map(|content| {
        let digest = match content {
            Ok(bytes) => Digest::of_content("file", bytes),
            Err(why) => Digest::of_content("no file", why.as_bytes()),
        };
        *digest.bytes()
    });
    Digest::of_content("files", &each.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc as std_mpsc;

    /// Accepts valid contents, and blocks at a barrier if it has one.
    struct Thing {
        file: PathBuf,
        taken: Mutex<Vec<FileContents>>,
        door: Mutex<Option<std_mpsc::Receiver<()>>>,
        at_the_door: AtomicBool,
    }

    impl Reloadable for Thing {
        type Snapshot = FileContents;

        fn files(&self) -> Vec<PathBuf> {
            vec![self.file.clone()]
        }

        fn read(&self, _: ReadMode) -> FileContents {
            read(&self.file, 8)
        }

        fn fingerprint(found: &FileContents) -> Digest {
            fingerprint(std::slice::from_ref(found))
        }

        fn remake(&self, found: FileContents) -> Reload {
            match &found {
                Ok(bytes) if bytes == b"panic" => panic!("a thing that cannot take this"),
                Ok(_) => {}
                Err(why) => return self.refuse(vec![why.clone()]),
            }
            if let Some(door) = &*self.door.lock().unwrap() {
                self.at_the_door.store(true, Ordering::SeqCst);
                door.recv().unwrap();
            }
            self.taken.lock().unwrap().push(found);
            Reload::Taken
        }

        fn refuse(&self, why: Vec<String>) -> Reload {
            self.taken.lock().unwrap().extend(why.iter().cloned().map(Err));
            Reload::Refused(why)
        }
    }

    /// A folder, and a thing loaded from a file in it that contains `old`.
    fn thing() -> (tempfile::TempDir, Arc<Thing>, FileWatch) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "old").unwrap();
        let (taken, door) = (Mutex::default(), Mutex::default());
        let thing = Arc::new(Thing { file, taken, door, at_the_door: AtomicBool::new(false) });
        let watched = FileWatch::start(Arc::clone(&thing), &Ok(b"old".to_vec())).unwrap();
        (folder, thing, watched)
    }

    #[tokio::test]
    async fn a_file_that_still_changes_is_not_taken() {
        let (_folder, thing, watched) = thing();
        for content in ["n", "ne", "new"] {
            std::fs::write(&thing.file, content).unwrap();
            assert_eq!(watched.look().await, Reload::Unchanged);
        }
        assert_eq!(watched.look().await, Reload::Taken);
        assert_eq!(watched.look().await, Reload::Unchanged);
        assert_eq!(*thing.taken.lock().unwrap(), [Ok(b"new".to_vec())]);
    }

    #[tokio::test]
    async fn whoever_asks_for_a_reload_gets_one_at_once() {
        let (_folder, thing, watched) = thing();
        std::fs::write(&thing.file, "new").unwrap();
        assert_eq!(watched.reload().await, Reload::Taken);
        assert_eq!(watched.look().await, Reload::Unchanged, "it was judged already");
    }

    #[tokio::test]
    async fn a_file_that_is_too_long_is_not_read_to_its_end() {
        let (_folder, thing, watched) = thing();
        std::fs::write(&thing.file, "12345678").unwrap();
        assert_eq!(watched.reload().await, Reload::Taken);
        std::fs::write(&thing.file, "123456789").unwrap();
        let Reload::Refused(lines) = watched.reload().await else { panic!("it was taken") };
        assert!(lines[0].ends_with(": has more than 8 bytes; make it shorter"), "{lines:?}");
    }

    #[tokio::test]
    async fn a_thing_that_panics_is_refused_and_watched_on() {
        let (_folder, thing, watched) = thing();
        std::fs::write(&thing.file, "panic").unwrap();
        let Reload::Refused(lines) = watched.reload().await else { panic!("it was taken") };
        assert!(lines[0].contains("callgate failed over it"), "{lines:?}");
        std::fs::write(&thing.file, "new").unwrap();
        assert_eq!(watched.reload().await, Reload::Taken);
    }

    #[tokio::test]
    async fn files_that_do_not_answer_are_refused_and_taken_when_they_do() {
        let (_folder, thing, watched) = thing();
        let (open, door) = std_mpsc::channel();
        *thing.door.lock().unwrap() = Some(door);
        std::fs::write(&thing.file, "new").unwrap();
        let stuck = async {
            while !thing.at_the_door.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            // Paused time advances to the end of every wait that nothing else ends.
            tokio::time::pause();
        };
        let (refused, ()) = tokio::join!(watched.reload(), stuck);
        assert!(matches!(&refused, Reload::Refused(lines) if lines[0].contains("does not answer")));
        assert_eq!(watched.look().await, Reload::Unchanged, "that is said once");
        assert!(matches!(watched.reload().await, Reload::Refused(_)), "unless somebody asks");
        tokio::time::resume();
        // As many as may wait, so that none is blocked any more.
        for _ in 0..8 {
            open.send(()).unwrap();
        }
        // Each check waits for the thread, which first replies to those that timed out.
        for _ in 0..3 {
            watched.look().await;
        }
        let taken = thing.taken.lock().unwrap();
        assert_eq!(taken.last(), Some(&Ok(b"new".to_vec())), "what was in doubt is judged again");
    }

    #[tokio::test]
    async fn the_thread_ends_with_what_it_looks_after() {
        let (_folder, thing, watched) = thing();
        let held = Arc::downgrade(&thing);
        drop((thing, watched));
        let gone = async {
            while held.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(READ_TIMEOUT, gone).await.expect("the thread goes on for nobody");
    }

    #[test]
    fn of_two_reloads_the_worse_counts() {
        let refused = |line: &str| Reload::Refused(vec![line.to_owned()]);
        assert_eq!(Reload::Unchanged.and(Reload::Taken), Reload::Taken);
        assert_eq!(refused("a").and(Reload::Taken), refused("a"));
        assert_eq!(Reload::Unchanged.and(refused("b")), refused("b"));
        let both = Reload::Refused(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(refused("a").and(refused("b")), both);
    }
}
