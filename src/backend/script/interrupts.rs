//! Checks that the engine calls its interrupt handler inside built-in functions.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;

use rquickjs::Context;
use rquickjs::Ctx;
use rquickjs::Runtime;

/// A built-in that calls no script function and runs long enough for an interrupt check.
const SEARCH: &str = "'a'.repeat(4096).includes('b')";

/// Logs a warning, once, if the engine does not check its budget inside built-ins. That happens
/// when an embedding program builds callgate with the published engine instead of the patched one
/// (`vendor/rquickjs-sys/README.md`).
pub(super) fn warn_if_unsupported() {
    static IS_BOUNDED: OnceLock<bool> = OnceLock::new();
    IS_BOUNDED.get_or_init(|| {
        let is_bounded = is_called_during(SEARCH).unwrap_or(true);
        if !is_bounded {
            tracing::warn!(event = "script.unbounded");
        }
        is_bounded
    });
}

/// Whether the interrupt handler is called while `script` runs.
fn is_called_during(script: &str) -> rquickjs::Result<bool> {
    let runtime = Runtime::new()?;
    let context = Context::full(&runtime)?;
    let is_called = Rc::new(Cell::new(false));
    let asked = Rc::clone(&is_called);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        asked.set(true);
        false
    })));
    context.with(|ctx: Ctx<'_>| ctx.eval::<(), _>(script))?;
    Ok(is_called.get())
}

#[cfg(test)]
mod tests {
    use rquickjs::context::EvalOptions;

    use super::*;
    use crate::backend::script::thrown::Thrown;

    #[test]
    fn the_engine_that_callgate_is_built_with_asks_inside_of_its_built_ins() {
        assert_eq!(is_called_during(SEARCH).ok(), Some(true));
    }

    /// Regression: in the published engine each script leaks an object, and dropping the runtime
    /// then aborts the process.
    #[test]
    fn a_script_that_has_the_engine_lose_objects_ends_no_program() {
        for script in [
            "Error.stackTraceLimit = {}; Error.stackTraceLimit = {};",
            "Error.prepareStackTrace = {}; try { null.x } catch {}",
        ] {
            let runtime = Runtime::new().expect("an engine");
            let context = Context::full(&runtime).expect("a context");
            context.with(|ctx: Ctx<'_>| ctx.eval::<(), _>(script)).expect(script);
        }
    }

    /// The limit is varied so that memory runs out at different allocations: creating the error
    /// allocates, too.
    #[test]
    fn an_error_for_lack_of_memory_says_where() {
        let script = "const list = [];\nfor (;;) list.push(new Array(1000).fill(7));";
        for limit in (1_usize << 20..).step_by(77).take(200) {
            let runtime = Runtime::new().expect("an engine");
            let context = Context::full(&runtime).expect("a context");
            runtime.set_memory_limit(limit);
            context.with(|ctx: Ctx<'_>| {
                let mut options = EvalOptions::default();
                options.filename = Some("a.js".to_owned());
                ctx.eval_with_options::<(), _>(script, options).expect_err("a full heap");
                let thrown = Thrown::take(&ctx);
                assert_eq!(thrown.text, "InternalError: out of memory", "{limit}");
                assert_eq!(thrown.place.map(|place| place.line), Some(2), "{limit}");
            });
        }
    }

    /// Reading the stack is a function call. It must not be interrupted as the script was.
    #[test]
    fn an_error_of_a_script_that_was_stopped_says_where() {
        for script in
            ["1;\nfor (;;);", "1;\n[].concat(2); for (;;);", "function f() {\n for (;;); }\nf();"]
        {
            let runtime = Runtime::new().expect("an engine");
            let context = Context::full(&runtime).expect("a context");
            let questions = Cell::new(0);
            runtime.set_interrupt_handler(Some(Box::new(move || {
                questions.set(questions.get() + 1);
                questions.get() > 20
            })));
            context.with(|ctx: Ctx<'_>| {
                let mut options = EvalOptions::default();
                options.filename = Some("a.js".to_owned());
                ctx.eval_with_options::<(), _>(script, options).expect_err("stopped");
                let thrown = Thrown::take(&ctx);
                assert_eq!(thrown.text, "InternalError: interrupted");
                assert!(thrown.place.is_some(), "{script}: {thrown:?}");
            });
        }
    }
}
