//! The durable store for one machine: everything in memory, every change first in a journal.
//!
//! An operation returns when its change is on disk (fsync). Every acknowledged change therefore
//! survives `kill -9` and, if the disk syncs as it reports, a power loss. A read is served from
//! memory at once if every change of its session is on disk. Otherwise it waits in the queue, so
//! that no caller sees a state that a crash could undo.
//!
//! After the first failure of the disk every operation fails until a restart. The operating system
//! may drop a page that it could not write and report it as written the next time, so an fsync is
//! never retried (docs/SECURITY.md T60).

mod clock;
mod codec;
mod disk_space;
mod error;
mod folder;
mod journal;
mod records;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::WRITER_QUEUE_OPS_MAX;
use crate::store::embedded::disk_space::DiskSpace;
use crate::store::embedded::folder::Folder;
use crate::store::embedded::journal::Journal;
use crate::store::embedded::records::RecordFile;
use crate::store::embedded::writer::Job;
use crate::store::embedded::writer::Message;
use crate::store::embedded::writer::Shared;
use crate::store::embedded::writer::Stage;
use crate::store::embedded::writer::Work;
use crate::store::embedded::writer::Writer;
use crate::store::error::StoreError;
use crate::store::live::Change;
use crate::store::live::Config;
use crate::store::live::StateMachine;
use crate::store::port::Guarantees;
use crate::store::port::Operation;
use crate::store::port::Pending;
use crate::store::port::Store;
use crate::store::port::StoreReply;
use crate::store::port::on_records;

pub use disk_space::Room;
pub use error::{OpenError, OpenErrorKind};

/// Keeps sessions and tokens in a directory of this machine.
///
/// Dropping it without [`Store::close`] loses nothing either, but blocks the dropping thread until
/// the last commit.
pub struct EmbeddedStore {
    shared: Arc<Mutex<Shared>>,
    /// `None` only while the store is being dropped.
    queue: Option<mpsc::Sender<Message>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    records: RecordFile,
}

impl EmbeddedStore {
    /// Opens the store in `dir`, of the default size.
    #[cfg(any(test, feature = "testing"))]
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, Config::default())
    }

    /// Opens the store in `dir`. Creates the directory (mode 0700) and the store if there is none.
    ///
    /// Reads the whole journal, so this blocks (for seconds with a million sessions): call it before
    /// serving.
    pub fn open_with(dir: &Path, config: Config) -> Result<Self, OpenError> {
        let (folder, journal) = Folder::open(dir)?;
        Self::start(journal, dir, config, (DiskSpace::of(dir), Some(folder)))
    }

    /// Whether `dir` has a store. Nothing is created or opened, and the store may be in use.
    pub fn is_in(dir: &Path) -> bool {
        folder::is_made(dir)
    }

    /// What every store of this kind guarantees, open or not.
    pub fn guarantees() -> Guarantees {
        let notes = [
            "every answer waits for fsync; a power cut loses nothing if the disk keeps its word \
             about that, which network file systems may not",
            "a restored backup brings back tokens that were redeemed after it was made",
        ];
        Guarantees {
            store: "embedded",
            survives_crash: true,
            survives_power_loss: true,
            shared: false,
            notes: notes.map(str::to_owned).into(),
            lacks: Vec::new(),
        }
    }

    /// Opens a store on a disk that the caller provides, to test how it handles disk failures. On
    /// an empty disk a store is created.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_on(disk: impl redb::StorageBackend, config: Config) -> Result<Self, OpenError> {
        let endless = Room { free: u64::MAX, total: u64::MAX };
        Self::open_within(disk, config, move || endless)
    }

    /// Opens a store on a disk that the caller provides, with as much space as `room` returns.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_within(
        disk: impl redb::StorageBackend,
        config: Config,
        room: impl Fn() -> Room + Send + 'static,
    ) -> Result<Self, OpenError> {
        let path = Path::new("a disk of a test");
        let failed = |error| OpenError::new(path, OpenErrorKind::Io).because(error);
        // As with a directory: what exists is opened unchanged, or refused.
        let begin = if disk.len().map_err(failed)? == 0 { Journal::create } else { Journal::open };
        let database = folder::builder()
            .create_with_backend(disk)
            .map_err(|error| folder::explain(path, error))?;
        let disk_space = DiskSpace::measured(Box::new(move || Ok(room())));
        Self::start(begin(database, path)?, path, config, (disk_space, None))
    }

    fn start(
        mut journal: Journal,
        path: &Path,
        config: Config,
        (disk_space, folder): (DiskSpace, Option<Folder>),
    ) -> Result<Self, OpenError> {
        let mut machine = StateMachine::asleep(config);
        journal.replay(path, |number, row| {
            machine.apply(number, &Change::Noted { at: row.at });
            for change in &row.changes {
                machine.apply(number, change);
            }
        })?;
        machine.wake();
        // The folder is locked, or there is none.
        let records = match &folder {
            Some(_) => RecordFile::open(path)?,
            None => RecordFile::in_memory(),
        };
        let (sessions, _, tokens) = machine.census();
        tracing::info!(event = "store.open", sessions, tokens, bytes = journal.bytes());
        let shared = Shared { machine, durable: journal.last(), stage: Stage::Open };
        let shared = Arc::new(Mutex::new(shared));
        let (sender, queue) = mpsc::channel(WRITER_QUEUE_OPS_MAX);
        let writer = Writer::of(Arc::clone(&shared), journal, queue, (disk_space, folder));
        let writer = writer.woken(path)?;
        let thread = thread::Builder::new()
            .name("callgate-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::new(path, OpenErrorKind::Io).because(error))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, queue: Some(sender), thread, records })
    }

    /// Sends an operation to the writer and waits for its result. A future that is dropped before
    /// its first poll has done nothing. If it is dropped later, the operation is done.
    async fn ask(&self, now: Timestamp, work: Work) -> Result<StoreReply, StoreError> {
        Shared::lock(&self.shared).check()?;
        let (reply, answer) = oneshot::channel();
        self.submit(Message::Job(Job { now, work, reply }))?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(Shared::lock(&self.shared).unanswered()),
        }
    }

    fn submit(&self, message: Message) -> Result<(), StoreError> {
        let Some(queue) = &self.queue else {
            return Err(StoreError::Refused("it is closed"));
        };
        queue.try_send(message).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                StoreError::Refused("too many operations wait for it")
            }
            mpsc::error::TrySendError::Closed(_) => StoreError::Refused("it has stopped"),
        })
    }

    /// Serves a read from memory, or returns nothing if a crash could undo what it reads.
    fn at_once(
        &self,
        now: Timestamp,
        id: SessionId,
        operation: &Operation,
    ) -> Result<Option<StoreReply>, StoreError> {
        let mut shared = Shared::lock(&self.shared);
        shared.check()?;
        if !shared.machine.is_settled(id, shared.durable) {
            return Ok(None);
        }
        let now = shared.machine.present(now);
        let mut decision = shared.machine.decide(now, operation);
        match decision.changes.as_slice() {
            [] | [Change::Touched { .. }] => {}
            // The answer does not wait for this: what a restart gives back covers it. After a
            // pause longer than that it would not, so the answer waits.
            [seen @ Change::Seen { .. }] if shared.machine.is_covered(id, now) => {
                let (reply, _) = oneshot::channel();
                let work = Work::Change(Box::new(seen.clone()));
                self.submit(Message::Job(Job { now, work, reply }))?;
                decision.changes = vec![Change::Touched { id, at: now }];
            }
            _ => return Ok(None),
        }
        shared.machine.perform(0, decision).answer.map(Some)
    }

    fn health(&self) -> Result<Guarantees, StoreError> {
        Shared::lock(&self.shared).check()?;
        Ok(Self::guarantees())
    }

    /// A second call does not wait. After a failure it returns the error, and everything
    /// acknowledged before is on disk.
    async fn shut_down(&self) -> Result<(), StoreError> {
        self.records.close();
        {
            let mut shared = Shared::lock(&self.shared);
            match shared.stage {
                Stage::Open => shared.stage = Stage::Closed,
                Stage::Closed => {}
                Stage::Failed(_) => return shared.check(),
            }
        }
        if let Some(queue) = &self.queue {
            // If the channel is closed, the writer has ended already.
            let _ = queue.send(Message::Stop).await;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        match &Shared::lock(&self.shared).stage {
            Stage::Failed(why) => Err(StoreError::Corrupt(why.to_string().into())),
            Stage::Open | Stage::Closed => Ok(()),
        }
    }
}

impl Store for EmbeddedStore {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        let operation = match on_records(&self.records, operation) {
            Ok(reply) => return reply,
            Err(other) => other,
        };
        Box::pin(async move {
            let read = match operation {
                Operation::SelfCheck => return self.health().map(Into::into),
                Operation::Close => return self.shut_down().await.map(Into::into),
                Operation::Resume { id, .. } | Operation::Look { id, .. } => {
                    self.at_once(now, id, &operation)?
                }
                _ => None,
            };
            match read {
                Some(reply) => Ok(reply),
                None => self.ask(now, Work::Operation(operation)).await,
            }
        })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The writer ends when no sender is left, after it has finished what it has. The directory
        // must be closed before it can be opened again.
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of that thread has been reported by its alarm.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = Shared::lock(&self.shared);
        write!(f, "EmbeddedStore({:?}, {:?})", shared.machine, shared.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::base::DeviceId;
    use crate::base::Digest;
    use crate::session::Device;
    use crate::session::JsonText;
    use crate::session::Lifetime;
    use crate::session::Patch;
    use crate::session::Record;
    use crate::session::Right;
    use crate::store::embedded::clock::CLOCK_AHEAD_MAX;
    use crate::store::port::Founding;
    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;
    use std::io;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;

    /// A disk that panics at an fsync, outside of every lock of the store.
    #[derive(Debug)]
    struct Explosive {
        inner: InMemoryBackend,
        armed: Arc<AtomicBool>,
    }

    impl StorageBackend for Explosive {
        fn len(&self) -> io::Result<u64> {
            self.inner.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.inner.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.inner.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            assert!(!self.armed.load(Ordering::SeqCst), "a disk of a test");
            self.inner.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.inner.write(offset, data)
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_commit_is_never_reported_as_not_executed() {
        let armed = Arc::new(AtomicBool::new(false));
        let disk = Explosive { inner: InMemoryBackend::new(), armed: Arc::clone(&armed) };
        let store = EmbeddedStore::open_on(disk, Config::default()).unwrap();
        armed.store(true, Ordering::SeqCst);
        let noted = Change::Noted { at: Timestamp::from_millis(1) };
        let operation = store.ask(Timestamp::from_millis(1), Work::Change(Box::new(noted)));
        // A concurrent close makes the store look as if it ended cleanly.
        let (lost, closed) = tokio::join!(operation, store.close());
        assert!(matches!(lost, Err(StoreError::Unreachable(_))), "{lost:?}");
        assert!(matches!(closed, Err(StoreError::Corrupt(_))), "{closed:?}");
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_written_is_acknowledged_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let (now, id) = (Timestamp::from_millis(1), SessionId::from_bytes([1; 16]));
        let device = Device {
            id: DeviceId::from_bytes([1; 8]),
            digest: Digest::from_bytes([1; 32]),
            since: now,
            label: String::new(),
        };
        let record = Record::new(id, now, Lifetime::default(), device);
        let founding = Founding { record, patch: Patch::default(), token: None };
        store.create(now, founding).await.unwrap();
        let entries = vec![("k".into(), Some(JsonText::broken()))];
        let lost =
            store.patch(now, id, Right::Operator, Patch { entries, ..Patch::default() }).await;
        assert!(matches!(lost, Err(StoreError::Unreachable(_))), "{lost:?}");
        assert!(matches!(store.look(now, id, Right::Operator).await, Err(StoreError::Corrupt(_))));
        drop(store);
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let kept = store.look(now, id, Right::Operator).await.unwrap().done().unwrap();
        assert!(kept.record.storage.find("k").is_none(), "it reads as something else");
    }

    #[tokio::test]
    async fn a_store_from_the_future_is_noticed_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let wall = Timestamp::from_millis(1_900_000_000_000);
        let span = CLOCK_AHEAD_MAX * 3;
        let store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.compare_clock(wall), Duration::ZERO);
        let noted = Change::Noted { at: wall.after(span) };
        store.ask(wall, Work::Change(Box::new(noted))).await.unwrap();
        drop(store);
        let store = EmbeddedStore::open(dir.path()).unwrap();
        assert_eq!(store.compare_clock(wall), span);
    }

    #[test]
    fn only_a_store_that_was_closed_says_that_an_unanswered_operation_was_not_executed() {
        let said = |stage| {
            Shared { machine: StateMachine::new(Config::default()), durable: 0, stage }.unanswered()
        };
        assert!(matches!(said(Stage::Open), StoreError::Unreachable(_)));
        assert!(matches!(said(Stage::Failed("a test".into())), StoreError::Unreachable(_)));
        assert!(matches!(said(Stage::Closed), StoreError::Refused(_)));
    }

    #[tokio::test]
    async fn a_panic_in_the_state_ends_everything_until_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let now = Timestamp::from_millis(1);
        let id = SessionId::from_bytes([1; 16]);
        let shared = Arc::clone(&store.shared);
        let panics = move || {
            let _held = Shared::lock(&shared);
            panic!("in a test");
        };
        assert!(std::thread::spawn(panics).join().is_err());
        assert!(matches!(store.look(now, id, Right::Operator).await, Err(StoreError::Corrupt(_))));
        assert!(matches!(store.end(now, id, Right::Operator).await, Err(StoreError::Corrupt(_))));
        assert!(store.self_check().await.is_err());
        drop(store);
        let store = EmbeddedStore::open(dir.path()).unwrap();
        assert!(store.end(now, id, Right::Operator).await.unwrap().done().is_none());
    }
}
