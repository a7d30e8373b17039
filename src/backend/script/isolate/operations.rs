//! The calls and host operations in progress in one isolate.
//!
//! Everything here stays on the isolate's thread. Host functions are closures over an
//! `Rc<Operations>`. An operation that they start runs outside and reports its outcome as a
//! [`Command::Completed`] through the mailbox.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rquickjs::{
    Ctx, Exception, Function, Object, Persistent, Promise, Value, function::Constructor,
};
use tokio::task::AbortHandle;

use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::call::{Call, CallId};
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::backend::script::isolate::{Command, Mailbox};

/// Pending host operations of one call, timers included.
const OPERATIONS_MAX: usize = 64;

/// The calls and host operations in progress in one isolate.
pub(crate) struct Operations {
    pub(crate) environment: Environment,
    /// The name of the class, for log events.
    pub(crate) class: Arc<str>,
    mailbox: Mailbox,
    calls: RefCell<HashMap<CallId, Rc<Call>>>,
    pending: RefCell<HashMap<OperationId, Operation>>,
    current: Cell<Option<CallId>>,
    settled: RefCell<Vec<Settled>>,
    /// Promises of operations that were aborted because their call ended.
    abandoned: RefCell<Vec<AbandonedPromise>>,
    newest_call: Cell<CallId>,
    /// Overrides `newest_call` as the [`Operation::newest_starter`] of operations that are started
    /// while another one completes.
    newest_starter: Cell<Option<CallId>>,
}

/// Identifies a host operation; scripts hold it as a number. It is unique for the lifetime of the
/// isolate, across its engines: a completion may still arrive for an engine that was replaced.
pub(crate) type OperationId = u64;

/// An operation that the host runs for a call.
struct Operation {
    call: CallId,
    /// The newest call that may have started it. Continuations of an older call can run in the
    /// slices of `call`, see [`Operations::require_current`].
    newest_starter: CallId,
    waiter: Waiter,
    task: AbortHandle,
}

/// What to do in the script when an operation completes.
enum Waiter {
    Promise { resolve: Persistent<Function<'static>>, reject: Persistent<Function<'static>> },
    Callback(Persistent<Function<'static>>),
}

/// The promise of an operation that was aborted.
pub(crate) struct AbandonedPromise {
    reject: Persistent<Function<'static>>,
    newest_starter: CallId,
}

/// The outcome of the promise that a handler returned.
pub(crate) struct Settled {
    pub(crate) call: CallId,
    pub(crate) is_fulfilled: bool,
    pub(crate) value: Persistent<Value<'static>>,
}

impl Operations {
    pub(crate) fn new(class: Arc<str>, environment: Environment, mailbox: Mailbox) -> Rc<Self> {
        Rc::new(Self {
            environment,
            class,
            mailbox,
            calls: RefCell::default(),
            pending: RefCell::default(),
            current: Cell::default(),
            settled: RefCell::default(),
            abandoned: RefCell::default(),
            newest_call: Cell::default(),
            newest_starter: Cell::default(),
        })
    }

    /// Adds a call that starts.
    pub(crate) fn insert_call(&self, call: &Rc<Call>) {
        self.newest_call.set(call.id.max(self.newest_call.get()));
        self.calls.borrow_mut().insert(call.id, Rc::clone(call));
    }

    /// Looks up a call in progress.
    pub(crate) fn find(&self, id: CallId) -> Option<Rc<Call>> {
        self.calls.borrow().get(&id).map(Rc::clone)
    }

    /// Sets the call that the following slice belongs to.
    pub(crate) fn set_current(&self, call: Option<CallId>) {
        self.current.set(call);
        self.newest_starter.set(None);
    }

    /// The call whose slice is running; `None` while a class is loaded.
    pub(crate) fn current_call(&self) -> Option<Rc<Call>> {
        self.current.get().and_then(|id| self.find(id))
    }

    /// Whether no call is in progress.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.borrow().is_empty()
    }

    /// The call of a `request` or `session` object. Throws if that request has ended, because a
    /// script may keep the object for longer.
    pub(crate) fn call(&self, ctx: &Ctx<'_>, id: CallId) -> rquickjs::Result<Rc<Call>> {
        self.find(id).ok_or_else(|| Exception::throw_message(ctx, "the request has ended"))
    }

    /// The call whose slice is running, for functions such as `fetch` that belong to no `request`
    /// or `session`. Throws at the top level and in the constructor of a class, where there is
    /// none.
    ///
    /// A continuation counts as part of the call in whose slice it runs. That is its own call
    /// unless another call resolved a promise that both await.
    pub(crate) fn require_current(&self, ctx: &Ctx<'_>) -> rquickjs::Result<Rc<Call>> {
        self.current_call().ok_or_else(|| {
            let text = "this works only while a request is handled, not while a class is loaded";
            Exception::throw_message(ctx, text)
        })
    }

    /// Runs a future on the runtime and returns a promise of its outcome. The future is dropped if
    /// the call ends first.
    pub(crate) fn promise<'js, F>(
        self: &Rc<Self>,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        work: F,
    ) -> rquickjs::Result<Promise<'js>>
    where
        F: Future<Output = Completion> + Send + 'static,
    {
        Self::check_count(ctx, call)?;
        let (promise, resolve, reject) = Promise::new(ctx)?;
        let resolve = Persistent::save(ctx, resolve);
        let reject = Persistent::save(ctx, reject);
        self.start(call, Waiter::Promise { resolve, reject }, work);
        Ok(promise)
    }

    /// Calls `function` without arguments after the delay, unless the timer is cleared or the call
    /// ends first.
    pub(crate) fn set_timer<'js>(
        self: &Rc<Self>,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        (delay, function): (Duration, Function<'js>),
    ) -> rquickjs::Result<OperationId> {
        Self::check_count(ctx, call)?;
        let waiter = Waiter::Callback(Persistent::save(ctx, function));
        Ok(self.start(call, waiter, async move {
            tokio::time::sleep(delay).await;
            Completion::Nothing
        }))
    }

    /// Excludes an operation from [`Operations::reassign`], so that it ends with its call.
    pub(crate) fn end_with_call(&self, id: OperationId) {
        if let Some(operation) = self.pending.borrow_mut().get_mut(&id) {
            // Call ids start at 1, so no call is eligible.
            operation.newest_starter = 0;
        }
    }

    /// Clears a timer of this call. The number comes from the script and may be any, so operations
    /// that are not timers are left alone: their promises would never settle.
    pub(crate) fn clear_timer(&self, call: &Call, id: OperationId) {
        let mut pending = self.pending.borrow_mut();
        let is_timer = |operation: &Operation| {
            operation.call == call.id && matches!(operation.waiter, Waiter::Callback(_))
        };
        if pending.get(&id).is_some_and(is_timer)
            && let Some(operation) = pending.remove(&id)
        {
            operation.task.abort();
            call.operations.borrow_mut().remove(&id);
        }
    }

    /// Throws an error into the script. If the handler does not catch it, the failure's cause
    /// decides the response.
    pub(crate) fn throw(ctx: &Ctx<'_>, call: &Call, failure: Failure) -> rquickjs::Error {
        match Self::error(ctx, call, failure) {
            Ok(error) => ctx.throw(error),
            Err(error) => error,
        }
    }

    fn error<'js>(ctx: &Ctx<'js>, call: &Call, failure: Failure) -> rquickjs::Result<Value<'js>> {
        let Failure { name, message, code, cause } = failure;
        let kind: Option<Constructor<'js>> = match name {
            "TypeError" | "RangeError" | "SyntaxError" => ctx.globals().get(name).ok(),
            _ => None,
        };
        let error = if let Some(kind) = kind {
            kind.construct::<_, Object<'js>>((message,))?
        } else {
            let error = Exception::from_message(ctx.clone(), &message)?.into_object();
            if name != "Error" {
                error.set("name", name)?;
            }
            error
        };
        if let Some(code) = code {
            error.set("code", code)?;
        }
        let error = error.into_value();
        if let Some(cause) = cause {
            call.causes.borrow_mut().push((Persistent::save(ctx, error.clone()), cause));
        }
        Ok(error)
    }

    /// Throws if the call has too many pending operations.
    fn check_count(ctx: &Ctx<'_>, call: &Call) -> rquickjs::Result<()> {
        if call.operations.borrow().len() < OPERATIONS_MAX {
            return Ok(());
        }
        let text = format!(
            "a request may wait for {OPERATIONS_MAX} things at once, timers included; wait for some first"
        );
        Err(Exception::throw_range(ctx, &text))
    }

    fn start<F>(&self, call: &Call, waiter: Waiter, work: F) -> OperationId
    where
        F: Future<Output = Completion> + Send + 'static,
    {
        let (id, mailbox) = (self.mailbox.next_operation(), self.mailbox.sender.clone());
        let task = self.environment.runtime.spawn(async move {
            let completion = work.await;
            // The send fails if the isolate has stopped; then nothing waits for the outcome.
            let _ = mailbox.send(Command::Completed(id, completion));
        });
        let newest_starter = self.newest_starter.get().unwrap_or(self.newest_call.get());
        let operation =
            Operation { call: call.id, newest_starter, waiter, task: task.abort_handle() };
        self.pending.borrow_mut().insert(id, operation);
        call.operations.borrow_mut().insert(id);
        id
    }

    /// The call that an operation belongs to, if both are still in progress.
    pub(crate) fn call_of(&self, id: OperationId) -> Option<Rc<Call>> {
        let call = self.pending.borrow().get(&id).map(|operation| operation.call)?;
        self.find(call)
    }

    /// Passes the outcome of an operation to the script that waits for it.
    pub(crate) fn complete(
        &self,
        ctx: &Ctx<'_>,
        id: OperationId,
        completion: Completion,
    ) -> rquickjs::Result<()> {
        let Some(operation) = self.pending.borrow_mut().remove(&id) else { return Ok(()) };
        let Some(call) = self.find(operation.call) else { return Ok(()) };
        call.operations.borrow_mut().remove(&id);
        // Operations that are started from here may not be reassigned to a newer call either.
        // Otherwise a chain of them would never end.
        self.newest_starter.set(Some(operation.newest_starter));
        match operation.waiter {
            Waiter::Callback(function) => function.restore(ctx)?.call::<_, ()>(()),
            Waiter::Promise { resolve, reject } => match completion {
                Completion::Failed(failure) => {
                    let error = Self::error(ctx, &call, failure)?;
                    reject.restore(ctx)?.call::<_, ()>((error,))
                }
                completion => match completion.value(ctx) {
                    Ok(value) => resolve.restore(ctx)?.call::<_, ()>((value,)),
                    // No memory is left for the value. The promise is rejected, because other calls
                    // may await it.
                    Err(_) => reject.restore(ctx)?.call::<_, ()>((ctx.catch(),)),
                },
            },
        }
    }

    /// Records that the promise of a handler has settled. The response is created after the slice.
    pub(crate) fn push_settled(&self, settled: Settled) {
        self.settled.borrow_mut().push(settled);
    }

    /// Takes the calls that have settled since the last call of this function.
    pub(crate) fn take_settled(&self) -> Vec<Settled> {
        self.settled.take()
    }

    /// Reassigns the pending operations of a call that ends to other calls.
    ///
    /// Two calls may await one promise, such as that of an access token which a class fetches once
    /// and keeps on `this`. The continuations of both then run in the slices of the call that
    /// fetches, and operations that the other call starts there are recorded for the wrong call.
    /// Such an operation must outlive the call that it is recorded for. It goes to the oldest call
    /// that was in progress when it was started. Each of those calls ends, so the operation ends,
    /// too.
    pub(crate) fn reassign(&self, call: &Call) {
        let calls = self.calls.borrow();
        let mut pending = self.pending.borrow_mut();
        let mut own = call.operations.borrow_mut();
        own.retain(|id| {
            let Some(operation) = pending.get_mut(id) else { return false };
            let others = calls.values().filter(|other| other.id != call.id);
            let successor = others
                .filter(|other| other.id <= operation.newest_starter)
                .min_by_key(|other| other.id);
            let Some(successor) = successor else { return true };
            operation.call = successor.id;
            successor.operations.borrow_mut().insert(*id);
            false
        });
    }

    /// Removes a call and aborts its operations. A class may have kept their promises, which would
    /// never settle; [`Operations::take_abandoned`] returns them.
    pub(crate) fn remove_call(&self, id: CallId) -> Option<Rc<Call>> {
        let call = self.calls.borrow_mut().remove(&id)?;
        for id in call.operations.take() {
            if let Some(operation) = self.pending.borrow_mut().remove(&id) {
                operation.task.abort();
                if let Waiter::Promise { reject, .. } = operation.waiter {
                    let newest_starter = operation.newest_starter;
                    self.abandoned.borrow_mut().push(AbandonedPromise { reject, newest_starter });
                }
            }
        }
        call.causes.take();
        call.session_object.take();
        Some(call)
    }

    /// Takes the promises that were abandoned since the last call of this function.
    pub(crate) fn take_abandoned(&self) -> Vec<AbandonedPromise> {
        self.abandoned.take()
    }

    /// The newest call whose client still waits for the response.
    pub(crate) fn newest_awaited(&self) -> Option<Rc<Call>> {
        let calls = self.calls.borrow();
        let waiting = calls.values().filter(|call| !call.cancelled.load(Relaxed));
        waiting.max_by_key(|call| call.id).map(Rc::clone)
    }

    /// Rejects promises whose call has ended, so that code that awaits them, now or later, fails.
    pub(crate) fn reject_abandoned(&self, ctx: &Ctx<'_>, abandoned: Vec<AbandonedPromise>) {
        // As in `complete`: a class that starts a new operation on each rejection must not go on
        // forever.
        self.newest_starter.set(abandoned.iter().map(|promise| promise.newest_starter).max());
        for AbandonedPromise { reject, .. } in abandoned {
            let rejected =
                Exception::from_message(ctx.clone(), "the request that began this has ended")
                    .and_then(|error| reject.restore(ctx)?.call::<_, ()>((error,)));
            if rejected.is_err() {
                // No memory is left for the error. Rejecting the next promise may still succeed.
                ctx.catch();
            }
        }
    }

    /// Removes every call and drops the script values held for them, which must happen before the
    /// engine is dropped.
    pub(crate) fn clear(&self) -> Vec<Rc<Call>> {
        let ids: Vec<CallId> = self.calls.borrow().keys().copied().collect();
        self.settled.take();
        let calls = ids.into_iter().filter_map(|id| self.remove_call(id)).collect();
        self.abandoned.take();
        calls
    }
}
