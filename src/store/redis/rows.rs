//! Rows as Redis stores them: fields of text and bytes, in the order of `rows.lua`.

use redis::Value;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::store::redis::servers::error::CommandError;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::KeptAnswer;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::engine::Unspent;

/// The fields of a session.
pub(super) const SESSION: [&str; 10] =
    ["v", "seen", "idle", "abs", "ended", "doc", "joined", "devices", "unspent", "answers"];

/// Bytes of one unspent token in its session's row: digest, name, time.
const UNSPENT_BYTES: usize = 48;
/// Bytes of one kept response in its session's row: digest, time, size.
const ANSWER_BYTES: usize = 44;

type Read<T> = Result<T, CommandError>;

/// A number in its written form.
pub(super) fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// A time in its written form.
pub(super) fn moment(moment: Timestamp) -> Vec<u8> {
    number(moment.millis())
}

/// The digests, concatenated.
pub(super) fn devices(devices: &[Digest]) -> Vec<u8> {
    devices.iter().flat_map(|digest| *digest.bytes()).collect()
}

pub(super) fn unspent(slips: &[Unspent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(slips.len() * UNSPENT_BYTES);
    for Unspent { digest, id, expires_at } in slips {
        bytes.extend_from_slice(digest.bytes());
        bytes.extend_from_slice(id.bytes());
        bytes.extend_from_slice(&expires_at.millis().to_be_bytes());
    }
    bytes
}

pub(super) fn answers(kept: &[KeptAnswer]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kept.len() * ANSWER_BYTES);
    for KeptAnswer { digest, at, bytes: size } in kept {
        bytes.extend_from_slice(digest.bytes());
        bytes.extend_from_slice(&at.millis().to_be_bytes());
        bytes.extend_from_slice(&size.to_be_bytes());
    }
    bytes
}

/// The devices that joined, one per line.
pub(super) fn joined(joined: &[Vec<u8>]) -> Vec<u8> {
    joined.join(&b'\n')
}

/// The fields of a token that a mint writes after its name: all but the fence, which the server
/// supplies.
pub(super) fn token(row: &TokenRow) -> [Vec<u8>; 12] {
    let (claim, claimed_at) = match row.claim {
        Some((id, at)) => (id.bytes().to_vec(), moment(at)),
        None => (Vec::new(), Vec::new()),
    };
    [
        row.session.to_string().into_bytes(),
        moment(row.expires_at),
        moment(row.forget_at),
        row.handlers.join("\n").into_bytes(),
        row.mode.map(|mode| mode.to_string()).unwrap_or_default().into_bytes(),
        number(row.confirm.into()),
        row.binding.map(|digest| digest.bytes().to_vec()).unwrap_or_default(),
        claim,
        claimed_at,
        row.run.clone(),
        row.answer.clone(),
        row.doc.clone(),
    ]
}

/// The index entry of a name: entries sort as names do, and contain the digest.
pub(super) fn name_entry(entry: &[u8]) -> Read<(TokenId, Digest)> {
    let malformed = CommandError::Garbled("a name in the index");
    let (name, digest) = entry.split_first_chunk::<8>().ok_or(malformed.clone())?;
    let digest = digest.try_into().map_err(|_| malformed)?;
    Ok((TokenId::from_bytes(*name), Digest::from_bytes(digest)))
}

/// The session in these fields; `None` if there is none.
pub(super) fn read_session(row: Value) -> Read<Option<SessionRow>> {
    let Value::Array(fields) = row else { return Ok(None) };
    let fields: [Value; SESSION.len()] =
        fields.try_into().map_err(|_| CommandError::Garbled("a session's row"))?;
    let [version, seen, idle, absolute, ended, doc, joined, devices, unspent, answers] = fields;
    if version == Value::Nil {
        return Ok(None);
    }
    let joined = bytes(joined)?;
    let lines = joined.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let digests = bytes(devices)?;
    Ok(Some(SessionRow {
        version: read_number(version)?,
        seen_at: read_moment(seen)?,
        idle_ms: read_number(idle)?,
        absolute_at: read_moment(absolute)?,
        ended_at: if ended == Value::Nil { None } else { Some(read_moment(ended)?) },
        doc: bytes(doc)?,
        joined: lines.map(<[u8]>::to_vec).collect(),
        devices: chunks(&digests)?.into_iter().map(Digest::from_bytes).collect(),
        unspent: chunks(&bytes(unspent)?)?.iter().map(read_slip).collect::<Read<_>>()?,
        answers: chunks(&bytes(answers)?)?.iter().map(read_kept).collect::<Read<_>>()?,
    }))
}

/// The reply of FIND and CLAIM: whether the token was granted, and what was found.
pub(super) fn read_found(digest: Digest, answer: Value) -> Read<Option<(bool, Found)>> {
    let parts = match answer {
        Value::Nil => return Ok(None),
        Value::Array(parts) => parts,
        _ => return Err(CommandError::Garbled("what a token's step answers")),
    };
    let parts: [Value; 4] = parts.try_into().map_err(|_| CommandError::Garbled("a found token"))?;
    let [granted, token, fenced, session] = parts;
    let token = read_token(digest, token)?;
    let found = Found { token, fenced: fenced == Value::Int(1), session: read_session(session)? };
    Ok(Some((granted == Value::Int(1), found)))
}

fn read_token(digest: Digest, row: Value) -> Read<TokenRow> {
    let malformed = || CommandError::Garbled("a token's row");
    let Value::Array(fields) = row else { return Err(malformed()) };
    let fields: [Value; 14] = fields.try_into().map_err(|_| malformed())?;
    let [
        id,
        sid,
        expires,
        forget,
        handlers,
        mode,
        confirm,
        binding,
        claim,
        at,
        run,
        answer,
        doc,
        _,
    ] = fields;
    let handlers = text(handlers)?;
    let mode = text(mode)?;
    let claim = bytes(claim)?;
    let claim = if claim.is_empty() {
        None
    } else {
        Some((ClaimId::from_bytes(exactly(&claim)?), read_moment(at)?))
    };
    let binding = bytes(binding)?;
    Ok(TokenRow {
        digest,
        id: TokenId::from_bytes(exactly(&bytes(id)?)?),
        session: text(sid)?.parse().map_err(|_| malformed())?,
        expires_at: read_moment(expires)?,
        forget_at: read_moment(forget)?,
        handlers: handlers.lines().map(str::to_owned).collect(),
        mode: if mode.is_empty() { None } else { Some(mode.parse().map_err(|_| malformed())?) },
        confirm: u8::try_from(read_number(confirm)?).map_err(|_| malformed())?,
        binding: if binding.is_empty() { None } else { Some(exactly(&binding)?) }
            .map(Digest::from_bytes),
        claim,
        run: bytes(run)?,
        answer: bytes(answer)?,
        doc: bytes(doc)?,
    })
}

/// Bytes; empty for a missing field.
pub(super) fn bytes(value: Value) -> Read<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::Nil => Ok(Vec::new()),
        _ => Err(CommandError::Garbled("a field")),
    }
}

pub(super) fn text(value: Value) -> Read<String> {
    String::from_utf8(bytes(value)?).map_err(|_| CommandError::Garbled("text"))
}

/// A number; 0 for a missing field.
pub(super) fn read_number(value: Value) -> Read<u64> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| CommandError::Garbled("a number"))
}

fn read_moment(value: Value) -> Read<Timestamp> {
    read_number(value).map(Timestamp::from_millis)
}

/// A session id from an index.
pub(super) fn read_id(value: Value) -> Read<SessionId> {
    text(value)?.parse().map_err(|_| CommandError::Garbled("a session id"))
}

fn read_slip(slip: &[u8; UNSPENT_BYTES]) -> Read<Unspent> {
    let (digest, rest) = split(slip)?;
    let (id, expires) = split(rest)?;
    let expires_at = Timestamp::from_millis(u64::from_be_bytes(exactly(expires)?));
    Ok(Unspent { digest: Digest::from_bytes(digest), id: TokenId::from_bytes(id), expires_at })
}

fn read_kept(kept: &[u8; ANSWER_BYTES]) -> Read<KeptAnswer> {
    let (digest, rest) = split(kept)?;
    let (at, size) = split(rest)?;
    Ok(KeptAnswer {
        digest: Digest::from_bytes(digest),
        at: Timestamp::from_millis(u64::from_be_bytes(at)),
        bytes: u32::from_be_bytes(exactly(size)?),
    })
}

fn chunks<const N: usize>(bytes: &[u8]) -> Read<Vec<[u8; N]>> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(CommandError::Garbled("a list"));
    }
    Ok(chunks.to_vec())
}

fn split<const N: usize>(bytes: &[u8]) -> Read<([u8; N], &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or(CommandError::Garbled("a list"))?;
    Ok((*first, rest))
}

fn exactly<const N: usize>(bytes: &[u8]) -> Read<[u8; N]> {
    bytes.try_into().map_err(|_| CommandError::Garbled("bytes of another length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(bytes: Vec<u8>) -> Value {
        Value::BulkString(bytes)
    }

    #[test]
    fn a_session_reads_back_what_was_written() {
        let row = SessionRow {
            version: 7,
            seen_at: Timestamp::from_millis(1_900_000_000_000),
            idle_ms: 3_600_000,
            absolute_at: crate::store::shared::engine::NEVER,
            ended_at: None,
            doc: b"{\"v\":1}\n".to_vec(),
            joined: vec![b"{a}".to_vec(), b"{b}".to_vec()],
            devices: vec![Digest::from_bytes([0; 32]), Digest::from_bytes([255; 32])],
            unspent: vec![Unspent {
                digest: Digest::from_bytes([10; 32]),
                id: TokenId::from_bytes([13; 8]),
                expires_at: Timestamp::from_millis(5),
            }],
            answers: vec![KeptAnswer {
                digest: Digest::from_bytes([9; 32]),
                at: Timestamp::from_millis(6),
                bytes: u32::MAX,
            }],
        };
        let fields = vec![
            bulk(number(row.version)),
            bulk(moment(row.seen_at)),
            bulk(number(row.idle_ms)),
            bulk(moment(row.absolute_at)),
            Value::Nil,
            bulk(row.doc.clone()),
            bulk(joined(&row.joined)),
            bulk(devices(&row.devices)),
            bulk(unspent(&row.unspent)),
            bulk(answers(&row.answers)),
        ];
        assert_eq!(read_session(Value::Array(fields)).unwrap(), Some(row));
        assert_eq!(read_session(Value::Nil).unwrap(), None);
        let nothing = vec![Value::Nil; SESSION.len()];
        assert_eq!(read_session(Value::Array(nothing)).unwrap(), None);
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        let mut fields = vec![Value::Nil; SESSION.len()];
        fields[0] = bulk(b"seven".to_vec());
        assert!(read_session(Value::Array(fields.clone())).is_err());
        fields[0] = bulk(b"7".to_vec());
        fields[7] = bulk(vec![0; 33]);
        assert!(read_session(Value::Array(fields)).is_err());
        assert!(read_session(Value::Array(vec![Value::Nil])).is_err());
        let digest = Digest::from_bytes([1; 32]);
        assert!(read_found(digest, Value::Int(1)).is_err());
        assert!(name_entry(&[0; 39]).is_err());
    }
}
