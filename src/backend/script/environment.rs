//! The host services that classes can use.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::backend::Budgets;
use crate::backend::script::engine::interrupts;
use crate::backend::script::fetch::Fetcher;
use crate::base::Entropy;
use crate::base::secret::entropy::OsEntropy;

/// Host services of an isolate; cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Limits per call and per class.
    pub limits: Budgets,
    /// The runtime for host operations. An isolate's own thread blocks only on its command queue.
    pub runtime: Handle,
    /// The client behind `fetch`. By default no host is allowed.
    pub fetcher: Fetcher,
    /// The source of random bytes for `crypto`.
    pub entropy: Arc<dyn Entropy>,
    /// The name of the session cookie.
    pub cookie_name: Arc<str>,
    /// Whether there are sessions; classes are given `null` where there are none.
    pub keeps_sessions: bool,
    /// Whether the engine checks budgets inside built-ins.
    pub is_bounded: bool,
    /// Whether loading classes fails if it does not; otherwise a warning is logged.
    pub demands_bounds: bool,
}

impl Environment {
    /// Default limits, with host operations on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        let (limits, fetcher) = (Budgets::default(), Fetcher::default());
        let entropy = Arc::new(OsEntropy::new());
        let (cookie_name, is_bounded) = ("4DSID".into(), interrupts::is_bounded());
        Self {
            limits,
            runtime,
            fetcher,
            entropy,
            cookie_name,
            keeps_sessions: true,
            is_bounded,
            demands_bounds: false,
        }
    }
}
