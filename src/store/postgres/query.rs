//! One command to PostgreSQL: its timeout, and the meaning of its failure.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::Row;
use tokio_postgres::error::DbError;
use tokio_postgres::error::Severity;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use crate::base::clock::Stopwatch;
use crate::store::error::StoreError;

use super::pool::Pool;

/// Timeout of a command. It is longer than the server's own (`statement_timeout`), so that mostly
/// the server reports the timeout, and then nothing has happened.
const REPLY_TIMEOUT: Duration = Duration::from_millis(1_250);
/// Attempts of one command.
const ATTEMPTS_MAX: usize = 4;
/// Latest start of a further attempt.
const AGAIN_WITHIN: Duration = Duration::from_millis(750);

/// What a command does to the database, which decides whether it may be repeated although it may
/// have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only reads.
    Reads,
    /// It writes.
    Writes,
}

/// The parameters of a command, in their order.
#[derive(Debug, Default)]
pub(super) struct Params<'a>(Vec<(Box<dyn ToSql + Sync + Send + 'a>, Type)>);

impl<'a> Params<'a> {
    pub(super) fn with(mut self, value: impl ToSql + Sync + Send + 'a, kind: Type) -> Self {
        self.0.push((Box::new(value), kind));
        self
    }

    fn list(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let mut list = Vec::with_capacity(self.0.len());
        for (value, kind) in &self.0 {
            let value: &(dyn ToSql + Sync) = &**value;
            list.push((value, kind.clone()));
        }
        list
    }
}

/// A command that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The error for the caller.
    pub(super) error: StoreError,
    /// Whether such a row exists already; then nothing was written.
    pub(super) is_twice: bool,
    after: After,
}

/// The state after a failed command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The server rolled it back, and a retry may succeed.
    RolledBack,
    /// It failed, and the connection works.
    Reported,
    /// It failed, and so did the connection.
    Lost,
}

impl Failure {
    fn new(after: After, error: StoreError) -> Self {
        Self { error, is_twice: false, after }
    }

    /// Whether nothing can have happened and a retry may succeed.
    fn may_be_repeated(&self, effect: Effect) -> bool {
        self.after == After::RolledBack || self.after == After::Lost && effect == Effect::Reads
    }
}

/// Sends an unnamed statement in one round trip, so that it works through a pooler in transaction
/// mode.
pub(super) async fn query(
    pool: &Pool,
    effect: Effect,
    sql: &str,
    params: &Params<'_>,
) -> Result<Vec<Row>, Failure> {
    let watch = Stopwatch::start();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match once(pool, effect, sql, params).await {
            Err(failure)
                if failure.may_be_repeated(effect)
                    && attempts < ATTEMPTS_MAX
                    && watch.elapsed() < AGAIN_WITHIN => {}
            done => return done,
        }
    }
}

async fn once(
    pool: &Pool,
    effect: Effect,
    sql: &str,
    params: &Params<'_>,
) -> Result<Vec<Row>, Failure> {
    let reported = |error| Failure::new(After::Reported, error);
    let mut pooled = pool.acquire().await.map_err(reported)?;
    let connection =
        pooled.begin().ok_or(StoreError::Refused("the connection is gone")).map_err(reported)?;
    let answer =
        tokio::time::timeout(REPLY_TIMEOUT, connection.client.query_typed(sql, &params.list()))
            .await;
    let is_doubtful = connection.take_warning() && effect == Effect::Writes;
    let failure = match answer {
        Ok(Ok(_)) if is_doubtful => reported(unknown(Unknown::NotReplicated)),
        Ok(Ok(rows)) => {
            pooled.finish();
            return Ok(rows);
        }
        Ok(Err(error)) => judge(error, is_doubtful),
        Err(_) => Failure::new(After::Lost, unknown(Unknown::Silent)),
    };
    match failure.after {
        After::Lost => pooled.discard(),
        After::RolledBack | After::Reported => pooled.finish(),
    }
    Err(failure)
}

/// Classifies a failure. An error that the server reports concerns a transaction that it has
/// rolled back. An error that ends the connection may have occurred after the commit.
fn judge(error: Error, is_doubtful: bool) -> Failure {
    let Some(reported) = error.as_db_error() else {
        return if is_ours(&error) {
            Failure::new(After::Reported, StoreError::Corrupt(Box::new(error)))
        } else {
            Failure::new(After::Lost, StoreError::Unreachable(Box::new(error)))
        };
    };
    if is_doubtful {
        return Failure::new(After::Lost, unknown(Unknown::NotReplicated));
    }
    if reported.parsed_severity() != Some(Severity::Error) {
        return Failure::new(After::Lost, StoreError::Unreachable(Box::new(error)));
    }
    let code = reported.code();
    let is_twice = *code == SqlState::UNIQUE_VIOLATION;
    let (after, error) = match code {
        &SqlState::READ_ONLY_SQL_TRANSACTION => {
            (After::Lost, StoreError::Refused("the database server is a standby, or read only"))
        }
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
            (After::RolledBack, StoreError::Refused("too many work on the same session"))
        }
        &SqlState::LOCK_NOT_AVAILABLE => {
            (After::Reported, StoreError::Refused("somebody else works on the same session"))
        }
        &SqlState::QUERY_CANCELED => {
            (After::Reported, StoreError::Refused("the database took too long"))
        }
        &SqlState::DISK_FULL | &SqlState::OUT_OF_MEMORY => (After::Reported, StoreError::Full),
        code if is_schema_mismatch(code) => {
            (After::Reported, StoreError::Corrupt(Box::new(SchemaMismatch::from(reported))))
        }
        _ => (After::Reported, StoreError::Unreachable(Box::new(error))),
    };
    Failure { error, is_twice, after }
}

/// Whether a value could not be converted on the client's side.
fn is_ours(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("error serializing") || text.starts_with("error encoding")
}

/// Whether the schema is not as callgate created it, or the database is damaged.
fn is_schema_mismatch(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    // Insufficient privilege, undefined table, …; data exceptions; no such schema; corrupted.
    matches!(class, "42" | "22" | "23" | "3F" | "XX")
}

/// The result of a write with an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Silent,
    NotReplicated,
}

fn unknown(why: Unknown) -> StoreError {
    StoreError::Unreachable(Box::new(why))
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "the database did not answer in time",
            Self::NotReplicated => {
                "the database gave up waiting for its standby; the write may be lost in a fail-over"
            }
        })
    }
}

impl std::error::Error for Unknown {}

/// The schema is not as callgate created it.
#[derive(Debug)]
struct SchemaMismatch {
    code: String,
    message: String,
}

impl From<&DbError> for SchemaMismatch {
    fn from(error: &DbError) -> Self {
        // Neither detail nor hint, because they quote values.
        Self { code: error.code().code().to_owned(), message: error.message().to_owned() }
    }
}

impl fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the database is not as callgate made it: {} (SQLSTATE {}); ask `callgate store doctor`",
            self.message, self.code
        )
    }
}

impl std::error::Error for SchemaMismatch {}
