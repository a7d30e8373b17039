//! Checks that the engine calls its interrupt handler inside built-in functions.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Once, OnceLock},
};

use rquickjs::{Context, Ctx, Runtime};

use crate::backend::script::source::problem::ClassProblem;

/// How to get an engine that does.
const FIX: &str = "build the program with the engine of callgate's vendor/rquickjs-sys, as its \
                   README.md says";
/// A search in a long string: a built-in that calls no script function.
const SEARCH: &str = "'a'.repeat(262144).includes('b')";

/// Whether the engine of this program checks its budget inside built-ins. The published engine does
/// not (`vendor/rquickjs-sys/README.md`). Tested once, which takes a millisecond or two.
pub(crate) fn is_bounded() -> bool {
    static IS_BOUNDED: OnceLock<bool> = OnceLock::new();
    *IS_BOUNDED.get_or_init(|| ends_within(SEARCH).unwrap_or(false))
}

/// Logs a warning, once, that the engine does not.
pub(crate) fn warn() {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        tracing::warn!(
            event = "script.unbounded",
            "a built-in of a class may outlive the budget of its call; {FIX}"
        );
    });
}

/// The problem that keeps the classes of a folder from being loaded on such an engine.
pub(crate) fn problem(folder: &str) -> ClassProblem {
    let what = "its classes would run on an engine that looks at no budget inside of its \
                built-ins; safety is \"strict\"";
    ClassProblem::of_file(folder, "engine-unbounded", what, FIX)
}

/// Whether a script is stopped whose budget is used up after the first interrupt check. Every
/// engine makes that check before the script starts; the published engine makes the next one 10,000
/// function calls later.
fn ends_within(script: &str) -> rquickjs::Result<bool> {
    let runtime = Runtime::new()?;
    let context = Context::full(&runtime)?;
    let checks = Rc::new(Cell::new(0));
    let counter = Rc::clone(&checks);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        counter.set(counter.get() + 1);
        counter.get() > 1
    })));
    let ended = context.with(|ctx: Ctx<'_>| ctx.eval::<(), _>(script));
    Ok(ended.is_err() && checks.get() > 1)
}

#[cfg(test)]
mod tests {
    use rquickjs::context::EvalOptions;

    use super::*;
    use crate::backend::script::engine::thrown::Thrown;

    #[test]
    fn the_engine_checks_its_budget_inside_built_ins() {
        assert_eq!(ends_within(SEARCH).ok(), Some(true));
        assert!(is_bounded());
    }

    /// The published engine does the same with the search.
    #[test]
    fn one_check_does_not_make_an_engine_bounded() {
        // On a machine that stalls, even a short script may be checked twice.
        let is_checked_once = || ends_within("1").is_ok_and(|ended| !ended);
        assert!((0..100).any(|_| is_checked_once()));
    }

    /// Regression: in the published engine each script leaks an object, and dropping the runtime
    /// then aborts the process.
    #[test]
    fn scripts_that_leaked_objects_do_not_abort_the_process() {
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

    /// Regression: `find` freed an element twice when it was stopped between two elements, which
    /// ended the process. It is stopped at different checks, because only some of them come there.
    #[test]
    fn a_search_that_is_stopped_frees_each_element_once() {
        for function in ["find", "findIndex", "findLast", "findLastIndex"] {
            for (calls, checks) in (0..8).flat_map(|calls| (1..12).map(move |max| (calls, max))) {
                let runtime = Runtime::new().expect("an engine");
                let context = Context::full(&runtime).expect("a context");
                let checked = Cell::new(0);
                runtime.set_interrupt_handler(Some(Box::new(move || {
                    checked.set(checked.get() + 1);
                    checked.get() > checks
                })));
                let script = format!(
                    "const no = () => false; for (let i = 0; i < {calls}; i++) no(); \
                     Array.prototype.{function}.call('a'.repeat(1048576), no)"
                );
                let ended = context.with(|ctx: Ctx<'_>| ctx.eval::<(), _>(script));
                assert!(ended.is_err(), "{function} after {calls} calls and {checks} checks");
            }
        }
    }
}
