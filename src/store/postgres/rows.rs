//! Conversions between PostgreSQL rows and the engine's rows, and lists of fixed-width entries as
//! bytes.

use std::fmt;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::store::error::StoreError;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::KeptAnswer;
use crate::store::shared::engine::NEVER;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::engine::Unspent;

/// The columns of a session, in the order in which [`session`] reads them.
pub(super) const SESSION: [&str; 10] = [
    "version",
    "seen_at",
    "idle_ms",
    "absolute_at",
    "ended_at",
    "doc",
    "joined",
    "devices",
    "unspent",
    "answers",
];
/// The columns of a token, in the order in which [`token`] reads them.
pub(super) const TOKEN: [&str; 14] = [
    "digest",
    "id",
    "session",
    "expires_at",
    "forget_at",
    "handlers",
    "mode",
    "confirm",
    "binding",
    "claim",
    "claimed_at",
    "run",
    "answer",
    "doc",
];

/// The columns, qualified with this row name.
pub(super) fn columns(columns: &[&str], of: &str) -> String {
    let each: Vec<String> = columns.iter().map(|column| format!("{of}.{column}")).collect();
    each.join(", ")
}

/// The session that begins at this column; `None` if there is none.
pub(super) fn session(row: &Row, at: usize) -> Result<Option<SessionRow>, StoreError> {
    let Some(version) = read::<Option<i64>>(row, at)? else { return Ok(None) };
    let devices: &[u8] = read(row, at + 7)?;
    let unspent: &[u8] = read(row, at + 8)?;
    let answers: &[u8] = read(row, at + 9)?;
    Ok(Some(SessionRow {
        version: unsigned(version),
        seen_at: moment(read(row, at + 1)?),
        idle_ms: unsigned(read(row, at + 2)?),
        absolute_at: moment(read(row, at + 3)?),
        ended_at: read::<Option<i64>>(row, at + 4)?.map(moment),
        doc: read(row, at + 5)?,
        joined: read(row, at + 6)?,
        devices: unpack(devices, |rest| part(rest).map(Digest::from_bytes))?,
        unspent: unpack(unspent, |rest| {
            Some(Unspent {
                digest: Digest::from_bytes(part(rest)?),
                id: TokenId::from_bytes(part(rest)?),
                expires_at: Timestamp::from_millis(u64::from_be_bytes(part(rest)?)),
            })
        })?,
        answers: unpack(answers, |rest| {
            Some(KeptAnswer {
                digest: Digest::from_bytes(part(rest)?),
                at: Timestamp::from_millis(u64::from_be_bytes(part(rest)?)),
                bytes: u32::from_be_bytes(part(rest)?),
            })
        })?,
    }))
}

/// The token that begins at this column; `None` if there is none.
fn token(row: &Row, at: usize) -> Result<Option<TokenRow>, StoreError> {
    let Some(digest) = read::<Option<&[u8]>>(row, at)? else { return Ok(None) };
    let binding: Option<&[u8]> = read(row, at + 8)?;
    let claim: Option<&[u8]> = read(row, at + 9)?;
    let claimed_at: Option<i64> = read(row, at + 10)?;
    let claim = match claim.zip(claimed_at) {
        Some((id, at)) => Some((ClaimId::from_bytes(exact(id)?), moment(at))),
        None => None,
    };
    let confirm: i16 = read(row, at + 7)?;
    Ok(Some(TokenRow {
        digest: Digest::from_bytes(exact(digest)?),
        id: TokenId::from_bytes(exact(read(row, at + 1)?)?),
        session: SessionId::from_bytes(exact(read(row, at + 2)?)?),
        expires_at: moment(read(row, at + 3)?),
        forget_at: moment(read(row, at + 4)?),
        handlers: read(row, at + 5)?,
        mode: read::<Option<i16>>(row, at + 6)?.map(mode_of).transpose()?,
        confirm: u8::try_from(confirm).map_err(|_| corrupt("a wish that nobody knows"))?,
        binding: binding.map(exact).transpose()?.map(Digest::from_bytes),
        claim,
        run: read(row, at + 11)?,
        answer: read(row, at + 12)?,
        doc: read(row, at + 13)?,
    }))
}

/// The token, whether its fence holds, and its session, which begin at this column.
pub(super) fn found(row: &Row, at: usize) -> Result<Option<Found>, StoreError> {
    let Some(token) = token(row, at)? else { return Ok(None) };
    let fenced = read::<Option<bool>>(row, at + TOKEN.len())?.unwrap_or(false);
    Ok(Some(Found { token, fenced, session: session(row, at + TOKEN.len() + 1)? }))
}

/// The only row of a result.
pub(super) fn first(rows: &[Row]) -> Result<&Row, StoreError> {
    rows.first().ok_or_else(|| corrupt("no answer to a question"))
}

/// One column of a row.
pub(super) fn read<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at).map_err(|error| StoreError::Corrupt(Box::new(error)))
}

/// The id of a session, as a database stores it.
pub(super) fn session_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    exact(bytes).map(SessionId::from_bytes)
}

/// A time as a database counts it. Anything beyond [`NEVER`] becomes [`NEVER`], so that sums do
/// not overflow.
pub(super) fn millis(moment: Timestamp) -> i64 {
    signed(moment.millis().min(NEVER.millis()))
}

/// A number as a database counts it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An idle timeout, which is added to times.
pub(super) fn span(millis: u64) -> i64 {
    signed(millis.min(NEVER.millis() / 2))
}

/// The number of a mode.
pub(super) fn mode(mode: RestoreMode) -> i16 {
    match mode {
        RestoreMode::Auto => 0,
        RestoreMode::Share => 1,
        RestoreMode::Context => 2,
        RestoreMode::Transfer => 3,
    }
}

/// The digests of devices, one after the other.
pub(super) fn devices(digests: &[Digest]) -> Vec<u8> {
    digests.iter().flat_map(|digest| *digest.bytes()).collect()
}

/// The unspent tokens of a session, one after the other.
pub(super) fn unspent(tokens: &[Unspent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tokens.len() * 48);
    for token in tokens {
        bytes.extend(token.digest.bytes());
        bytes.extend(token.id.bytes());
        bytes.extend(token.expires_at.millis().to_be_bytes());
    }
    bytes
}

/// The kept responses of a session, one after the other.
pub(super) fn answers(answers: &[KeptAnswer]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(answers.len() * 44);
    for answer in answers {
        bytes.extend(answer.digest.bytes());
        bytes.extend(answer.at.millis().to_be_bytes());
        bytes.extend(answer.bytes.to_be_bytes());
    }
    bytes
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millis(unsigned(millis))
}

/// A number that a database counts from zero.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn mode_of(number: i16) -> Result<RestoreMode, StoreError> {
    match number {
        0 => Ok(RestoreMode::Auto),
        1 => Ok(RestoreMode::Share),
        2 => Ok(RestoreMode::Context),
        3 => Ok(RestoreMode::Transfer),
        _ => Err(corrupt("a restore mode that nobody knows")),
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| corrupt("a value of the wrong length"))
}

fn part<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (part, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*part)
}

fn unpack<T>(
    mut bytes: &[u8],
    entry: impl Fn(&mut &[u8]) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(entry(&mut bytes).ok_or_else(|| corrupt("a list that ends in the middle"))?);
    }
    Ok(list)
}

fn corrupt(what: &'static str) -> StoreError {
    StoreError::Corrupt(Box::new(Odd(what)))
}

/// A value that callgate has not written.
#[derive(Debug)]
struct Odd(&'static str);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database holds {}", self.0)
    }
}

impl std::error::Error for Odd {}
