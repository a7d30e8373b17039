//! What classes are given of the world around them.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::backend::script::bounded;
use crate::backend::script::fetch::Fetcher;
use crate::backend::script::limits::Limits;
use crate::base::Entropy;
use crate::base::entropy::OsEntropy;

/// Everything that an isolate needs and does not have itself; cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The budgets.
    pub limits: Limits,
    /// Where host operations run: an isolate's own thread never waits for anything but commands.
    pub runtime: Handle,
    /// What `fetch` reaches; nothing, unless the owner says so.
    pub fetcher: Fetcher,
    /// Where `crypto` takes random bytes from.
    pub entropy: Arc<dyn Entropy>,
    /// Whether the engine looks at budgets inside of its built-ins, too.
    pub is_bounded: bool,
    /// Whether classes are refused where it does not; otherwise the log says so.
    pub demands_bounds: bool,
}

impl Environment {
    /// Classes with the default budgets, whose host operations run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        let (limits, fetcher) = (Limits::default(), Fetcher::default());
        let entropy = Arc::new(OsEntropy::new());
        let is_bounded = bounded::is_bounded();
        Self { limits, runtime, fetcher, entropy, is_bounded, demands_bounds: false }
    }
}
