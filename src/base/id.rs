//! Public identifiers of sessions, tokens, devices and requests, which may be logged.
//!
//! An id opens nothing. The secrets that do (cookie values, tokens) are other types, in
//! [`super::secret`]; neither can be derived from the other.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::clock::Timestamp;
use crate::base::secret::entropy::{Entropy, NoEntropy, random};
use crate::base::text::hex;

/// The text is not a valid id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: expected hex digits of the right number")
    }
}

impl std::error::Error for NotAnId {}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// A new random id.
            #[doc(hidden)]
            pub fn random(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
                random(entropy).map(Self)
            }

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        /// Upper-case hex digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::upper(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                hex::read(text).map(Self).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// The id of a session: 32 upper-case hex digits, the shape of 4D's `Session.id`.
    SessionId,
    16
);
id!(
    /// The id of an account.
    UserId,
    16
);
id!(
    /// The public id of a token, for logs and operators; not the token itself.
    TokenId,
    8
);
id!(
    /// The public id of one browser's credential within a session.
    DeviceId,
    8
);
id!(
    /// The id of one attempt to redeem a token, so that the same attempt can be retried.
    ClaimId,
    16
);

/// The id of one request in logs and responses: a UUID of version 7 (RFC 9562 §5.7), so that ids
/// sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Generates request ids.
///
/// A request id protects nothing, so it is not worth a system call: the random part of the UUID
/// starts at a random value and is incremented.
#[derive(Debug)]
pub struct RequestIds {
    count: AtomicU64,
}

impl RequestIds {
    /// Starts at a random value, so that the ids of two processes do not collide.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let count = random(entropy).map(u64::from_be_bytes)?;
        Ok(Self { count: AtomicU64::new(count) })
    }

    /// The id of a request that arrived at `now`.
    pub fn next(&self, now: Timestamp) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut rest = [0; 10];
        rest[2..].copy_from_slice(&count);
        RequestId(uuid::Builder::from_unix_timestamp_millis(now.millis(), &rest).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::SeededEntropy;

    #[test]
    fn an_id_reads_back_what_it_writes() {
        let id = SessionId::random(&SeededEntropy::new(1)).unwrap();
        let text = id.to_string();
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_lowercase().parse(), Ok(id));
    }

    #[test]
    fn request_ids_differ_and_sort_by_time() {
        let ids = RequestIds::new(&SeededEntropy::new(1)).unwrap();
        let at = |millis| ids.next(Timestamp::from_millis(millis));
        let (first, second, later) = (at(1_000), at(1_000), at(1_001));
        assert!(first != second && first < later && second < later);
        assert_eq!((first.to_string().len(), first.0.get_version_num()), (36, 7));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "00", "zz00000000000000", "0000000000000000ff", "é000000000000000"] {
            assert_eq!(text.parse::<DeviceId>(), Err(NotAnId), "{text:?}");
        }
    }
}
