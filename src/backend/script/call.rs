//! One call of a class's function, as its isolate keeps it.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rquickjs::Persistent;
use rquickjs::Value;
use tokio::sync::oneshot;

use crate::backend::script::desk::OperationId;
use crate::http::IncomingMessage;
use crate::http::Raised;
use crate::http::Reply;
use crate::http::Session;
use crate::http::message::parse::form::Form;

/// The name of a call in its isolate; scripts hold it as a number, which is exact up to 2^53.
pub(super) type CallId = u64;

/// A call under way.
pub(super) struct Call {
    pub(super) id: CallId,
    /// The function that was called.
    pub(super) method: Arc<str>,
    pub(super) request: IncomingMessage,
    pub(super) session: Session,
    /// The processor time it has used.
    pub(super) used: Cell<Duration>,
    /// The memory that it holds, in bytes, as far as anybody has had to measure it.
    pub(super) held_bytes: Cell<usize>,
    /// What it has said on the console, in bytes.
    pub(super) said_bytes: Cell<usize>,
    /// Raised by who waits for the answer when he does not any more.
    pub(super) gone: Arc<AtomicBool>,
    /// The host operations it waits for.
    pub(super) operations: RefCell<BTreeSet<OperationId>>,
    /// The errors that callgate raised in it, each with what it means for the caller.
    pub(super) causes: RefCell<Vec<(Persistent<Value<'static>>, Raised)>>,
    /// The `session` that its handler was given.
    pub(super) seen: RefCell<Option<Persistent<Value<'static>>>>,
    /// The form of the request, once it was read.
    pub(super) form: Arc<OnceLock<Form>>,
    answer: Cell<Option<(Answer, Seat)>>,
}

/// Where somebody waits for the answer of a call.
type Answer = oneshot::Sender<Result<Reply, Raised>>;

/// What is asked of an isolate: to run one function for one request.
pub(super) struct Order {
    pub(super) id: CallId,
    pub(super) method: Arc<str>,
    pub(super) request: IncomingMessage,
    pub(super) session: Session,
    pub(super) gone: Arc<AtomicBool>,
    pub(super) answer: Answer,
    pub(super) seat: Seat,
}

/// One of the calls that may be in a class at once, until it is answered or taken off the desk.
/// One whose caller has gone still has its place in the queue, and its request in the memory.
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// A seat among those `taken`, unless these are `most` already.
    pub(super) fn take(taken: &Arc<AtomicUsize>, most: usize) -> Result<Self, Raised> {
        let seat = Self(Arc::clone(taken));
        if taken.fetch_add(1, Relaxed) < most { Ok(seat) } else { Err(Raised::busy()) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Call {
    pub(super) fn new(order: Order) -> Self {
        let Order { id, method, request, session, gone, answer, seat } = order;
        Self {
            id,
            method,
            request,
            session,
            used: Cell::default(),
            held_bytes: Cell::default(),
            said_bytes: Cell::default(),
            gone,
            operations: RefCell::default(),
            causes: RefCell::default(),
            seen: RefCell::default(),
            form: Arc::default(),
            answer: Cell::new(Some((answer, seat))),
        }
    }

    /// Gives the answer; the first one counts. Who has stopped waiting gets none.
    pub(super) fn answer(&self, answer: Result<Reply, Raised>) {
        if let Some((waiting, seat)) = self.answer.take() {
            // First, so that who is answered may come back at once.
            drop(seat);
            let _ = waiting.send(answer);
        }
    }

    /// What an error that leaves the handler means for the caller, if callgate raised it.
    pub(super) fn cause_of(&self, error: &Value<'_>) -> Option<Raised> {
        let mut causes = self.causes.borrow_mut();
        let ctx = error.ctx();
        let is_it = |known: &Persistent<Value<'static>>| {
            known.clone().restore(ctx).is_ok_and(|known| known == *error)
        };
        let at = causes.iter().position(|(known, _)| is_it(known))?;
        Some(causes.swap_remove(at).1)
    }
}
