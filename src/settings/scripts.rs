//! What class files may use of the machine.

use std::time::Duration;

/// The budgets of class files (SEC D.7). Going over one ends that call with 500, and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Processor time of one call; default 1 s. A quarter of it is remarked in the log. What a
    /// class does while it is loaded has as much.
    pub cpu: Duration,
    /// From a call to its answer, waiting included, unless the row says otherwise; default 5 s.
    pub wall: Duration,
    /// All memory of one class; default 32 MiB.
    pub heap_bytes: usize,
    /// The stack of a class; default 512 KiB.
    pub stack_bytes: usize,
    /// The answer of one call; default 1 MiB.
    pub output_bytes: usize,
    /// What one call may say on the console; default 64 KiB.
    pub console_bytes: usize,
    /// Calls that may be in one class at once; default 1,024, then 503.
    pub calls: usize,
    /// How long a `fetch` may take unless it says otherwise; default 10 s.
    pub fetch: Duration,
    /// The body of the answer that a `fetch` reads; default 1 MiB.
    pub fetch_bytes: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(5),
            heap_bytes: 32 * 1024 * 1024,
            stack_bytes: 512 * 1024,
            output_bytes: 1024 * 1024,
            console_bytes: 64 * 1024,
            calls: 1_024,
            fetch: Duration::from_secs(10),
            fetch_bytes: 1024 * 1024,
        }
    }
}
