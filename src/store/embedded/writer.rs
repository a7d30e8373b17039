//! The one thread that decides and writes down: what has come in together is committed together.
//!
//! ```text
//!   verbs ──▶ queue ──▶ decide · apply   (under the lock, in the order of conn)
//!                       append one row   (no lock: reads of settled sessions go on)
//!                       answer all
//! ```
//!
//! Under load the commits grow and not the waiting: while one fsync is on its way the next batch
//! gathers. A lone verb does not wait for company.

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
use crate::store::embedded::error::OpenError;
use crate::store::embedded::error::OpenErrorKind;
use crate::store::embedded::folder::Folder;
use crate::store::embedded::ground::Ground;
use crate::store::embedded::journal::Journal;
use crate::store::embedded::journal::JournalFailed;
use crate::store::embedded::journal::RawRow;
use crate::store::error::StoreError;
use crate::store::live::Change;
use crate::store::live::Decided;
use crate::store::live::Live;

/// Bytes committed together at most, apart from the last verb: a commit of many large patches
/// must not keep the others waiting, nor be copied whole in memory several times.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Journal bytes that are let grow before cleaning begins, beyond twice what lives.
const SLACK_BYTES: usize = 8 * 1024 * 1024;
/// Old rows taken up by one batch: at least this much, and at most [`CLEANED_BYTES_MAX`].
const CLEANED_BYTES_MIN: usize = 64 * 1024;
const CLEANED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Old bytes taken up for each new one. When cleaning begins, half of the journal is garbage at
/// least, so taking up two for one would just keep pace; four gains on it.
const CLEANED_PER_BYTE: usize = 4;

/// What the writer and the readers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) live: Live,
    /// The newest row that a crash cannot take back.
    pub(super) durable: u64,
    pub(super) stage: Stage,
}

/// Whether the store works.
#[derive(Debug)]
pub(super) enum Stage {
    Open,
    Closed,
    /// For this reason nothing is done any more until a restart.
    Failed(Arc<str>),
}

/// What the writer is told.
pub(super) enum Message {
    Job(Job),
    Stop,
}

/// A verb that waits to be decided and applied as part of this row.
pub(super) type Job = Box<dyn FnOnce(&mut Live, u64) -> Done + Send>;

/// A verb that is applied; it is answered when its row is durable.
pub(super) struct Done {
    changes: Vec<Change>,
    reply: Reply,
}

type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The thread's own things.
pub(super) struct Writer {
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) journal: Journal,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) ground: Ground,
    pub(super) displaced: Displaced,
    /// Let go after the journal, when the thread ends.
    pub(super) _folder: Option<Folder>,
}

/// Uses written down in one row when the store is closed.
const RESTED_AT_ONCE: usize = 4_096;

#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    bytes: usize,
    /// Guests that made room.
    displaced: usize,
    stop: bool,
}

impl Shared {
    /// Takes the lock. A panic under it may have left half a verb behind, so it is the end.
    pub(super) fn lock(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(|poisoned| {
            let mut shared = poisoned.into_inner();
            shared.fail("a verb panicked");
            shared
        })
    }

    /// What a verb is told before it begins.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &self.stage {
            Stage::Open => Ok(()),
            Stage::Closed => Err(StoreError::Refused("it is closed")),
            Stage::Failed(why) => Err(StoreError::Corrupt(why.to_string().into())),
        }
    }

    /// What a verb is told that got no answer. A writer that was closed has answered everything
    /// it began; after anything else nobody knows, and an open store whose writer does not answer
    /// is one that has panicked and not said so yet.
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

/// A verb as a job, and where its answer will arrive.
pub(super) fn job<T: Send + 'static>(
    now: Timestamp,
    decide: impl FnOnce(&Live, Timestamp) -> Decided<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
    let (sender, answer) = oneshot::channel();
    let job = move |live: &mut Live, row: u64| {
        let now = live.present(now);
        let decided = decide(live, now);
        let performed = live.perform(row, decided);
        let answer = performed.answer;
        // Whoever asked may have gone away; the verb is done all the same.
        let reply = move |committed: Result<(), StoreError>| {
            let _ = sender.send(committed.and(answer));
        };
        Done { changes: performed.changes, reply: Box::new(reply) }
    };
    (Box::new(job), answer)
}

impl Writer {
    pub(super) fn of(
        shared: Arc<Mutex<Shared>>,
        journal: Journal,
        queue: mpsc::Receiver<Message>,
        (ground, folder): (Ground, Option<Folder>),
    ) -> Self {
        Self { shared, journal, queue, ground, displaced: Displaced::default(), _folder: folder }
    }

    /// Works until it is told to stop, nobody is left to ask, or the disk fails.
    pub(super) fn run(mut self) {
        // The order matters in a panic: the alarm must have gone off before the replies are
        // dropped, or whoever waits for one would find a store that is being closed in order and
        // take the verb for one that was never begun.
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
            for reply in replies.drain(..) {
                reply(match &written {
                    Ok(()) => Ok(()),
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
        // A restart that finds no such word takes the store for one that crashed, and gives each
        // session the use that may have been lost; so a failure costs nothing.
        let _ = self.rest();
    }

    /// Writes down when each session was last used, and then that nothing is missing.
    fn rest(&mut self) -> Result<(), JournalFailed> {
        loop {
            let changes = Shared::lock(&self.shared).live.unsaved(RESTED_AT_ONCE);
            let is_last = changes.is_empty();
            let changes = if is_last { vec![Change::Rested] } else { changes };
            let row = self.journal.last() + 1;
            let mut batch = Batch::default();
            for change in changes {
                Shared::lock(&self.shared).live.apply(row, &change);
                batch.bytes += change.bytes();
                batch.changes.push(change);
            }
            self.write(batch)?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Takes back that the store was closed in order, before anything happens that only a crash
    /// would leave out.
    pub(super) fn woken(mut self, path: &Path) -> Result<Self, OpenError> {
        if !Shared::lock(&self.shared).live.is_rested() {
            return Ok(self);
        }
        let at = Shared::lock(&self.shared).live.latest();
        let noted = Change::Noted { at };
        Shared::lock(&self.shared).live.apply(self.journal.last() + 1, &noted);
        let failed = OpenError::new(path, OpenErrorKind::Io);
        match self.write(Batch { changes: vec![noted], ..Batch::default() }) {
            Ok(()) => Ok(self),
            Err(failure) => Err(failed.because(failure.to_string())),
        }
    }

    /// Decides and applies what waits, as one row, and adds how to answer it to `replies`.
    fn decide(&mut self, first: Message, replies: &mut Vec<Reply>) -> Batch {
        let row = self.journal.last() + 1;
        Shared::lock(&self.shared).live.set_low(self.ground.is_low());
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(Message::Job(job)) = next {
            // The lock is let go after each verb, so that a reader waits for one and not for all.
            let done = job(&mut Shared::lock(&self.shared).live, row);
            replies.push(done.reply);
            batch.displaced +=
                done.changes.iter().filter(|it| matches!(it, Change::Displaced { .. })).count();
            for change in done.changes.into_iter().filter(Change::is_lasting) {
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

    /// Makes a batch durable. One that changed nothing needs no row: what it saw is durable,
    /// because the batches before it are.
    fn write(&mut self, mut batch: Batch) -> Result<(), JournalFailed> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        failpoint::reached(Place::Batch).map_err(JournalFailed::broken)?;
        let old = self.clean(&mut batch)?;
        let at = Shared::lock(&self.shared).live.latest();
        let row = Row { at, changes: batch.changes };
        let bytes = row.encode().map_err(JournalFailed::unwritable)?;
        self.journal.append(&bytes, &old)?;
        Shared::lock(&self.shared).durable = self.journal.last();
        self.displaced.note(at, batch.displaced);
        Ok(())
    }

    /// Takes up the oldest rows when most of the journal is garbage: what a replay still needs
    /// of them is added to the batch as full copies, and the rows go in the same commit.
    fn clean(&mut self, batch: &mut Batch) -> Result<Vec<RawRow>, JournalFailed> {
        let living = Shared::lock(&self.shared).live.bytes();
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
            batch.changes.extend(whole.filter_map(|due| shared.live.rehome(due, raw.number, to)));
        }
        Ok(old)
    }
}

/// Marks the store as failed if the thread dies of a panic.
struct Alarm(Arc<Mutex<Shared>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            Shared::lock(&self.0).fail("the writer panicked");
        }
    }
}
