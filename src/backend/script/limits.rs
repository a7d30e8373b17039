//! Resource limits of calls and classes (docs/SECURITY.md, D.7).

use std::time::Duration;

/// Limits per call and per class. A call that exceeds one ends with 500; other calls continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of one call. A warning is logged from a quarter of it. Loading a class has the same
    /// budget.
    pub cpu: Duration,
    /// Time from the call to its response, waiting included, unless the row sets
    /// `limits.timeoutMs`.
    pub wall: Duration,
    /// Memory of one class.
    pub heap_bytes: usize,
    /// Stack size of a class.
    pub stack_bytes: usize,
    /// Size of one response.
    pub output_bytes: usize,
    /// Console output of one call.
    pub console_bytes: usize,
    /// Pending host operations of one call, timers included.
    pub operations_max: usize,
    /// Calls that one class may have at once, queued or running. Further calls get 503.
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
