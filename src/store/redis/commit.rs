//! A commit as the arguments of `commit.lua`: the expected state, then one step after the other.

use std::time::Duration;

use redis::Cmd;
use redis::Value;

use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::limits::REPEAT_SECS_MAX;
use crate::base::limits::TOMBSTONE;
use crate::store::redis::engine::RedisEngine;
use crate::store::redis::engine::millis;
use crate::store::redis::engine::slack;
use crate::store::redis::keys::shard;
use crate::store::redis::rows;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Weight;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::Mark;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenChange;
use crate::store::shared::engine::TokenRow;

/// The longest expiry that Redis is given for a row that is never swept: more than two years, as
/// long as a session or a token may live and be repeated.
const SPAN_MAX: Duration = Duration::from_hours(24 * 800);

/// The steps of a commit, with their keys.
struct Steps {
    keys: Vec<String>,
    words: Vec<Vec<u8>>,
    shard: u8,
    /// The approximate time of the commit, because no caller passes it. It is rather too early,
    /// which only makes the expiry in Redis later.
    now: Timestamp,
}

/// Writes a commit.
pub(super) async fn write(engine: &RedisEngine, commit: Commit) -> Result<Committed, CommandError> {
    if let Some(token) = &commit.mint
        && !engine.topology.is_one()
        && !point(engine, &commit, token).await?
    {
        return Ok(Committed::TokenExists);
    }
    let drops = commit.drops.clone();
    let (keys, words) = in_words(engine, commit);
    let call = Call { keys: &keys, words: &words, weight: Weight::Heavy };
    let answer = engine.topology.run(&topology::COMMIT, call).await?;
    let committed = read(answer)?;
    if matches!(committed, Committed::Done) && !engine.topology.is_one() {
        engine.unpoint(drops.iter().map(|digest| engine.keys.pointer(digest)).collect());
    }
    Ok(committed)
}

/// Writes the pointer of a token to be minted, where the token lives in another slot. Returns
/// false if another session has this token. If the mint then fails, the pointer leads to nothing
/// until Redis expires it.
async fn point(
    engine: &RedisEngine,
    commit: &Commit,
    token: &TokenRow,
) -> Result<bool, CommandError> {
    let pointer = engine.keys.pointer(&token.digest);
    let span = pointer_span(token, base(commit));
    let mut set = Cmd::new();
    set.arg("SET").arg(&pointer).arg(commit.id.to_string()).arg("PX").arg(span).arg("NX");
    if engine.topology.write(&pointer, set).await? != Value::Nil {
        return Ok(true);
    }
    Ok(engine.pointed(&pointer).await? == Some(commit.id))
}

impl RedisEngine {
    /// Deletes pointers to dropped tokens. Redis would expire them by itself, so no caller waits
    /// for it.
    pub(super) fn unpoint(&self, pointers: Vec<String>) {
        let topology = std::sync::Arc::clone(&self.topology);
        if pointers.is_empty() {
            return;
        }
        tokio::spawn(async move {
            let questions = pointers.into_iter().map(|pointer| {
                let mut command = Cmd::new();
                command.arg("DEL").arg(&pointer);
                (pointer, command)
            });
            let _ = topology.query_all(questions.collect()).await;
        });
    }
}

/// The time of a commit, as far as its row contains it.
fn base(commit: &Commit) -> Timestamp {
    let row = commit.session.as_ref();
    row.map_or(Timestamp::default(), |row| row.ended_at.unwrap_or(row.seen_at))
}

fn span(until: Timestamp, now: Timestamp) -> u64 {
    millis(until.since(now).min(SPAN_MAX))
}

/// A pointer must not expire before its token, which is kept longer with each repeat of its
/// callback.
fn pointer_span(token: &TokenRow, now: Timestamp) -> u64 {
    let repeats = Duration::from_secs(REPEAT_SECS_MAX);
    span(token.forget_at, now).saturating_add(millis(repeats + TOMBSTONE * 2))
}

fn in_words(engine: &RedisEngine, commit: Commit) -> (Vec<String>, Vec<Vec<u8>>) {
    let now = base(&commit);
    let Commit { id, expect, next, expect_seen, expect_fence, session, guest, .. } = commit;
    let Commit { mint, marks, drops, due_at, .. } = commit;
    let shard = shard(id);
    let keys = &engine.keys;
    let mut steps = Steps {
        keys: vec![keys.session(id), keys.ids(shard), keys.names(shard), keys.due(shard)],
        words: Vec::new(),
        shard,
        now,
    };
    let fenced = expect_fence.map(|digest| steps.key(engine, &digest)).unwrap_or_default();
    let minted = mint.as_ref().map(|token| steps.key(engine, &token.digest)).unwrap_or_default();
    steps.words = vec![
        engine.fixed_fence(),
        id.to_string().into_bytes(),
        match expect {
            Expect::Absent => Vec::new(),
            Expect::Version(version) => rows::number(version),
        },
        expect_seen.map(rows::moment).unwrap_or_default(),
        fenced,
        minted.clone(),
        engine.pointers_at_hand(),
        slack(),
        rows::number(next),
    ];
    // Writes that free memory come first, so that tokens can be revoked on a full server. With a
    // mint they come last, so that a full server refuses the script and stores nothing new.
    let (first, last) = if mint.is_none() { (drops, Vec::new()) } else { (Vec::new(), drops) };
    for digest in first {
        steps.drop(engine, &digest);
    }
    match session {
        Some(row) => steps.row(row, due_at, guest),
        None => steps.word("same"),
    }
    for digest in last {
        steps.drop(engine, &digest);
    }
    for mark in marks {
        steps.mark(engine, mark);
    }
    if let Some(token) = mint {
        steps.mint(minted, &token);
    }
    (steps.keys, steps.words)
}

impl Steps {
    /// Adds the key of a token, and returns its index among the keys as an argument.
    fn key(&mut self, engine: &RedisEngine, digest: &Digest) -> Vec<u8> {
        self.keys.push(engine.keys.token(self.shard, digest));
        rows::number(u64::try_from(self.keys.len()).unwrap_or(u64::MAX))
    }

    fn word(&mut self, word: &str) {
        self.words.push(word.as_bytes().to_vec());
    }

    fn row(&mut self, row: SessionRow, due_at: Timestamp, guest: bool) {
        self.word("row");
        self.words.extend([
            rows::moment(due_at),
            rows::number(span(due_at, self.now)),
            rows::moment(row.seen_at),
            rows::number(row.idle_ms),
            rows::moment(row.absolute_at),
            row.ended_at.map(rows::moment).unwrap_or_default(),
            row.doc,
            rows::devices(&row.devices),
            rows::joined(&row.joined),
            rows::unspent(&row.unspent),
            rows::answers(&row.answers),
            if guest { b"1".to_vec() } else { Vec::new() },
        ]);
    }

    fn drop(&mut self, engine: &RedisEngine, digest: &Digest) {
        self.about("drop", engine, digest);
        self.words.push(digest.bytes().to_vec());
    }

    fn mark(&mut self, engine: &RedisEngine, Mark { digest, change }: Mark) {
        match change {
            TokenChange::Claim { id, at, forget_at } => {
                self.about("claim", engine, &digest);
                let forget_at = forget_at.map(rows::moment).unwrap_or_default();
                let digest = digest.bytes().to_vec();
                self.words.extend([digest, id.bytes().to_vec(), rows::moment(at), forget_at]);
            }
            TokenChange::Run { run, answer, forget_at } => {
                self.about("run", engine, &digest);
                let span = rows::number(span(forget_at, self.now));
                self.words.extend([run, answer, rows::moment(forget_at), span]);
            }
            TokenChange::Unanswered => self.about("unanswered", engine, &digest),
            TokenChange::Unclaim { forget_at } => {
                self.about("unclaim", engine, &digest);
                self.words.extend([digest.bytes().to_vec(), rows::moment(forget_at)]);
            }
            TokenChange::Void => self.about("void", engine, &digest),
        }
    }

    fn about(&mut self, step: &str, engine: &RedisEngine, digest: &Digest) {
        self.word(step);
        let key = self.key(engine, digest);
        self.words.push(key);
    }

    fn mint(&mut self, key: Vec<u8>, token: &TokenRow) {
        self.word("mint");
        self.words.extend([
            key,
            token.id.bytes().to_vec(),
            token.digest.bytes().to_vec(),
            rows::number(span(token.forget_at, self.now)),
            rows::number(pointer_span(token, self.now)),
        ]);
        self.words.extend(rows::token(token));
    }
}

fn read(answer: Value) -> Result<Committed, CommandError> {
    let malformed = || CommandError::Garbled("what a commit answers");
    let Value::Array(parts) = answer else { return Err(malformed()) };
    let mut parts = parts.into_iter();
    let outcome = parts.next().ok_or_else(malformed)?;
    let rest = parts.next().unwrap_or(Value::Nil);
    Ok(match rows::text(outcome)?.as_str() {
        "done" => Committed::Done,
        "stale" => Committed::Stale(rows::read_session(rest)?),
        "exists" => Committed::TokenExists,
        "unfenced" => Committed::Unfenced,
        _ => return Err(malformed()),
    })
}
