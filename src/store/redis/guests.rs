//! Eviction of guests, over all shards.

use redis::Value;

use crate::store::redis::engine::RedisEngine;
use crate::store::redis::keys::SHARDS;
use crate::store::redis::pages::entries;
use crate::store::redis::rows;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Weight;
use crate::store::shared::engine::Share;
use crate::store::shared::engine::Trimmed;

/// Guests dropped in one step at most, because the server is blocked meanwhile.
const DROPPED_AT_ONCE: usize = 512;

impl RedisEngine {
    /// On one server in one step. In a Cluster each shard has an equal part of the share: ids are
    /// random, so guests are spread evenly.
    pub(super) async fn trim_all(&self, share: Share) -> Result<Trimmed, CommandError> {
        if self.topology.is_one() {
            let mut words = self.words_of_share(&share);
            words.extend(SHARDS.map(|shard| format!("{shard:02X}").into_bytes()));
            let call = Call { keys: &[], words: &words, weight: Weight::Light };
            return read(self.topology.run(&topology::TRIM, call).await?)
                .map(|(trimmed, _)| trimmed);
        }
        let parts = SHARDS.count();
        let (guests, bytes) = (share.guests.div_ceil(parts), share.bytes.div_ceil(parts));
        let at_most = share.at_most.div_ceil(parts);
        let words = self.words_of_share(&Share { guests, bytes, at_most, ..share });
        let work = SHARDS.map(|shard| {
            let topology = std::sync::Arc::clone(&self.topology);
            let keys = [self.keys.due(shard), self.keys.ids(shard), self.keys.names(shard)];
            let mut words = words.clone();
            words.push(format!("{shard:02X}").into_bytes());
            async move {
                let call = Call { keys: &keys, words: &words, weight: Weight::Light };
                read(topology.run(&topology::TRIM, call).await?)
            }
        });
        let mut all = Trimmed::default();
        for part in topology::abreast(work.collect::<Vec<_>>()).await {
            let (trimmed, unpointed) = part?;
            all.guests += trimmed.guests;
            all.bytes += trimmed.bytes;
            all.dropped += trimmed.dropped;
            self.unpoint(unpointed.iter().map(|hex| self.keys.pointer_of(hex)).collect());
        }
        Ok(all)
    }

    fn words_of_share(&self, share: &Share) -> Vec<Vec<u8>> {
        let number = |count: usize| rows::number(u64::try_from(count).unwrap_or(u64::MAX));
        vec![
            self.keys.shards().into_bytes(),
            self.pointers_at_hand(),
            number(share.guests),
            number(share.bytes),
            number(share.at_most.min(DROPPED_AT_ONCE)),
            share.spared.map(|id| id.to_string()).unwrap_or_default().into_bytes(),
        ]
    }
}

fn read(answer: Value) -> Result<(Trimmed, Vec<String>), CommandError> {
    let malformed = || CommandError::Garbled("what making room answers");
    let parts: [Value; 4] = entries(answer)?.try_into().map_err(|_| malformed())?;
    let [Value::Int(guests), Value::Int(bytes), Value::Int(dropped), unpointed] = parts else {
        return Err(malformed());
    };
    let unpointed = entries(unpointed)?.into_iter().map(rows::text).collect::<Result<_, _>>()?;
    let count = |number: i64| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
    let (guests, bytes, dropped) = (count(guests), count(bytes), count(dropped));
    Ok((Trimmed { guests, bytes, dropped }, unpointed))
}
