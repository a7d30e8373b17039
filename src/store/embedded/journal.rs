//! The journal on disk: rows with growing numbers in one table, appended at one end and removed at
//! the other.
//!
//! Nothing is ever changed in place, so a commit touches the last page of the table whatever it
//! contains. One fsync serves all operations that arrived during the fsync before.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use redb::Database;
use redb::Durability;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;

use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Broken;
use crate::base::failpoint::Place;
use crate::store::embedded::codec::BadRow;
use crate::store::embedded::codec::Row;
use crate::store::embedded::error::OpenError;
use crate::store::embedded::error::OpenErrorKind;

const ROWS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("rows");
/// The number of the first row ever, which has no content. A journal without any row has lost
/// some.
const FIRST: u64 = 1;
/// Rows that may be decoded ahead of the replay.
const REPLAY_ROWS_AHEAD: usize = 64;

/// The rows on disk.
#[derive(Debug)]
pub(super) struct Journal {
    database: Database,
    last: u64,
    bytes: usize,
}

/// One row as it is stored.
pub(super) struct RawRow {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// A failure to read or write the journal. Whether the last commit happened is unknown.
#[derive(Debug)]
pub(super) struct JournalFailed(Box<dyn StdError + Send + Sync>);

impl fmt::Display for JournalFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal failed: {}", self.0)
    }
}

impl StdError for JournalFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl<E: Into<redb::Error>> From<E> for JournalFailed {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl JournalFailed {
    /// A row that cannot be encoded.
    pub(super) fn unwritable(error: serde_json::Error) -> Self {
        Self(Box::new(error))
    }

    /// A failure injected by a test.
    pub(super) fn broken(broken: Broken) -> Self {
        Self(Box::new(broken))
    }

    /// A row that was read before and cannot be read now.
    pub(super) fn unreadable(bad: BadRow) -> Self {
        Self(Box::new(bad))
    }
}

impl Journal {
    /// Creates a journal in an empty database.
    pub(super) fn create(database: Database, path: &Path) -> Result<Self, OpenError> {
        let mut journal = Self { database, last: FIRST - 1, bytes: 0 };
        let nothing = Row { at: Timestamp::default(), changes: Vec::new() };
        let begun = nothing.encode().map_err(JournalFailed::unwritable);
        begun
            .and_then(|row| journal.append(&row, &[]))
            .map_err(|error| OpenError::new(path, OpenErrorKind::Io).because(error))?;
        Ok(journal)
    }

    /// Opens the journal of a database that has one.
    pub(super) fn open(database: Database, path: &Path) -> Result<Self, OpenError> {
        let corrupt = |error| OpenError::new(path, OpenErrorKind::Corrupt).because(error);
        let ends = ends(&database).map_err(corrupt)?;
        let Some(last) = ends else {
            return Err(OpenError::new(path, OpenErrorKind::Corrupt)
                .because("the journal has lost its rows"));
        };
        Ok(Self { database, last, bytes: 0 })
    }

    /// Reads every row, oldest first.
    ///
    /// One thread reads and decodes, and this one applies: each is about half of the work.
    pub(super) fn replay(
        &mut self,
        path: &Path,
        mut take: impl FnMut(u64, Row),
    ) -> Result<(), OpenError> {
        let (sender, rows) = mpsc::sync_channel(REPLAY_ROWS_AHEAD);
        let database = &self.database;
        self.bytes = thread::scope(|scope| {
            let reading = scope.spawn(move || read_all(database, path, &sender));
            for (number, row) in rows {
                take(number, row);
            }
            reading.join().unwrap_or_else(|_| {
                Err(OpenError::new(path, OpenErrorKind::Corrupt).because("reading it panicked"))
            })
        })?;
        Ok(())
    }

    /// The number of the newest row.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The bytes of all rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest rows, about `bytes` of them and one at least.
    pub(super) fn oldest(&self, bytes: usize) -> Result<Vec<RawRow>, JournalFailed> {
        let table = self.database.begin_read()?.open_table(ROWS)?;
        let mut rows = Vec::new();
        let mut taken = 0;
        for entry in table.iter()? {
            let (number, row) = entry?;
            taken += row.value().len();
            rows.push(RawRow { number: number.value(), bytes: row.value().to_vec() });
            if taken >= bytes {
                break;
            }
        }
        Ok(rows)
    }

    /// Appends one row and removes `old`, both or neither, and returns when that is durable.
    ///
    /// After an error the state of the disk is unknown, even after another fsync that succeeds.
    /// The caller must stop using the journal.
    pub(super) fn append(&mut self, row: &[u8], old: &[RawRow]) -> Result<(), JournalFailed> {
        let number = self.last + 1;
        let mut writing = self.database.begin_write()?;
        writing.set_durability(Durability::Immediate)?;
        // Values come from clients, and a one-phase commit trusts a checksum that does not protect
        // against an attacker who chooses the checksummed data. Quick repair stays off: it writes
        // the allocator's state with every commit, and a journal of a million sessions (1 GB)
        // opens in two seconds after a crash without it.
        writing.set_two_phase_commit(true);
        {
            let mut table = writing.open_table(ROWS)?;
            for RawRow { number, .. } in old {
                table.remove(number)?;
            }
            table.insert(number, row)?;
        }
        failpoint::reached(Place::BeforeFsync).map_err(JournalFailed::broken)?;
        writing.commit()?;
        failpoint::reached(Place::AfterFsync).map_err(JournalFailed::broken)?;
        self.last = number;
        self.bytes += row.len();
        self.bytes -= old.iter().map(|old| old.bytes.len()).sum::<usize>();
        Ok(())
    }
}

/// The number of the newest row.
fn ends(database: &Database) -> Result<Option<u64>, JournalFailed> {
    let table = database.begin_read()?.open_table(ROWS)?;
    Ok(table.last()?.map(|(number, _)| number.value()))
}

/// Passes on every row, oldest first, and returns the bytes of all.
fn read_all(
    database: &Database,
    path: &Path,
    rows: &mpsc::SyncSender<(u64, Row)>,
) -> Result<usize, OpenError> {
    let unreadable = |number: u64, bad: BadRow| {
        let kind = match bad {
            BadRow::Newer(_) => OpenErrorKind::Newer,
            BadRow::Malformed(_) => OpenErrorKind::Corrupt,
        };
        OpenError::new(path, kind).because(format!("row {number}: {bad}"))
    };
    let failed = |error: redb::Error| OpenError::new(path, OpenErrorKind::Corrupt).because(error);
    let reading = database.begin_read().map_err(|error| failed(error.into()))?;
    let table = reading.open_table(ROWS).map_err(|error| failed(error.into()))?;
    let mut expected = None;
    let mut total = 0;
    for entry in table.iter().map_err(|error| failed(error.into()))? {
        let (number, bytes) = entry.map_err(|error| failed(error.into()))?;
        let (number, bytes) = (number.value(), bytes.value());
        // Rows are removed at the old end only, so a gap is a loss.
        if expected.is_some_and(|expected| expected != number) {
            let gap = BadRow::Malformed("rows before it are missing".to_owned());
            return Err(unreadable(number, gap));
        }
        expected = Some(number + 1);
        total += bytes.len();
        let row = Row::decode(bytes).map_err(|bad| unreadable(number, bad))?;
        // The receiver is gone only if the other thread panicked.
        let _ = rows.send((number, row));
    }
    Ok(total)
}
