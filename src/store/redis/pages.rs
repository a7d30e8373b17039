//! Operations on all shards: pages of sessions and tokens in order, and the sweep.

use std::ops::RangeInclusive;
use std::sync::Arc;

use redis::Cmd;
use redis::Value;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::store::redis::engine::RedisEngine;
use crate::store::redis::engine::millis;
use crate::store::redis::engine::read;
use crate::store::redis::engine::slack;
use crate::store::redis::keys::SHARDS;
use crate::store::redis::keys::shard;
use crate::store::redis::rows;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Weight;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::SessionRow;

/// Shards read in one round: a page of sessions comes from a few of them.
const WINDOW: u8 = 32;
/// Rows requested at once, because a reply with all rows of a large page would time out.
const ROWS_AT_ONCE: usize = 32;
/// Entries of an index requested at once.
const ENTRIES_AT_ONCE: usize = 4_096;
/// Rows swept in one step at most, because the server is blocked meanwhile.
const SWEPT_AT_ONCE: usize = 16_384;

impl RedisEngine {
    /// The first byte of an id is its shard, so the shards are read one after the other.
    pub(super) async fn page_of_sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Result<Vec<(SessionId, SessionRow)>, CommandError> {
        let mut page = Vec::new();
        let mut cursor = after;
        let mut first = after.map_or(0, shard);
        while page.len() < at_most {
            let window = first..=first.saturating_add(WINDOW - 1);
            let last = *window.end();
            let wanted = (at_most - page.len()).min(ENTRIES_AT_ONCE);
            let ids = self.ids(window, cursor, wanted).await?;
            // The rest of the window is read again.
            let is_through = ids.len() < wanted;
            cursor = ids.last().copied().or(cursor);
            self.read_all(ids, &mut page).await?;
            match (is_through, last.checked_add(1)) {
                (true, None) => break,
                (true, Some(next)) => first = next,
                (false, _) => first = cursor.map_or(first, shard),
            }
        }
        Ok(page)
    }

    /// The ids behind `after` in these shards, in order.
    async fn ids(
        &self,
        window: RangeInclusive<u8>,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Result<Vec<SessionId>, CommandError> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let questions = window.map(|shard| {
            let key = self.keys.ids(shard);
            let command = range(&key, from.as_bytes(), at_most);
            (key, command)
        });
        let mut ids = Vec::new();
        for answer in self.topology.query_all(questions.collect()).await? {
            for id in entries(answer)? {
                ids.push(rows::read_id(id)?);
            }
        }
        ids.truncate(at_most);
        Ok(ids)
    }

    /// Reads the rows of those that have not been ended or forgotten since.
    async fn read_all(
        &self,
        ids: Vec<SessionId>,
        page: &mut Vec<(SessionId, SessionRow)>,
    ) -> Result<(), CommandError> {
        for ids in ids.chunks(ROWS_AT_ONCE) {
            let questions = ids.iter().map(|id| {
                let key = self.keys.session(*id);
                let command = read(&key);
                (key, command)
            });
            let answers = self.topology.query_all(questions.collect()).await?;
            for (id, answer) in ids.iter().zip(answers) {
                let row = rows::read_session(answer)?;
                page.extend(row.filter(|row| row.ended_at.is_none()).map(|row| (*id, row)));
            }
        }
        Ok(())
    }

    /// Names are spread over all shards, and the next few of each are read. Beyond the last entry
    /// of a full reply, another name of the same shard may come before those of other shards.
    pub(super) async fn page_of_tokens(
        &self,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Result<Vec<Found>, CommandError> {
        let mut page = Vec::new();
        let mut cursor = after;
        while page.len() < at_most {
            let wanted = (at_most - page.len()).min(ENTRIES_AT_ONCE);
            let names = self.names(cursor, wanted).await?;
            let Some(last) = names.last() else { break };
            cursor = Some(last.name);
            let work = names.iter().map(|entry| self.find_in_shard(entry)).collect::<Vec<_>>();
            for (entry, found) in names.iter().zip(topology::abreast(work).await) {
                match found? {
                    Some(found) => page.extend(Some(found).filter(is_open)),
                    None => self.unname(entry).await?,
                }
            }
        }
        page.truncate(at_most);
        Ok(page)
    }

    fn find_in_shard(
        &self,
        entry: &Entry,
    ) -> impl Future<Output = Result<Option<Found>, CommandError>> + Send + 'static {
        let topology = Arc::clone(&self.topology);
        let (keys, words) = ([self.keys.token(entry.shard, &entry.digest)], [self.fixed_fence()]);
        let digest = entry.digest;
        async move {
            let call = Call { keys: &keys, words: &words, weight: Weight::Light };
            let answer = topology.run(&topology::FIND, call).await?;
            Ok(rows::read_found(digest, answer)?.map(|(_, found)| found))
        }
    }

    /// The next names after `after`, in order; none if there are no more.
    async fn names(
        &self,
        after: Option<TokenId>,
        wanted: usize,
    ) -> Result<Vec<Entry>, CommandError> {
        // Names are random: a shard rarely has much more than its share of a page.
        let share = wanted / usize::from(WINDOW) + 4;
        // After every entry of this name: an entry is the name followed by a digest.
        let from = after.map_or_else(
            || b"-".to_vec(),
            |name| [b"(", name.bytes().as_slice(), &[0xFF; 33]].concat(),
        );
        let questions = SHARDS.map(|shard| {
            let key = self.keys.names(shard);
            let command = range(&key, &from, share);
            (key, command)
        });
        let mut names = Vec::new();
        let mut frontier = None;
        let answers = self.topology.query_all(questions.collect()).await?;
        for (shard, answer) in SHARDS.zip(answers) {
            let answer = entries(answer)?;
            let is_full = answer.len() == share;
            for entry in answer {
                let (name, digest) = rows::name_entry(&rows::bytes(entry)?)?;
                names.push(Entry { name, digest, shard });
            }
            let last = names.last().filter(|_| is_full).map(|entry| entry.name);
            frontier = [frontier, last].into_iter().flatten().min();
        }
        names.sort_unstable_by_key(|entry| entry.name);
        names.retain(|entry| frontier.is_none_or(|frontier| entry.name <= frontier));
        names.truncate(wanted);
        Ok(names)
    }

    /// Removes a name whose token Redis has expired by itself.
    async fn unname(&self, entry: &Entry) -> Result<(), CommandError> {
        let key = self.keys.names(entry.shard);
        let mut command = Cmd::new();
        let member = [entry.name.bytes().as_slice(), entry.digest.bytes()].concat();
        command.arg("ZREM").arg(&key).arg(member);
        self.topology.query(&key, command).await.map(|_| ())
    }

    /// The entry of a name, in whichever shard it is.
    pub(super) async fn named(&self, name: TokenId) -> Result<Option<Digest>, CommandError> {
        let from = [b"[", name.bytes().as_slice()].concat();
        let questions = SHARDS.map(|shard| {
            let key = self.keys.names(shard);
            let command = range(&key, &from, 1);
            (key, command)
        });
        for answer in self.topology.query_all(questions.collect()).await? {
            for entry in entries(answer)? {
                let (found, digest) = rows::name_entry(&rows::bytes(entry)?)?;
                if found == name {
                    return Ok(Some(digest));
                }
            }
        }
        Ok(None)
    }

    pub(super) async fn sweep_all(
        &self,
        now: Timestamp,
        at_most: usize,
    ) -> Result<usize, CommandError> {
        let at_most = at_most.min(SWEPT_AT_ONCE);
        let mut words = vec![
            self.keys.shards().into_bytes(),
            self.pointers_at_hand(),
            rows::moment(now),
            rows::number(u64::try_from(at_most).unwrap_or(u64::MAX)),
            rows::number(millis(TOMBSTONE)),
            slack(),
        ];
        if self.topology.is_one() {
            words.extend(SHARDS.map(|shard| format!("{shard:02X}").into_bytes()));
            let call = Call { keys: &[], words: &words, weight: Weight::Light };
            return swept(self.topology.run(&topology::SWEEP, call).await?).map(|(many, _)| many);
        }
        self.sweep_one_by_one(&words, at_most).await
    }

    /// Sweeps shard by shard, so that an error of one shard does not stop the others.
    async fn sweep_one_by_one(
        &self,
        words: &[Vec<u8>],
        at_most: usize,
    ) -> Result<usize, CommandError> {
        let mut many = 0;
        let mut refused = None;
        let mut rest: Vec<u8> = SHARDS.collect();
        while !rest.is_empty() && many < at_most {
            // Each shard of a round may sweep as much as all of them may.
            let round = rest.len().min(usize::from(WINDOW)).min(at_most - many).max(1);
            let share = (at_most - many) / round;
            let work = rest.drain(..round).map(|shard| self.sweep_shard(shard, words, share));
            let results = topology::abreast(work.collect::<Vec<_>>()).await;
            for result in results {
                match result {
                    Ok((swept, dropped)) => {
                        many += swept;
                        let pointers = dropped.iter().map(|hex| self.keys.pointer_of(hex));
                        self.unpoint(pointers.collect());
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
        match refused {
            Some(error) if many == 0 => Err(error),
            _ => Ok(many),
        }
    }

    fn sweep_shard(
        &self,
        shard: u8,
        words: &[Vec<u8>],
        room: usize,
    ) -> impl Future<Output = Result<(usize, Vec<String>), CommandError>> + Send + 'static {
        let topology = Arc::clone(&self.topology);
        let keys = [self.keys.due(shard), self.keys.ids(shard), self.keys.names(shard)];
        let mut words = words.to_vec();
        if let Some(at_most) = words.get_mut(3) {
            *at_most = rows::number(u64::try_from(room).unwrap_or(u64::MAX));
        }
        words.push(format!("{shard:02X}").into_bytes());
        async move {
            let call = Call { keys: &keys, words: &words, weight: Weight::Light };
            swept(topology.run(&topology::SWEEP, call).await?)
        }
    }
}

/// An unclaimed token in the index of names.
struct Entry {
    name: TokenId,
    digest: Digest,
    shard: u8,
}

fn is_open(found: &Found) -> bool {
    let lives = found.session.as_ref().is_some_and(|row| row.ended_at.is_none());
    lives && found.token.claim.is_none()
}

/// The entries of an index from this position on.
fn range(key: &str, from: &[u8], at_most: usize) -> Cmd {
    let mut command = Cmd::new();
    command.arg("ZRANGEBYLEX").arg(key).arg(from).arg("+").arg("LIMIT").arg(0).arg(at_most);
    command
}

pub(super) fn entries(answer: Value) -> Result<Vec<Value>, CommandError> {
    match answer {
        Value::Array(entries) => Ok(entries),
        _ => Err(CommandError::Garbled("an index")),
    }
}

/// The number of swept rows, and the digests of the tokens whose pointers remain.
fn swept(answer: Value) -> Result<(usize, Vec<String>), CommandError> {
    let malformed = || CommandError::Garbled("what a sweep answers");
    let parts: [Value; 2] = entries(answer)?.try_into().map_err(|_| malformed())?;
    let [Value::Int(many), dropped] = parts else { return Err(malformed()) };
    let dropped = entries(dropped)?.into_iter().map(rows::text).collect::<Result<_, _>>()?;
    Ok((usize::try_from(many).map_err(|_| malformed())?, dropped))
}
