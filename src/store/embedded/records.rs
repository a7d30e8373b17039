//! Records on disk, in a file of their own beside the journal.
//!
//! The file is created by the first write. A write is one transaction of the database, durable when
//! it returns. As with the journal, after a failure of the disk nothing more is read or written
//! until a restart (docs/SECURITY.md T60).

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use redb::Database;
use redb::Durability;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;
use redb::TableError;

use crate::store::embedded::error::OpenError;
use crate::store::embedded::error::OpenErrorKind;
use crate::store::embedded::folder;
use crate::store::error::StoreError;
use crate::store::port::Pending;
use crate::store::port::RecordChange;
use crate::store::port::Records;

const RECORDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("records");
const FILE: &str = "accounts.redb";
const UNFINISHED: &str = "accounts.redb.new";

/// The file with the records.
#[derive(Clone)]
pub(super) struct RecordFile(Arc<Inner>);

struct Inner {
    /// `None`: in memory.
    dir: Option<PathBuf>,
    state: Mutex<State>,
}

enum State {
    /// There is no file yet.
    Absent,
    Open(Database),
    Closed,
    Failed(String),
}

impl RecordFile {
    /// The records of the store in `dir`, whose lock the caller holds.
    pub(super) fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE);
        let failed = |error: io::Error| OpenError::new(&path, OpenErrorKind::Io).because(error);
        let state = if path.try_exists().map_err(failed)? {
            let opened = folder::builder().open(&path);
            State::Open(opened.map_err(|error| folder::explain(&path, error))?)
        } else {
            State::Absent
        };
        Ok(Self(Arc::new(Inner { dir: Some(dir.to_owned()), state: Mutex::new(state) })))
    }

    /// Records in memory, for a store without a folder.
    pub(super) fn in_memory() -> Self {
        Self(Arc::new(Inner { dir: None, state: Mutex::new(State::Absent) }))
    }

    /// Closes the file. Every later operation is refused.
    pub(super) fn close(&self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Failed(_)) {
            *state = State::Closed;
        }
    }

    /// Works on the database on a thread for blocking work. A caller that is dropped leaves the
    /// work to be completed.
    fn run<T: Send + 'static>(
        &self,
        creates: bool,
        work: impl FnOnce(Option<&Database>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Pending<'_, T> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || inner.work(creates, work)).await;
            done.unwrap_or_else(|panicked| Err(StoreError::Unreachable(Box::new(panicked))))
        })
    }
}

impl Inner {
    fn work<T>(
        &self,
        creates: bool,
        work: impl FnOnce(Option<&Database>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        // A panic under the lock may have left a transaction half done, and redb undoes it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if creates && matches!(*state, State::Absent) {
            match self.create() {
                Ok(database) => *state = State::Open(database),
                Err(error) => return Err(StoreError::Unreachable(Box::new(error))),
            }
        }
        let done = match &*state {
            State::Absent => work(None),
            State::Open(database) => work(Some(database)),
            State::Closed => return Err(StoreError::Refused("it is closed")),
            State::Failed(why) => return Err(StoreError::Corrupt(why.clone().into())),
        };
        done.map_err(|error| {
            let why = format!("the file of the accounts failed: {error}");
            *state = State::Failed(why.clone());
            StoreError::Unreachable(why.into())
        })
    }

    /// Creates the file under another name, and renames it when it is complete.
    fn create(&self) -> io::Result<Database> {
        let Some(dir) = &self.dir else {
            let backend = redb::backends::InMemoryBackend::new();
            return folder::builder().create_with_backend(backend).map_err(io::Error::other);
        };
        let unfinished = dir.join(UNFINISHED);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = folder::private(&unfinished)?;
        let database = folder::builder().create_file(file).map_err(io::Error::other)?;
        std::fs::rename(&unfinished, dir.join(FILE))?;
        folder::sync_dir(dir)?;
        Ok(database)
    }
}

impl Records for RecordFile {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        self.run(false, move |database| {
            let Some(database) = database else { return Ok(vec![None; keys.len()]) };
            let Some(table) = table(database)? else { return Ok(vec![None; keys.len()]) };
            let value = |key: &String| -> Result<_, redb::Error> {
                Ok(table.get(key.as_str())?.map(|value| value.value().to_vec()))
            };
            keys.iter().map(value).collect()
        })
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.run(false, move |database| {
            let Some(database) = database else { return Ok(Vec::new()) };
            let Some(table) = table(database)? else { return Ok(Vec::new()) };
            let first = after.as_deref().unwrap_or_default().max(prefix.as_str());
            let mut page = Vec::new();
            for entry in table.range(first..)? {
                let (key, value) = entry?;
                let key = key.value();
                if !key.starts_with(&prefix) || page.len() >= at_most {
                    break;
                }
                if after.as_deref() != Some(key) {
                    page.push((key.to_owned(), value.value().to_vec()));
                }
            }
            Ok(page)
        })
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        self.run(true, move |database| match database {
            Some(database) => write(database, &changes),
            None => Ok(false),
        })
    }
}

/// The table as it is now; `None` before the first write.
fn table(
    database: &Database,
) -> Result<Option<redb::ReadOnlyTable<&'static str, &'static [u8]>>, redb::Error> {
    match database.begin_read()?.open_table(RECORDS) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write(database: &Database, changes: &[RecordChange]) -> Result<bool, redb::Error> {
    let mut writing = database.begin_write()?;
    writing.set_durability(Durability::Immediate)?;
    // As for the journal: values come from clients.
    writing.set_two_phase_commit(true);
    let fits = {
        let mut table = writing.open_table(RECORDS)?;
        let mut fits = true;
        for RecordChange { key, expected, .. } in changes {
            let held = table.get(key.as_str())?;
            fits &= held.as_ref().map(redb::AccessGuard::value) == expected.as_deref();
        }
        for RecordChange { key, value, .. } in changes.iter().filter(|_| fits) {
            match value {
                Some(value) => drop(table.insert(key.as_str(), value.as_slice())?),
                None => drop(table.remove(key.as_str())?),
            }
        }
        fits
    };
    if fits {
        writing.commit()?;
    } else {
        writing.abort()?;
    }
    Ok(fits)
}

impl fmt::Debug for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFile").field("dir", &self.0.dir).finish_non_exhaustive()
    }
}
