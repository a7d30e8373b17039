//! The budgets of class files that a settings file may move.

use std::time::Duration;

/// What one call of a class, and one class, may use (docs/SECURITY.md D.7). Going over one ends
/// that call with 500, and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    /// Processor time of one call; default 1 s.
    pub cpu: Duration,
    /// From the call to its answer, unless the row says otherwise; default 5 s.
    pub wall: Duration,
    /// Memory of one class with everything that it imports; default 32 MiB.
    pub heap_bytes: usize,
    /// Stack of one class; default 512 KiB.
    pub stack_bytes: usize,
    /// Body of one answer; default 1 MiB.
    pub output_bytes: usize,
    /// What one request may log with `console`; default 64 KiB.
    pub console_bytes: usize,
    /// How long one `fetch` may take with its answer, unless it says otherwise; default 10 s.
    pub fetch: Duration,
    /// Body of what one `fetch` brings; default 1 MiB.
    pub fetch_bytes: usize,
    /// Calls that wait for one class or run in it at once; default 1,024, then 503.
    pub calls: usize,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(5),
            heap_bytes: 32 * 1024 * 1024,
            stack_bytes: 512 * 1024,
            output_bytes: 1024 * 1024,
            console_bytes: 64 * 1024,
            fetch: Duration::from_secs(10),
            fetch_bytes: 1024 * 1024,
            calls: 1_024,
        }
    }
}
