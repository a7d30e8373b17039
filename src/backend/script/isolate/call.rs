//! One call of a class function, as its isolate tracks it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use rquickjs::{Persistent, Value};
use tokio::sync::oneshot;

use crate::backend::script::isolate::operations::OperationId;
use crate::http::message::parse::form::Form;
use crate::http::{CallPermit, HandlerError, IncomingMessage, Reply, Session};

/// Identifies a call in its isolate. Scripts hold it as a number, which is exact up to 2^53.
pub(crate) type CallId = u64;

/// A call in progress.
pub(crate) struct Call {
    pub(crate) id: CallId,
    /// The name of the called function.
    pub(crate) method: Arc<str>,
    pub(crate) request: IncomingMessage,
    pub(crate) session: Session,
    /// CPU time used so far.
    pub(crate) used: Cell<Duration>,
    /// Memory held by the call, in bytes. Stays 0 until memory is scarce enough to be measured.
    pub(crate) held_bytes: Cell<usize>,
    /// Bytes written to the console.
    pub(crate) console_bytes: Cell<usize>,
    /// Set when the client no longer waits for the response.
    pub(crate) cancelled: Arc<AtomicBool>,
    /// Pending host operations of this call.
    pub(crate) operations: RefCell<BTreeSet<OperationId>>,
    /// Errors that callgate threw into the script, each with the error that the client gets if the
    /// handler does not catch it.
    pub(crate) causes: RefCell<Vec<(Persistent<Value<'static>>, HandlerError)>>,
    /// The `session` object that was passed to the handler.
    pub(crate) session_object: RefCell<Option<Persistent<Value<'static>>>>,
    /// The parsed form of the request, once the handler has read it.
    pub(crate) form: Arc<OnceLock<Form>>,
    reply: Cell<Option<(ReplySender, CallPermit)>>,
}

/// Sends the outcome of a call to the task that serves the request.
type ReplySender = oneshot::Sender<Result<Reply, HandlerError>>;

/// A request to run one function, sent to the isolate's thread.
pub(crate) struct CallRequest {
    pub(crate) id: CallId,
    pub(crate) method: Arc<str>,
    pub(crate) request: IncomingMessage,
    pub(crate) session: Session,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) reply: ReplySender,
    pub(crate) permit: CallPermit,
}

impl Call {
    pub(crate) fn new(order: CallRequest) -> Self {
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
    pub(crate) fn respond(&self, result: Result<Reply, HandlerError>) {
        if let Some((reply, permit)) = self.reply.take() {
            // Released first, so that a client that got its response can call again at once.
            drop(permit);
            let _ = reply.send(result);
        }
    }

    /// Looks up the error for the client if callgate itself threw this one.
    pub(crate) fn cause_of(&self, error: &Value<'_>) -> Option<HandlerError> {
        let mut causes = self.causes.borrow_mut();
        let ctx = error.ctx();
        let is_it = |known: &Persistent<Value<'static>>| {
            known.clone().restore(ctx).is_ok_and(|known| known == *error)
        };
        let at = causes.iter().position(|(known, _)| is_it(known))?;
        Some(causes.swap_remove(at).1)
    }
}
