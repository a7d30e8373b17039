//! The budgets of classes: what one call of a class, and one class, may use.

use std::time::Duration;

use crate::base::limits::ROW_TIMEOUT_MS_MAX;
use crate::base::setting::Millis;
use crate::base::setting::settings;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

settings! {
    /// The budgets of classes (docs/SECURITY.md D.7). Going over one ends that call with 500, and
    /// no other.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Budgets {
        /// Milliseconds of processor time for one call; loading a class has as much.
        cpu as "cpu_ms": Duration as Millis = 1_000, in 10..=60_000;
        /// Milliseconds from a call to its answer, waiting included, unless its row says otherwise.
        wall as "wall_ms": Duration as Millis = 5_000, in 10..=ROW_TIMEOUT_MS_MAX;
        /// Bytes of memory for one class with all that it imports.
        heap_bytes: usize = 32 * MIB, in 4 * MIB..=1024 * MIB;
        /// Bytes of stack for one class.
        stack_bytes: usize = 512 * KIB, in 128 * KIB..=8 * MIB;
        /// Bytes of the body of one answer.
        output_bytes: usize = MIB, in KIB..=64 * MIB;
        /// Bytes that one request may log with console; what is more is left out.
        console_bytes: usize = 64 * KIB, in 0..=16 * MIB;
        /// Calls that wait for one class or run in it; more are answered 503.
        calls: usize = 1_024, in 1..=1_000_000;
    }
}

settings! {
    /// Bounds of `fetch` in classes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FetchLimits {
        /// Milliseconds that one fetch may take with its answer, unless it says otherwise.
        timeout as "fetch_ms": Duration as Millis = 10_000, in 1..=ROW_TIMEOUT_MS_MAX;
        /// Bytes of the body that one fetch brings.
        body_bytes as "fetch_bytes": usize = MIB, in KIB..=64 * MIB;
    }
}
