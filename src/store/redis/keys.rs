//! The names of keys, and how they are distributed. A session and all of its tokens share one of
//! 256 shards, and a shard never spans two slots of a Cluster, so every step is a single step
//! there too.
//!
//! ```text
//!   cg:{app}:format                the version of this layout
//!   cg:{app:0A}:s:0A…              a session, in the shard of the first byte of its id
//!   cg:{app:0A}:t:9c…              a token of a session of this shard
//!   cg:{app:0A}:ids                the sessions of the shard that have not ended
//!   cg:{app:0A}:names              its unclaimed tokens: name and digest, as bytes
//!   cg:{app:0A}:due                what the sweep checks, and when
//!   cg:{app:0A}:guests             the guests of the shard, in the order of eviction
//!   cg:{app:0A}:sizes              the bytes of each of them, and of all together
//!   cg:{app:p:9c}:p:9c…            the session of a token, found by the token alone
//!   cg:{app:records}:keys          the keys of all records
//!   cg:{app:records}:values        their values
//! ```
//!
//! A pointer is written before its token and never changes. It grants nothing by itself.

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::text::hex;

/// The version of the layout that this program reads and writes.
pub(super) const FORMAT: u32 = 1;

/// Every shard.
pub(super) const SHARDS: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

/// The keys of one application.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    app: String,
}

impl Keys {
    /// The keys of this application, whose name has no braces.
    pub(super) fn of(app: &str) -> Self {
        Self { app: app.to_owned() }
    }

    pub(super) fn format(&self) -> String {
        format!("cg:{{{}}}:format", self.app)
    }

    /// A key of the same slot as [`Keys::format`], for the checks at the start.
    pub(super) fn probe(&self, part: &str) -> String {
        format!("cg:{{{}}}:probe:{part}", self.app)
    }

    /// The keys of all records, and their values: one slot.
    pub(super) fn records(&self) -> [String; 2] {
        ["keys", "values"].map(|part| format!("cg:{{{}:records}}:{part}", self.app))
    }

    /// The prefix of the keys of all shards.
    pub(super) fn shards(&self) -> String {
        format!("cg:{{{}:", self.app)
    }

    /// The prefix of all pointers.
    pub(super) fn pointers(&self) -> String {
        format!("cg:{{{}:p:", self.app)
    }

    pub(super) fn session(&self, id: SessionId) -> String {
        format!("{}s:{id}", self.place(shard(id)))
    }

    /// A token of a session of this shard.
    pub(super) fn token(&self, shard: u8, digest: &Digest) -> String {
        format!("{}t:{}", self.place(shard), hex::lower(digest.bytes()))
    }

    pub(super) fn ids(&self, shard: u8) -> String {
        format!("{}ids", self.place(shard))
    }

    pub(super) fn names(&self, shard: u8) -> String {
        format!("{}names", self.place(shard))
    }

    pub(super) fn due(&self, shard: u8) -> String {
        format!("{}due", self.place(shard))
    }

    pub(super) fn pointer(&self, digest: &Digest) -> String {
        self.pointer_of(&hex::lower(digest.bytes()))
    }

    /// The pointer of the token with these hex digits.
    pub(super) fn pointer_of(&self, digest: &str) -> String {
        let shard = digest.get(..2).unwrap_or_default();
        format!("{}{shard}}}:p:{digest}", self.pointers())
    }

    fn place(&self, shard: u8) -> String {
        format!("cg:{{{}:{shard:02X}}}:", self.app)
    }
}

/// The shard of a session.
pub(super) fn shard(id: SessionId) -> u8 {
    let [first, ..] = *id.bytes();
    first
}

/// The slot of a key in a Cluster: CRC16 of the text between its first braces.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    crc16(tag.as_bytes()) % 16_384
}

/// CRC-16/XMODEM, as specified for Redis Cluster.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{foo}bar"), slot("foo"));
        assert_eq!(slot("a{}b"), crc16(b"a{}b") % 16_384);
    }

    #[test]
    fn all_keys_of_a_session_share_its_slot() {
        let keys = Keys::of("shop");
        let id = SessionId::from_bytes([0x0A; 16]);
        let digest = Digest::from_bytes([0x9C; 32]);
        let session = keys.session(id);
        assert!(session.starts_with("cg:{shop:0A}:s:0A0A"), "{session}");
        let at = slot(&session);
        for key in [keys.token(0x0A, &digest), keys.ids(0x0A), keys.names(0x0A), keys.due(0x0A)] {
            assert_eq!(slot(&key), at, "{key}");
        }
        assert!(keys.pointer(&digest).starts_with("cg:{shop:p:9c}:p:9c9c"));
        assert_eq!(slot(&keys.probe("a")), slot(&keys.format()));
    }
}
