//! One call of a class function, as its isolate tracks it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use rquickjs::{Persistent, Value};
use tokio::sync::oneshot;

use crate::{
    backend::script::operations::OperationId,
    http::{CallPermit, HandlerError, IncomingMessage, Reply, Session, message::parse::form::Form},
};

/// Identifies a call in its isolate. Scripts hold it as a number, which is exact up to 2^53.
pub(super) type CallId = u64;

/// A call in progress.
pub(super) struct Call {
    pub(super) id: CallId,
    /// The name of the called function.
    pub(super) method: Arc<str>,
    pub(super) request: IncomingMessage,
    pub(super) session: Session,
    /// CPU time used so far.
    pub(super) used: Cell<Duration>,
    /// Memory held by the call, in bytes. Stays 0 until memory is scarce enough to be measured.
    pub(super) held_bytes: Cell<usize>,
    /// Bytes written to the console.
    pub(super) console_bytes: Cell<usize>,
    /// Set when the client no longer waits for the response.
    pub(super) cancelled: Arc<AtomicBool>,
    /// Pending host operations of this call.
    pub(super) operations: RefCell<BTreeSet<OperationId>>,
    /// Errors that callgate threw into the script, each with the error that the client gets if the
    /// handler does not catch it.
    pub(super) causes: RefCell<Vec<(Persistent<Value<'static>>, HandlerError)>>,
    /// The `session` object that was passed to the handler.
    pub(super) session_object: RefCell<Option<Persistent<Value<'static>>>>,
    /// The parsed form of the request, once the handler has read it.
    pub(super) form: Arc<OnceLock<Form>>,
    reply: Cell<Option<(ReplySender, CallPermit)>>,
}

/// Sends the outcome of a call to the task that serves the request.
type ReplySender = oneshot::Sender<Result<Reply, HandlerError>>;

/// A request to run one function, sent to the isolate's thread.
pub(super) struct CallRequest {
    pub(super) id: CallId,
    pub(super) method: Arc<str>,
    pub(super) request: IncomingMessage,
    pub(super) session: Session,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) reply: ReplySender,
    pub(super) permit: CallPermit,
}

impl Call {
    pub(super) fn new(order: CallRequest) -> Self {
        let CallRequest { id, method, request, session, cancelled, reply, permit } = order;
        Self {
            id,
            method,
            request,
            session,
            used: Cell::default(),
            held_bytes: Cell::default(),
            console_bytes: Cell::default(),
            cancelled,
            operations: RefCell::default(),
            causes: RefCell::default(),
            session_object: RefCell::default(),
            form: Arc::default(),
            reply: Cell::new(Some((reply, permit))),
        }
    }

    /// Sends the outcome. Only the first outcome counts; it is dropped if the client is gone.
    pub(super) fn respond(&self, result: Result<Reply, HandlerError>) {
        if let Some((reply, permit)) = self.reply.take() {
            // Released first, so that a client that got its response can call again at once.
            drop(permit);
            let _ = reply.send(result);
        }
    }

    /// Looks up the error for the client if callgate itself threw this one.
    pub(super) fn cause_of(&self, error: &Value<'_>) -> Option<HandlerError> {
        let mut causes = self.causes.borrow_mut();
        let ctx = error.ctx();
        let is_it = |known: &Persistent<Value<'static>>| {
            known.clone().restore(ctx).is_ok_and(|known| known == *error)
        };
        let at = causes.iter().position(|(known, _)| is_it(known))?;
        Some(causes.swap_remove(at).1)
    }
}
