//! What one call, and one class, may use of the machine (docs/SECURITY.md D.7).

use std::time::Duration;

/// The budgets of classes. Going over one ends that call with 500, and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Processor time of one call; a quarter of it is worth a warning in the log. What a class
    /// does while it is loaded has as much.
    pub cpu: Duration,
    /// From the call to its answer, waiting included, unless the row says `limits.timeoutMs`.
    pub wall: Duration,
    /// All memory of one class.
    pub heap_bytes: usize,
    /// The stack of a class.
    pub stack_bytes: usize,
    /// The answer of one call.
    pub output_bytes: usize,
    /// What one call may say on the console.
    pub console_bytes: usize,
    /// Host operations and timers of one call that are under way at once.
    pub operations_max: usize,
    /// Calls that may be in one class at once, waiting or running; more are answered 503.
    pub calls_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(5),
            heap_bytes: 32 << 20,
            stack_bytes: 512 << 10,
            output_bytes: 1 << 20,
            console_bytes: 64 << 10,
            operations_max: 64,
            calls_max: 1_024,
        }
    }
}
