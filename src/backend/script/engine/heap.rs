//! The memory limit of one engine, and the share of it that one waiting call may hold.

use std::cell::Cell;

use rquickjs::{Context, Object, Runtime};

/// Calls between two checks of an idle engine's memory. A check takes time proportional to the
/// number of objects.
const CALLS_PER_CHECK: u32 = 256;

/// Tracks an engine's memory.
///
/// The engine enforces the limit, but an allocation that exceeds it fails whichever call makes it.
/// A call that holds much memory while it waits would therefore starve the others. So half of the
/// memory is free for all calls, and one waiting call may hold half of the rest. Measuring takes
/// time, so nothing is measured until the first half is in use.
pub(crate) struct Heap {
    limit: usize,
    /// The bytes in use at the last measurement, if more than half of the limit was in use then.
    measured: Cell<Option<usize>>,
    calls: Cell<u32>,
}

impl Heap {
    pub(crate) fn new(runtime: &Runtime, limit: usize) -> Self {
        runtime.set_memory_limit(limit);
        Self { limit, measured: Cell::default(), calls: Cell::default() }
    }

    /// The bytes that a slice has added, or 0 while less than half of the limit is in use.
    pub(crate) fn growth(&self, runtime: &Runtime, context: &Context) -> usize {
        if !self.exceeds(runtime, context, self.limit / 2) {
            self.measured.set(None);
            return 0;
        }
        let used = in_use(runtime);
        let before = self.measured.replace(Some(used)).unwrap_or(self.limit / 2);
        used.saturating_sub(before)
    }

    /// Whether this is more than one waiting call may hold.
    pub(crate) fn is_too_much(&self, held: usize) -> bool {
        held > self.limit / 4
    }

    /// Whether an engine without calls has three quarters of its memory in use after a garbage
    /// collection. Checked after a failed call, and otherwise every [`CALLS_PER_CHECK`] calls.
    pub(crate) fn is_full(&self, runtime: &Runtime, context: &Context, has_failed: bool) -> bool {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if !has_failed && calls < CALLS_PER_CHECK {
            return false;
        }
        self.calls.set(0);
        let full = self.limit / 4 * 3;
        if !self.exceeds(runtime, context, full) {
            return false;
        }
        runtime.run_gc();
        in_use(runtime) > full
    }

    /// Whether more than `bytes` are in use, without measuring: the limit is lowered to `bytes` for
    /// one small allocation, which then fails.
    fn exceeds(&self, runtime: &Runtime, context: &Context, bytes: usize) -> bool {
        runtime.set_memory_limit(bytes);
        let exceeds = context.with(|ctx| {
            let exceeds = Object::new(ctx.clone()).is_err();
            ctx.catch();
            exceeds
        });
        runtime.set_memory_limit(self.limit);
        exceeds
    }
}

/// The bytes that an engine has allocated.
fn in_use(runtime: &Runtime) -> usize {
    usize::try_from(runtime.memory_usage().malloc_size).unwrap_or_default()
}
