//! The memory of one engine, and how much of it one call may hold while it waits.

use std::cell::Cell;

use rquickjs::Context;
use rquickjs::Object;
use rquickjs::Runtime;

/// How many calls may end before the memory of an engine at rest is looked at again. Looking
/// takes as long as there are objects.
const CALLS_PER_CHECK: u32 = 256;

/// An account of an engine's memory.
///
/// The engine itself enforces the limit, for whoever asks for memory last. So that a call which
/// waits with its arms full does not starve the others, half of the memory is free for all, and
/// of the other half one call may hold half while it waits. Measuring takes time, so nothing is
/// measured until the first half is used up.
pub(super) struct Heap {
    limit: usize,
    /// What was in use when it was measured last, if that was more than half.
    measured: Cell<Option<usize>>,
    calls: Cell<u32>,
}

impl Heap {
    pub(super) fn new(runtime: &Runtime, limit: usize) -> Self {
        runtime.set_memory_limit(limit);
        Self { limit, measured: Cell::default(), calls: Cell::default() }
    }

    /// What a slice has added to what is in use, as far as that matters, in bytes.
    pub(super) fn grown(&self, runtime: &Runtime, context: &Context) -> usize {
        if !self.is_used(runtime, context, self.limit / 2) {
            self.measured.set(None);
            return 0;
        }
        let used = in_use(runtime);
        let before = self.measured.replace(Some(used)).unwrap_or(self.limit / 2);
        used.saturating_sub(before)
    }

    /// Whether that is more than one call may hold while it waits.
    pub(super) fn is_too_much(&self, held: usize) -> bool {
        held > self.limit / 4
    }

    /// Whether an engine that serves nobody has three quarters of its memory in use, once the
    /// garbage is collected. Looks when a call has failed, and else now and then.
    pub(super) fn is_full(&self, runtime: &Runtime, context: &Context, has_failed: bool) -> bool {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if !has_failed && calls < CALLS_PER_CHECK {
            return false;
        }
        self.calls.set(0);
        let most = self.limit / 4 * 3;
        if !self.is_used(runtime, context, most) {
            return false;
        }
        runtime.run_gc();
        in_use(runtime) > most
    }

    /// Whether so much is in use, found out without measuring: where it is, an engine that may
    /// not use more cannot make the smallest object.
    fn is_used(&self, runtime: &Runtime, context: &Context, bytes: usize) -> bool {
        runtime.set_memory_limit(bytes);
        let is_used = context.with(|ctx| {
            let is_used = Object::new(ctx.clone()).is_err();
            ctx.catch();
            is_used
        });
        runtime.set_memory_limit(self.limit);
        is_used
    }
}

/// The bytes that an engine has in use.
fn in_use(runtime: &Runtime) -> usize {
    usize::try_from(runtime.memory_usage().malloc_size).unwrap_or_default()
}
