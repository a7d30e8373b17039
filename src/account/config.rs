//! The settings of accounts.

use std::time::Duration;

use crate::base::setting::OnOff;
use crate::base::setting::settings;

settings! {
    /// How passwords are stored and checked.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Config {
        /// KiB of memory that the hash of one password takes (Argon2id). With another value than
        /// before, a password is hashed anew when its owner signs in the next time.
        memory_kib as "hash_kib": u32 = 19_456, in 8_192..=1_048_576;
        /// Passes over that memory (Argon2id).
        passes as "hash_passes": u32 = 2, in 1..=64;
        /// Passwords that are hashed at the same time, each on a thread of its own; a node takes
        /// `hash_kib` of memory for each.
        hashers: usize = 1, in 1..=64;
        /// Sign-ins that may wait for their turn; beyond it they are answered 503.
        waiting: usize = 256, in 1..=65_536;
        /// Wrong passwords in a row after which a login is locked.
        attempts: u32 = 10, in 1..=1_000;
        /// Minutes that a login stays locked. Wrong passwords that are older no longer count.
        lock_minutes: u32 = 15, in 1..=10_080;
        /// Characters of a new password at least; 256 at most.
        password_min: usize = 8, in 1..=64;
        /// Whether `$directory/login` accepts `hashed-password-4D`: the SHA-256 of the password in
        /// hex digits. A client that sees it can sign in with it. Passwords that are set or
        /// used while this is on are stored for it, in a second Argon2id hash.
        client_digest: bool as OnOff = "off";
    }
}

impl Config {
    /// How long a login stays locked, and how long a wrong password counts.
    pub(crate) fn lock(&self) -> Duration {
        Duration::from_secs(u64::from(self.lock_minutes) * 60)
    }
}
