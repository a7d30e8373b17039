//! What classes are given of the world around them.

use tokio::runtime::Handle;

use crate::backend::script::limits::Limits;

/// Everything that an isolate needs and does not have itself; cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The budgets.
    pub limits: Limits,
    /// Where host operations run: an isolate's own thread never waits for anything but commands.
    pub runtime: Handle,
}

impl Environment {
    /// Classes with the default budgets, whose host operations run on `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self { limits: Limits::default(), runtime }
    }
}
