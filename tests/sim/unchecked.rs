//! A store for the controls: one of its operations checks no right.

use std::sync::Arc;

use callgate::base::Timestamp;
use callgate::session::Right;
use callgate::store::Pending;
use callgate::store::Store;
use callgate::store::port::Operation;
use callgate::store::port::OperationKind;
use callgate::store::port::StoreReply;

/// Runs one operation under a right that always holds, and all others as they come.
#[derive(Debug)]
pub(crate) struct Unchecked {
    inner: Arc<dyn Store>,
    unchecked: OperationKind,
}

impl Unchecked {
    pub(crate) fn new(inner: Arc<dyn Store>, unchecked: OperationKind) -> Self {
        Self { inner, unchecked }
    }
}

impl Store for Unchecked {
    fn run(&self, now: Timestamp, mut operation: Operation) -> Pending<'_, StoreReply> {
        if operation.kind() == self.unchecked
            && let Operation::Patch { right, .. }
            | Operation::Mint { right, .. }
            | Operation::Detach { right, .. }
            | Operation::End { right, .. }
            | Operation::Look { right, .. } = &mut operation
        {
            *right = Right::Operator;
        }
        self.inner.run(now, operation)
    }
}
