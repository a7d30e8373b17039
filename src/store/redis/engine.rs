//! The steps of an engine on Redis, each of which is one script or one plain command.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;

use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::store::error::StoreError;
use crate::store::port::Guarantees;
use crate::store::port::Pending;
use crate::store::port::Records;
use crate::store::redis::check::Checks;
use crate::store::redis::commit;
use crate::store::redis::keys::Keys;
use crate::store::redis::keys::shard;
use crate::store::redis::records::RedisRecords;
use crate::store::redis::rows;
use crate::store::redis::servers::address::Address;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Script;
use crate::store::redis::servers::topology::Topology;
use crate::store::redis::servers::topology::Weight;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Claimed;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Engine;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::Share;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::engine::Trimmed;

/// Replaces the epoch where the address switches the fence off.
const NO_FENCE: &str = "off";

/// Keeps rows in a Redis.
pub(super) struct RedisEngine {
    pub(super) address: Address,
    pub(super) keys: Keys,
    pub(super) topology: Arc<Topology>,
    pub(super) checks: Checks,
    records: RedisRecords,
    /// How far the server's clock is ahead, in milliseconds.
    pub(super) ahead: AtomicU64,
}

/// How long Redis keeps rows after they are no longer needed if they are not swept, in
/// milliseconds.
pub(super) fn slack() -> Vec<u8> {
    rows::number(millis(TOMBSTONE * 2))
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl RedisEngine {
    pub(super) fn new(address: &Address, app: &str) -> Result<Self, String> {
        let (keys, topology) = (Keys::of(app), Arc::new(Topology::to(address)?));
        Ok(Self {
            address: address.clone(),
            records: RedisRecords::new(Arc::clone(&topology), keys.records()),
            keys,
            topology,
            checks: Checks::default(),
            ahead: AtomicU64::new(0),
        })
    }

    /// The fence that replaces the server's own epoch; empty for the server's own.
    pub(super) fn fixed_fence(&self) -> Vec<u8> {
        if self.address.fence() { Vec::new() } else { NO_FENCE.into() }
    }

    /// The prefix of pointers where a step may access them; empty where it may not.
    pub(super) fn pointers_at_hand(&self) -> Vec<u8> {
        if self.topology.is_one() { self.keys.pointers().into_bytes() } else { Vec::new() }
    }

    async fn read(&self, id: SessionId) -> Result<Option<SessionRow>, CommandError> {
        let key = self.keys.session(id);
        let answer = self.topology.query(&key, read(&key)).await?;
        rows::read_session(answer)
    }

    /// Runs a step on a token of which only the digest is known: one round trip where one server
    /// has all keys, two in a Cluster.
    async fn on_token(
        &self,
        digest: Digest,
        (at_hand, located): (&Script, &Script),
        mut words: Vec<Vec<u8>>,
        weight: Weight,
    ) -> Result<Value, CommandError> {
        let pointer = self.keys.pointer(&digest);
        if self.topology.is_one() {
            words.push(self.keys.shards().into_bytes());
            let keys = [pointer];
            return self.topology.run(at_hand, Call { keys: &keys, words: &words, weight }).await;
        }
        match self.pointed(&pointer).await? {
            Some(id) => {
                let keys = self.token_keys(id, &digest);
                self.topology.run(located, Call { keys: &keys, words: &words, weight }).await
            }
            None => Ok(Value::Nil),
        }
    }

    /// The session in a pointer.
    pub(super) async fn pointed(&self, pointer: &str) -> Result<Option<SessionId>, CommandError> {
        let mut get = Cmd::new();
        get.arg("GET").arg(pointer);
        match self.topology.query(pointer, get).await? {
            Value::Nil => Ok(None),
            id => rows::read_id(id).map(Some),
        }
    }

    /// The keys in the order in which CLAIM expects them. FIND expects the first.
    fn token_keys(&self, id: SessionId, digest: &Digest) -> [String; 4] {
        let shard = shard(id);
        [
            self.keys.token(shard, digest),
            self.keys.session(id),
            self.keys.names(shard),
            self.keys.due(shard),
        ]
    }

    async fn find(&self, key: TokenKey) -> Result<Option<Found>, CommandError> {
        let digest = match key {
            TokenKey::Digest(digest) => digest,
            TokenKey::Name(name) => match self.named(name).await? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let found = self.find_by_digest(digest).await?;
        Ok(found.filter(|found| match key {
            TokenKey::Digest(_) => true,
            // The token may have been claimed since the index was read.
            TokenKey::Name(name) => found.token.id == name && found.token.claim.is_none(),
        }))
    }

    pub(super) async fn find_by_digest(
        &self,
        digest: Digest,
    ) -> Result<Option<Found>, CommandError> {
        let scripts = (&*topology::LOCATE_AND_FIND, &*topology::FIND);
        let words = vec![self.fixed_fence()];
        let answer = self.on_token(digest, scripts, words, Weight::Light).await?;
        Ok(rows::read_found(digest, answer)?.map(|(_, found)| found))
    }

    async fn claim(&self, order: ClaimOrder) -> Result<Claimed, CommandError> {
        let digest = order.token;
        let scripts = (&*topology::LOCATE_AND_CLAIM, &*topology::CLAIM);
        let answer = self.on_token(digest, scripts, self.words_of(order), Weight::Heavy).await?;
        Ok(match rows::read_found(digest, answer)? {
            Some((granted, found)) => Claimed { granted, found: Some(found) },
            None => Claimed { granted: false, found: None },
        })
    }

    /// The arguments of a claim in the order of `claim.lua`.
    fn words_of(&self, order: ClaimOrder) -> Vec<Vec<u8>> {
        let digest = |digest: Option<Digest>| {
            digest.map(|digest| digest.bytes().to_vec()).unwrap_or_default()
        };
        let session = |id: Option<SessionId>| id.map(|id| id.to_string()).unwrap_or_default();
        let auto = if order.auto_shares { RestoreMode::Share } else { RestoreMode::Context };
        let (run, until) = match order.run {
            Some((run, until)) => (run, rows::moment(until)),
            None => (Vec::new(), Vec::new()),
        };
        vec![
            self.fixed_fence(),
            rows::moment(order.now),
            order.id.bytes().to_vec(),
            order.handler.into_bytes(),
            order.row_mode.to_string().into_bytes(),
            auto.to_string().into_bytes(),
            order.asks.click.map(|wish| rows::number(wish.into())).unwrap_or_default(),
            digest(order.asks.browser),
            session(order.asks.signed_in).into_bytes(),
            session(order.current.map(|(id, _)| id)).into_bytes(),
            digest(order.current.map(|(_, credential)| credential)),
            order.token.bytes().to_vec(),
            order.newcomer_digest.bytes().to_vec(),
            order.newcomer,
            run,
            until,
            rows::number(u64::try_from(order.devices_max).unwrap_or(u64::MAX)),
            slack(),
            rows::number(order.next),
        ]
    }

    async fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Result<(), CommandError> {
        if self.topology.is_one() {
            return self.touch_some(uses).await;
        }
        let mut shards = std::collections::BTreeMap::<u8, Vec<_>>::new();
        for (id, at) in uses {
            shards.entry(shard(id)).or_default().push((id, at));
        }
        for uses in shards.into_values() {
            self.touch_some(uses).await?;
        }
        Ok(())
    }

    /// Moves the last-used times of sessions of one server, or of one shard.
    async fn touch_some(&self, uses: Vec<(SessionId, Timestamp)>) -> Result<(), CommandError> {
        if uses.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = uses.iter().map(|(id, _)| self.keys.session(*id)).collect();
        let moments = uses.iter().map(|(_, at)| rows::moment(*at));
        let words: Vec<Vec<u8>> = std::iter::once(slack()).chain(moments).collect();
        let call = Call { keys: &keys, words: &words, weight: Weight::Light };
        self.topology.run(&topology::TOUCH, call).await.map(|_| ())
    }
}

/// The command that reads a session's row.
pub(super) fn read(key: &str) -> Cmd {
    let mut command = Cmd::new();
    command.arg("HMGET").arg(key).arg(&rows::SESSION);
    command
}

fn pending<'a, T>(
    work: impl Future<Output = Result<T, CommandError>> + Send + 'a,
) -> Pending<'a, T> {
    Box::pin(async move { work.await.map_err(StoreError::from) })
}

impl Engine for RedisEngine {
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        pending(Self::read(self, id))
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        pending(Self::find(self, key))
    }

    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        pending(Self::claim(self, order))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        pending(commit::write(self, commit))
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        pending(Self::touch(self, uses))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>> {
        pending(self.page_of_sessions(after, at_most))
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>> {
        pending(self.page_of_tokens(after, at_most))
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        pending(self.sweep_all(now, at_most))
    }

    fn trim(&self, share: Share) -> Pending<'_, Trimmed> {
        pending(self.trim_all(share))
    }

    fn records(&self) -> &dyn Records {
        &self.records
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    fn check(&self) -> Pending<'_, Guarantees> {
        pending(self.guarantees())
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.topology.close();
            Ok(())
        })
    }
}

impl fmt::Debug for RedisEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisEngine({})", self.address)
    }
}
