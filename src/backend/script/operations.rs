//! The desk of an isolate: which calls are under way, and what the host does for them.
//!
//! Everything here lives on the isolate's own thread. Host functions are closures over an
//! `Rc<Desk>`; what they start outside comes back as a [`Command::Landed`] through the mailbox.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::Function;
use rquickjs::Object;
use rquickjs::Persistent;
use rquickjs::Promise;
use rquickjs::Value;
use rquickjs::function::Constructor;
use tokio::task::AbortHandle;

use crate::backend::script::call::Call;
use crate::backend::script::call::CallId;
use crate::backend::script::completion::Completion;
use crate::backend::script::completion::Failure;
use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::Command;
use crate::backend::script::isolate::Mailbox;

/// The calls and the host operations of one isolate.
pub(super) struct Operations {
    pub(super) environment: Environment,
    /// The name of the class, for the log.
    pub(super) class: Arc<str>,
    mailbox: Mailbox,
    calls: RefCell<HashMap<CallId, Rc<Call>>>,
    pending: RefCell<HashMap<OperationId, Operation>>,
    current: Cell<Option<CallId>>,
    settled: RefCell<Vec<Settled>>,
    /// What calls that left had begun and nobody inherited.
    abandoned: RefCell<Vec<AbandonedPromise>>,
    newest_call: Cell<CallId>,
    /// As [`Operation::youngest`], while an inherited operation lands.
    newest_starter: Cell<Option<CallId>>,
}

/// The name of one host operation; scripts hold it as a number.
/// Those of one isolate are all different, whichever of its engines began them: an outcome may
/// still be under way to an engine that was replaced.
pub(super) type OperationId = u64;

/// Something that the host does for a call.
struct Operation {
    call: CallId,
    /// The youngest call that may have begun it: continuations of an older one may run in the
    /// slices of `call` ([`Desk::current`]).
    newest_starter: CallId,
    waiter: Waiter,
    task: AbortHandle,
}

/// What is waiting for an operation.
enum Waiter {
    Promise { resolve: Persistent<Function<'static>>, reject: Persistent<Function<'static>> },
    Callback(Persistent<Function<'static>>),
}

/// A promise of something that the host does not do any more.
pub(super) struct AbandonedPromise {
    reject: Persistent<Function<'static>>,
    newest_starter: CallId,
}

/// What became of the promise that a handler returned.
pub(super) struct Settled {
    pub(super) call: CallId,
    pub(super) is_fulfilled: bool,
    pub(super) value: Persistent<Value<'static>>,
}

impl Operations {
    pub(super) fn new(class: Arc<str>, environment: Environment, mailbox: Mailbox) -> Rc<Self> {
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

    /// Enters a call that begins.
    pub(super) fn insert_call(&self, call: &Rc<Call>) {
        self.newest_call.set(call.id.max(self.newest_call.get()));
        self.calls.borrow_mut().insert(call.id, Rc::clone(call));
    }

    /// The call that is under way by this name.
    pub(super) fn find(&self, id: CallId) -> Option<Rc<Call>> {
        self.calls.borrow().get(&id).map(Rc::clone)
    }

    /// Whose slice it is from now on.
    pub(super) fn set_current(&self, call: Option<CallId>) {
        self.current.set(call);
        self.newest_starter.set(None);
    }

    /// The call that runs just now; none while a class is loaded.
    pub(super) fn current_call(&self) -> Option<Rc<Call>> {
        self.current.get().and_then(|id| self.find(id))
    }

    /// Whether no call is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.borrow().is_empty()
    }

    /// The call of a `request` or `session` object. Raises when that request has ended: scripts
    /// may keep such an object for longer than it means anything.
    pub(super) fn call(&self, ctx: &Ctx<'_>, id: CallId) -> rquickjs::Result<Rc<Call>> {
        self.find(id).ok_or_else(|| Exception::throw_message(ctx, "the request has ended"))
    }

    /// The call that runs just now, for functions that belong to no `request` or `session`, such
    /// as `fetch`. Raises where there is none: at the top level and in the constructor of a class.
    ///
    /// A continuation counts as part of the call in whose slice it runs. That is its own call,
    /// unless another call resolved a promise that both share.
    pub(super) fn require_current(&self, ctx: &Ctx<'_>) -> rquickjs::Result<Rc<Call>> {
        self.current_call().ok_or_else(|| {
            let text = "this works only while a request is handled, not while a class is loaded";
            Exception::throw_message(ctx, text)
        })
    }

    /// Runs a future outside the isolate and gives the script a promise of its outcome. The
    /// future is dropped when the call ends first.
    pub(super) fn promise<'js, F>(
        self: &Rc<Self>,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        work: F,
    ) -> rquickjs::Result<Promise<'js>>
    where
        F: Future<Output = Completion> + Send + 'static,
    {
        self.check_count(ctx, call)?;
        let (promise, resolve, reject) = Promise::new(ctx)?;
        let resolve = Persistent::save(ctx, resolve);
        let reject = Persistent::save(ctx, reject);
        self.start(call, Waiter::Promise { resolve, reject }, work);
        Ok(promise)
    }

    /// Calls `function` without arguments once so much time has passed, unless it is forgotten
    /// or the call ends before.
    pub(super) fn set_timer<'js>(
        self: &Rc<Self>,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        (delay, function): (Duration, Function<'js>),
    ) -> rquickjs::Result<OperationId> {
        self.check_count(ctx, call)?;
        let waiter = Waiter::Callback(Persistent::save(ctx, function));
        Ok(self.start(call, waiter, async move {
            tokio::time::sleep(delay).await;
            Completion::Nothing
        }))
    }

    /// Has an operation end with its call, whoever might inherit it ([`Desk::bequeath`]).
    pub(super) fn end_with_call(&self, id: OperationId) {
        if let Some(operation) = self.pending.borrow_mut().get_mut(&id) {
            // Calls are counted from 1.
            operation.newest_starter = 0;
        }
    }

    /// Ends a timer of this call. Its number may be any that a class has made up: a promise that
    /// something else is for would never settle.
    pub(super) fn clear_timer(&self, call: &Call, id: OperationId) {
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

    /// An error for a script to catch. When it passes it on, the failure's cause decides what the
    /// caller is answered.
    pub(super) fn throw(ctx: &Ctx<'_>, call: &Call, failure: Failure) -> rquickjs::Error {
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

    /// Refuses one operation too many.
    fn check_count(&self, ctx: &Ctx<'_>, call: &Call) -> rquickjs::Result<()> {
        let operations_max = self.environment.limits.operations_max;
        if call.operations.borrow().len() < operations_max {
            return Ok(());
        }
        let text = format!(
            "a request may wait for {operations_max} things at once, timers included; wait for some first"
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
            // An isolate that has stopped waits for nothing.
            let _ = mailbox.send(Command::Completed(id, completion));
        });
        let newest_starter = self.newest_starter.get().unwrap_or(self.newest_call.get());
        let operation =
            Operation { call: call.id, newest_starter, waiter, task: task.abort_handle() };
        self.pending.borrow_mut().insert(id, operation);
        call.operations.borrow_mut().insert(id);
        id
    }

    /// The call whose operation has landed, if it still waits for it.
    pub(super) fn call_of(&self, id: OperationId) -> Option<Rc<Call>> {
        let call = self.pending.borrow().get(&id).map(|operation| operation.call)?;
        self.find(call)
    }

    /// Hands the outcome of an operation to the script that waits for it.
    pub(super) fn complete(
        &self,
        ctx: &Ctx<'_>,
        id: OperationId,
        completion: Completion,
    ) -> rquickjs::Result<()> {
        let Some(operation) = self.pending.borrow_mut().remove(&id) else { return Ok(()) };
        let Some(call) = self.find(operation.call) else { return Ok(()) };
        call.operations.borrow_mut().remove(&id);
        // What goes on from here may be inherited by no younger call, or it would never end.
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
                    // No memory is left for it. Whoever waits is told, and may wait in other calls.
                    Err(_) => reject.restore(ctx)?.call::<_, ()>((ctx.catch(),)),
                },
            },
        }
    }

    /// The promise of a handler has settled; its answer is made when the slice has run.
    pub(super) fn push_settled(&self, settled: Settled) {
        self.settled.borrow_mut().push(settled);
    }

    /// The calls that have settled since this was asked last.
    pub(super) fn take_settled(&self) -> Vec<Settled> {
        self.settled.take()
    }

    /// Leaves what a call still waits for to another one, before it leaves.
    ///
    /// Two calls may wait for one promise, such as a token that a class fetches once and keeps on
    /// `this`. Then the continuations of both run in the slices of the one that fetches, and what
    /// the other one begins there is entered for the wrong call. It has to outlive that one, so the
    /// oldest call that was there when it was begun inherits it. Each of those ends, so does this.
    pub(super) fn reassign(&self, call: &Call) {
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

    /// Takes a call off the desk with everything that was done for it. Promises of it that a class
    /// keeps would never settle, so they are left to [`Desk::take_orphans`].
    pub(super) fn remove_call(&self, id: CallId) -> Option<Rc<Call>> {
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

    /// The promises that nobody keeps any more, since this was asked last.
    pub(super) fn take_abandoned(&self) -> Vec<AbandonedPromise> {
        self.abandoned.take()
    }

    /// The call that began last of those whose answers somebody waits for.
    pub(super) fn newest_awaited(&self) -> Option<Rc<Call>> {
        let calls = self.calls.borrow();
        let waiting = calls.values().filter(|call| !call.cancelled.load(Relaxed));
        waiting.max_by_key(|call| call.id).map(Rc::clone)
    }

    /// Rejects promises whose call has left: whoever awaits one, now or later, is told.
    pub(super) fn reject_abandoned(&self, ctx: &Ctx<'_>, abandoned: Vec<AbandonedPromise>) {
        // As when an operation lands: what a class begins anew each time would never end.
        self.newest_starter.set(abandoned.iter().map(|promise| promise.newest_starter).max());
        for AbandonedPromise { reject, .. } in abandoned {
            let rejected =
                Exception::from_message(ctx.clone(), "the request that began this has ended")
                    .and_then(|error| reject.restore(ctx)?.call::<_, ()>((error,)));
            if rejected.is_err() {
                // No memory is left for an error. The others may be luckier.
                ctx.catch();
            }
        }
    }

    /// Takes every call off the desk; what scripts were kept for goes too, which has to happen
    /// before their engine does.
    pub(super) fn clear(&self) -> Vec<Rc<Call>> {
        let ids: Vec<CallId> = self.calls.borrow().keys().copied().collect();
        self.settled.take();
        let calls = ids.into_iter().filter_map(|id| self.remove_call(id)).collect();
        self.abandoned.take();
        calls
    }
}
