//! The one thread that decides and writes: operations that arrive together are committed together.
//!
//! ```text
//!   operations ──▶ queue ──▶ decide · apply   (under the lock, in the order of arrival)
//!                            append one row   (no lock: reads of settled sessions continue)
//!                            send all results
//! ```
//!
//! Operations that arrive during an fsync form the next batch, so load grows the batch and not the
//! latency. A single operation is committed at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::GROUP_COMMIT_OPS_MAX;
use crate::store::displaced::Displaced;
use crate::store::embedded::codec::Row;
use crate::store::embedded::disk_space::DiskSpace;
use crate::store::embedded::error::OpenError;
use crate::store::embedded::error::OpenErrorKind;
use crate::store::embedded::folder::Folder;
use crate::store::embedded::journal::Journal;
use crate::store::embedded::journal::JournalFailed;
use crate::store::embedded::journal::RawRow;
use crate::store::error::StoreError;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::StateMachine;
use crate::store::port::Operation;
use crate::store::port::StoreReply;

/// Maximum bytes of a batch, apart from its last operation. A commit of many large patches must
/// not delay the others, nor be copied in memory several times.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Journal bytes that may accumulate beyond twice the living data before cleaning begins.
const SLACK_BYTES: usize = 8 * 1024 * 1024;
/// Old rows processed by one batch: at least this much, and at most [`CLEANED_BYTES_MAX`].
const CLEANED_BYTES_MIN: usize = 64 * 1024;
const CLEANED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Old bytes processed for each new one. When cleaning begins, at least half of the journal is
/// garbage, so two for one would only keep up. Four for one reduces the journal.
const CLEANED_PER_BYTE: usize = 4;

/// The state that the writer and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) machine: StateMachine,
    /// The newest row that is on disk.
    pub(super) durable: u64,
    pub(super) stage: Stage,
}

/// Whether the store works.
#[derive(Debug)]
pub(super) enum Stage {
    Open,
    Closed,
    /// The failure after which every operation is refused until a restart.
    Failed(Arc<str>),
}

/// A message to the writer.
pub(super) enum Message {
    Job(Job),
    Stop,
}

/// What waits to be decided and applied as part of the next row, and where its result goes.
pub(super) struct Job {
    pub(super) now: Timestamp,
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<StoreReply, StoreError>>,
}

/// The content of a job.
pub(super) enum Work {
    Operation(Operation),
    /// A change that was decided before.
    Change(Box<Change>),
}

/// A job that is applied. Its result is sent when its row is durable.
struct Done {
    reply: oneshot::Sender<Result<StoreReply, StoreError>>,
    answer: Result<StoreReply, StoreError>,
}

/// The state of the thread.
pub(super) struct Writer {
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) journal: Journal,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) disk_space: DiskSpace,
    pub(super) displaced: Displaced,
    /// Dropped after the journal, when the thread ends.
    pub(super) _folder: Option<Folder>,
}

/// Uses written in one row when the store is closed.
const RESTED_AT_ONCE: usize = 4_096;

#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    bytes: usize,
    /// Guests that were evicted.
    displaced: usize,
    stop: bool,
}

impl Shared {
    /// Takes the lock. A panic under it may have left an operation half applied, so the store has
    /// failed.
    pub(super) fn lock(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(|poisoned| {
            let mut shared = poisoned.into_inner();
            shared.fail("an operation panicked");
            shared
        })
    }

    /// The error of an operation that must not begin.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.stage {
            Stage::Open => Ok(()),
            Stage::Closed => Err(StoreError::Refused("it is closed")),
            Stage::Failed(why) => Err(StoreError::Corrupt(why.to_string().into())),
        }
    }

    /// The error of an operation that got no result. A writer that was closed has completed every
    /// operation it began. Otherwise the outcome is unknown, and an open store whose writer does
    /// not reply has panicked and not recorded it yet.
    pub(super) fn unanswered(&self) -> StoreError {
        match &self.stage {
            Stage::Open => StoreError::Unreachable("the writer ended without an answer".into()),
            Stage::Closed => StoreError::Refused("it is closed"),
            Stage::Failed(why) => StoreError::Unreachable(why.to_string().into()),
        }
    }

    fn fail(&mut self, why: &str) {
        if !matches!(self.stage, Stage::Failed(_)) {
            tracing::error!(event = "store.failed", why, "the embedded store has stopped");
            self.stage = Stage::Failed(why.into());
        }
    }
}

impl Work {
    fn decide(self, machine: &StateMachine, now: Timestamp) -> Decision {
        match self {
            Self::Operation(operation) => machine.decide(now, &operation),
            Self::Change(change) => Decision::with(vec![*change], ()),
        }
    }
}

impl Writer {
    pub(super) fn of(
        shared: Arc<Mutex<Shared>>,
        journal: Journal,
        queue: mpsc::Receiver<Message>,
        (disk_space, folder): (DiskSpace, Option<Folder>),
    ) -> Self {
        Self {
            shared,
            journal,
            queue,
            disk_space,
            displaced: Displaced::default(),
            _folder: folder,
        }
    }

    /// Runs until it is stopped, no sender is left, or the disk fails.
    pub(super) fn run(mut self) {
        // The order matters in a panic: the alarm must mark the store as failed before the replies
        // are dropped. Otherwise a waiting caller would find a store that is being closed cleanly,
        // and treat the operation as never begun.
        let mut replies = Vec::new();
        let _alarm = Alarm(Arc::clone(&self.shared));
        while let Some(first) = self.queue.blocking_recv() {
            let batch = self.decide(first, &mut replies);
            let stop = batch.stop;
            let written = self.write(batch).and_then(|()| {
                failpoint::reached(Place::BeforeReply).map_err(JournalFailed::broken)
            });
            if let Err(failure) = &written {
                Shared::lock(&self.shared).fail(&failure.to_string());
            }
            for Done { reply, answer } in replies.drain(..) {
                // The caller may be gone. The operation is done nevertheless.
                let _ = reply.send(match &written {
                    Ok(()) => answer,
                    Err(failure) => Err(StoreError::Unreachable(failure.to_string().into())),
                });
            }
            if written.is_err() {
                return;
            }
            if stop {
                break;
            }
        }
        // A restart without that row treats the store as crashed, and gives each session the use
        // that may have been lost. A failure here therefore loses nothing.
        let _ = self.rest();
    }

    /// Writes when each session was last used, and then that nothing is missing.
    fn rest(&mut self) -> Result<(), JournalFailed> {
        loop {
            let changes = Shared::lock(&self.shared).machine.unsaved(RESTED_AT_ONCE);
            let is_last = changes.is_empty();
            let changes = if is_last { vec![Change::Rested] } else { changes };
            let row = self.journal.last() + 1;
            let mut batch = Batch::default();
            for change in changes {
                Shared::lock(&self.shared).machine.apply(row, &change);
                batch.bytes += change.bytes();
                batch.changes.push(change);
            }
            self.write(batch)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Revokes the record of a clean close, before anything happens that only a crash would lose.
    pub(super) fn woken(mut self, path: &Path) -> Result<Self, OpenError> {
        if !Shared::lock(&self.shared).machine.is_rested() {
            return Ok(self);
        }
        let at = Shared::lock(&self.shared).machine.latest();
        let noted = Change::Noted { at };
        Shared::lock(&self.shared).machine.apply(self.journal.last() + 1, &noted);
        let failed = OpenError::new(path, OpenErrorKind::Io);
        match self.write(Batch { changes: vec![noted], ..Batch::default() }) {
            Ok(()) => Ok(self),
            Err(failure) => Err(failed.because(failure.to_string())),
        }
    }

    /// Decides and applies what waits, as one row, and adds the results to `replies`.
    fn decide(&mut self, first: Message, replies: &mut Vec<Done>) -> Batch {
        let row = self.journal.last() + 1;
        Shared::lock(&self.shared).machine.set_low(self.disk_space.is_low());
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(Message::Job(Job { now, work, reply })) = next {
            // The lock is released after each operation, so that a reader waits for one and not
            // for all.
            let performed = {
                let machine = &mut Shared::lock(&self.shared).machine;
                let now = machine.present(now);
                let decision = work.decide(machine, now);
                machine.perform(row, decision)
            };
            batch.displaced += performed.displaced();
            replies.push(Done { reply, answer: performed.answer });
            for change in performed.changes.into_iter().filter(Change::is_lasting) {
                batch.bytes += change.bytes();
                batch.changes.push(change);
            }
            if replies.len() >= GROUP_COMMIT_OPS_MAX || batch.bytes >= BATCH_BYTES_MAX {
                return batch;
            }
            next = self.queue.try_recv().ok();
        }
        batch.stop = matches!(next, Some(Message::Stop));
        batch
    }

    /// Makes a batch durable. A batch without changes needs no row: what it read is durable,
    /// because the batches before it are.
    fn write(&mut self, mut batch: Batch) -> Result<(), JournalFailed> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        failpoint::reached(Place::Batch).map_err(JournalFailed::broken)?;
        let old = self.clean(&mut batch)?;
        let at = Shared::lock(&self.shared).machine.latest();
        let row = Row { at, changes: batch.changes };
        let bytes = row.encode().map_err(JournalFailed::unwritable)?;
        self.journal.append(&bytes, &old)?;
        Shared::lock(&self.shared).durable = self.journal.last();
        self.displaced.note(at, batch.displaced);
        Ok(())
    }

    /// Processes the oldest rows when most of the journal is garbage. What a replay still needs of
    /// them is added to the batch as full copies, and the rows are removed in the same commit.
    fn clean(&mut self, batch: &mut Batch) -> Result<Vec<RawRow>, JournalFailed> {
        let living = Shared::lock(&self.shared).machine.bytes();
        if self.journal.bytes() <= 2 * living + SLACK_BYTES {
            return Ok(Vec::new());
        }
        let bytes = (batch.bytes * CLEANED_PER_BYTE).clamp(CLEANED_BYTES_MIN, CLEANED_BYTES_MAX);
        let old = self.journal.oldest(bytes)?;
        let to = self.journal.last() + 1;
        for raw in &old {
            let row = Row::decode(&raw.bytes).map_err(JournalFailed::unreadable)?;
            let mut shared = Shared::lock(&self.shared);
            let whole = row.changes.iter().filter_map(Change::whole);
            batch
                .changes
                .extend(whole.filter_map(|due| shared.machine.rehome(due, raw.number, to)));
        }
        Ok(old)
    }
}

/// Marks the store as failed if the thread panics.
struct Alarm(Arc<Mutex<Shared>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            Shared::lock(&self.0).fail("the writer panicked");
        }
    }
}
