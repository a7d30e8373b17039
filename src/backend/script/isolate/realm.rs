//! Runs the calls of one class in its engine. Everything here stays on one thread.

use std::{cell::Cell, rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use rquickjs::{
    Ctx, Function, Persistent, Promise, Value,
    function::{Rest, This},
    promise::PromiseState,
};

use crate::backend::script::engine::Engine;
use crate::backend::script::engine::cpu_budget::Stopped;
use crate::backend::script::engine::thrown::Thrown;
use crate::backend::script::isolate::call::{Call, CallId, CallRequest};
use crate::backend::script::isolate::completion::Completion;
use crate::backend::script::isolate::operations::{AbandonedPromise, OperationId, Settled};
use crate::backend::script::isolate::reply;
use crate::backend::script::isolate::reply::ReplyError;
use crate::backend::script::log::Log;
use crate::backend::script::source::class_info::Singleton;
use crate::base::clock::thread_time;
use crate::http::{HandlerError, Reply};

/// Jobs between two checks of the budget. The engine checks by itself, too, but not while it runs
/// only its own functions.
const JOBS_PER_CHECK: u32 = 64;
/// CPU time for the jobs that a stopped call left in the queue. After that each remaining job is
/// interrupted, which may take as long again.
const CLEANUP_BUDGET: Duration = Duration::from_millis(50);

/// A loaded class.
pub(crate) struct Realm {
    singleton: Singleton,
    engine: Engine,
    log: Log,
    /// Whether a call has failed since the memory was last checked.
    has_failed: Cell<bool>,
    /// Whether a call was stopped while it ran. Promises that it was to settle then stay pending,
    /// and so do calls that await them.
    was_interrupted: Cell<bool>,
}

/// Whether a realm can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// The realm works.
    Healthy,
    /// Something in it keeps running and ends only with the engine.
    Stuck,
    /// Calls await a promise that a stopped call was to settle; future calls may do the same.
    Deadlocked,
    /// No call is in progress, but most of the memory is in use.
    Full,
}

impl Realm {
    pub(crate) fn new(engine: Engine, singleton: Singleton, log: Log) -> Self {
        Self {
            singleton,
            engine,
            log,
            has_failed: Cell::new(false),
            was_interrupted: Cell::new(false),
        }
    }

    /// Starts a call, unless its client is already gone.
    pub(crate) fn call(&self, request: CallRequest) -> Health {
        if request.cancelled.load(Relaxed) {
            return Health::Healthy;
        }
        let call = Rc::new(Call::new(request));
        self.engine.operations.insert_call(&call);
        self.run(&call, |ctx| self.begin(ctx, &call))
    }

    /// Continues the call whose host operation has completed.
    pub(crate) fn complete(&self, id: OperationId, completion: Completion) -> Health {
        let Some(call) = self.engine.operations.call_of(id) else { return Health::Healthy };
        self.run(&call, |ctx| self.engine.operations.complete(ctx, id, completion))
    }

    /// Ends a call whose client no longer waits.
    pub(crate) fn cancel(&self, id: CallId) -> Health {
        let Some(call) = self.engine.operations.find(id) else { return self.check_memory() };
        // The call had no pending operation, so it awaited a promise of another call. If a call was
        // stopped before, that promise may stay pending for good, such as one that the class keeps
        // on `this`.
        if self.was_interrupted.get() && call.operations.borrow().is_empty() {
            return Health::Deadlocked;
        }
        self.engine.operations.reassign(&call);
        self.engine.operations.remove_call(id);
        self.finish_settled(Health::Healthy)
    }

    /// Runs one slice of a call, then responds to all calls that have settled in it.
    fn run(&self, call: &Rc<Call>, work: impl FnOnce(&Ctx<'_>) -> rquickjs::Result<()>) -> Health {
        let health = self.slice(call, work);
        self.finish_settled(health)
    }

    /// Responds to settled calls and rejects abandoned promises, until there are none of either.
    fn finish_settled(&self, mut health: Health) -> Health {
        while health == Health::Healthy {
            let settled = self.engine.operations.take_settled();
            if settled.is_empty() {
                let abandoned = self.engine.operations.take_abandoned();
                if abandoned.is_empty() {
                    return self.check_memory();
                }
                health = self.reject_abandoned(abandoned);
            }
            for settled in settled {
                let Some(call) = self.engine.operations.find(settled.call) else { continue };
                let next = self.slice(&call, |ctx| self.settled(ctx, &call, settled));
                health = if next == Health::Healthy { health } else { next };
            }
        }
        health
    }

    /// Runs `work` for a call, and every job that it queues, within the call's remaining budget. An
    /// exception from `work` ends the call.
    fn slice(
        &self,
        call: &Rc<Call>,
        work: impl FnOnce(&Ctx<'_>) -> rquickjs::Result<()>,
    ) -> Health {
        let Engine { operations, budget, context, .. } = &self.engine;
        let left = operations.environment.limits.cpu.saturating_sub(call.used.get());
        operations.set_current(Some(call.id));
        budget.begin(left, Some(call.cancelled.clone()));
        let thrown = context.with(|ctx| {
            work(&ctx).err().map(|_| {
                let error = ctx.catch();
                (Thrown::of(&error), call.cause_of(&error))
            })
        });
        let in_jobs = self.run_jobs().map(|thrown| (thrown, None));
        let (used, stopped) = budget.end();
        operations.set_current(None);
        call.used.set(call.used.get() + used);
        let thrown = thrown.or(in_jobs);
        self.was_interrupted.set(self.was_interrupted.get() || stopped.is_some());
        match (stopped.or_else(|| self.holds_too_much(call)), thrown) {
            (Some(stopped), thrown) => {
                self.stop(call, stopped, thrown.map(|(thrown, _)| thrown).as_ref());
                self.clean_up(|_| ())
            }
            (None, Some((thrown, cause))) => {
                self.fail(call, &thrown, cause);
                Health::Healthy
            }
            (None, None) => Health::Healthy,
        }
    }

    /// Whether a call that now waits holds more memory than it may.
    fn holds_too_much(&self, call: &Call) -> Option<Stopped> {
        let Engine { operations, heap, runtime, context, .. } = &self.engine;
        let held = call.held_bytes.get() + heap.growth(runtime, context);
        call.held_bytes.set(held);
        let waits = operations.find(call.id).is_some();
        (waits && heap.is_too_much(held)).then_some(Stopped::Memory)
    }

    /// Checks the memory of an engine without calls.
    fn check_memory(&self) -> Health {
        let Engine { operations, heap, runtime, context, .. } = &self.engine;
        if operations.is_idle() && heap.is_full(runtime, context, self.has_failed.take()) {
            return Health::Full;
        }
        Health::Healthy
    }

    /// Runs jobs until the queue is empty or the slice is over. Returns the exception of the job
    /// that was interrupted, if any.
    fn run_jobs(&self) -> Option<Thrown> {
        let mut jobs = 0_u32;
        loop {
            match self.engine.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(failed) => {
                    let thrown = failed.0.with(|ctx| Thrown::take(&ctx));
                    if self.engine.budget.must_stop() {
                        return Some(thrown);
                    }
                }
            }
            jobs = jobs.wrapping_add(1);
            if jobs.is_multiple_of(JOBS_PER_CHECK) && self.engine.budget.must_stop() {
                return None;
            }
        }
    }

    /// Rejects promises whose call has ended, on the budget of a call that may await them.
    fn reject_abandoned(&self, abandoned: Vec<AbandonedPromise>) -> Health {
        let operations = &self.engine.operations;
        match operations.newest_awaited() {
            Some(call) => self.slice(&call, |ctx| {
                operations.reject_abandoned(ctx, abandoned);
                Ok(())
            }),
            None => self.clean_up(|ctx| operations.reject_abandoned(ctx, abandoned)),
        }
    }

    /// Runs the jobs that ended calls have left in the queue, in a slice that belongs to no call.
    ///
    /// Jobs of other calls may be queued in front of them. A function that has not ended by then
    /// awaits nothing and never ends by itself (`for (;;) await 0`).
    fn clean_up(&self, work: impl FnOnce(&Ctx<'_>)) -> Health {
        let Engine { budget, context, .. } = &self.engine;
        budget.begin(CLEANUP_BUDGET, None);
        context.with(|ctx| work(&ctx));
        self.run_jobs();
        let is_empty = !budget.must_stop() || self.drain_jobs();
        budget.end();
        if is_empty { Health::Healthy } else { Health::Stuck }
    }

    /// Empties the job queue while the budget is exceeded. Each job is interrupted before it does
    /// anything, so it queues no other. Returns whether the queue is empty.
    fn drain_jobs(&self) -> bool {
        let until = thread_time().saturating_add(CLEANUP_BUDGET);
        loop {
            match self.engine.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(failed) => {
                    failed.0.with(|ctx| drop(ctx.catch()));
                }
            }
            if thread_time() > until {
                return false;
            }
        }
    }

    /// Calls the function. A returned promise is awaited; any other value is the result.
    fn begin<'js>(&self, ctx: &Ctx<'js>, call: &Rc<Call>) -> rquickjs::Result<()> {
        let functions = &self.engine.functions;
        let begin = functions.begin.clone().restore(ctx)?;
        let given = call.request.arguments_json();
        let given: Vec<Value<'js>> = begin.call((call.id, given))?;
        let session = given.get(1).cloned().map(|session| Persistent::save(ctx, session));
        call.session_object.replace(session);
        let singleton = self.singleton.clone().restore(ctx)?;
        let function: Function<'js> = singleton.get(&*call.method)?;
        let value: Value<'js> = function.call((This(singleton), Rest(given)))?;
        match promised(ctx, value)? {
            Ok(promise) => self.wait(ctx, call, &promise),
            Err(value) => self.finish(ctx, call, value),
        }
    }

    /// Responds at once if the promise has settled, and otherwise when it settles.
    fn wait<'js>(
        &self,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        promise: &Promise<'js>,
    ) -> rquickjs::Result<()> {
        match promise.state() {
            PromiseState::Resolved => match promise.result::<Value<'js>>() {
                Some(value) => self.finish(ctx, call, value?),
                None => Ok(()),
            },
            PromiseState::Rejected => {
                let _ = promise.result::<Value<'js>>();
                self.reject(call, &ctx.catch());
                Ok(())
            }
            PromiseState::Pending => {
                let on = |is_fulfilled: bool| {
                    let (operations, call) = (Rc::clone(&self.engine.operations), call.id);
                    Function::new(ctx.clone(), move |ctx: Ctx<'js>, value: Value<'js>| {
                        let value = Persistent::save(&ctx, value);
                        operations.push_settled(Settled { call, is_fulfilled, value });
                    })
                };
                let then = self.engine.functions.then.clone().restore(ctx)?;
                then.call((This(promise.clone()), on(true)?, on(false)?))
            }
        }
    }

    fn settled(&self, ctx: &Ctx<'_>, call: &Rc<Call>, settled: Settled) -> rquickjs::Result<()> {
        let value = settled.value.restore(ctx)?;
        if settled.is_fulfilled {
            return self.finish(ctx, call, value);
        }
        self.reject(call, &value);
        Ok(())
    }

    /// Responds with what the handler returned.
    fn finish<'js>(
        &self,
        ctx: &Ctx<'js>,
        call: &Rc<Call>,
        value: Value<'js>,
    ) -> rquickjs::Result<()> {
        let finish = self.engine.functions.finish.clone().restore(ctx)?;
        let session =
            call.session_object.borrow().clone().map(|session| session.restore(ctx)).transpose()?;
        let value: Value<'js> = finish.call((session, value))?;
        match reply::from_value(&value, self.engine.operations.environment.limits.output_bytes) {
            Ok(reply) => {
                self.engine.operations.reassign(call);
                self.end(call, Ok(reply));
            }
            Err(ReplyError::Thrown) => return Err(rquickjs::Error::Exception),
            Err(ReplyError::Refused(text)) => {
                self.fail(call, &Thrown { text, place: None }, None);
            }
        }
        Ok(())
    }

    /// Ends a call whose promise was rejected.
    fn reject(&self, call: &Rc<Call>, error: &Value<'_>) {
        let cause = call.cause_of(error);
        self.fail(call, &Thrown::of(error), cause);
    }

    fn fail(&self, call: &Rc<Call>, thrown: &Thrown, cause: Option<HandlerError>) {
        // A bad request body is recorded in the access log of the request.
        if !cause.as_ref().is_some_and(HandlerError::is_bad_body) {
            self.log.failed(call, thrown);
        }
        self.engine.operations.reassign(call);
        let raised = cause.unwrap_or_else(|| self.raised(call, thrown.to_string(), Some(thrown)));
        self.end(call, Err(raised));
    }

    /// A failure of the handler, with an excerpt of the code that caused it.
    fn raised(&self, call: &Call, text: String, thrown: Option<&Thrown>) -> HandlerError {
        let place = self.log.place(call, thrown);
        HandlerError::in_code(
            text,
            place.and_then(|place| place.excerpt(self.engine.loader.sources())),
        )
    }

    fn stop(&self, call: &Rc<Call>, stopped: Stopped, thrown: Option<&Thrown>) {
        let why = self.log.stopped(call, stopped, thrown);
        self.end(call, Err(self.raised(call, why, thrown)));
    }

    fn end(&self, call: &Rc<Call>, result: Result<Reply, HandlerError>) {
        self.log.slow(call);
        self.has_failed.set(self.has_failed.get() || result.is_err());
        call.respond(result);
        self.engine.operations.remove_call(call.id);
    }

    /// Ends every call because the engine is replaced.
    pub(crate) fn end_for_restart(&self, why: &str) {
        self.log.restarted(why);
        self.abandon(why);
    }

    /// Ends every call because the realm is dropped.
    pub(crate) fn abandon(&self, why: &str) {
        for call in self.engine.operations.clear() {
            call.respond(Err(HandlerError::new(why)));
        }
    }
}

/// Returns the promise if the value is one, or a promise for another object with a `then` method;
/// otherwise `Err` with the value.
fn promised<'js>(
    ctx: &Ctx<'js>,
    value: Value<'js>,
) -> rquickjs::Result<Result<Promise<'js>, Value<'js>>> {
    let Some(object) = value.as_object() else { return Ok(Err(value)) };
    if let Some(promise) = object.as_promise() {
        return Ok(Ok(promise.clone()));
    }
    let then: Value<'js> = object.get("then")?;
    if !then.is_function() {
        return Ok(Err(value));
    }
    let (promise, resolve, _) = Promise::new(ctx)?;
    resolve.call::<_, ()>((value,))?;
    Ok(Ok(promise))
}
