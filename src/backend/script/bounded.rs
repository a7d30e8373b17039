//! Whether the engine can be told to stop while it is in a built-in.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Once;
use std::sync::OnceLock;

use rquickjs::Context;
use rquickjs::Ctx;
use rquickjs::Runtime;

use crate::backend::script::problem::ClassProblem;

/// What to do about an engine that does not.
const FIX: &str = "build the program with the engine of callgate's vendor/rquickjs-sys, as its \
                   README.md says";
/// One search in a long text, which calls no function of a script.
const SEARCH: &str = "'a'.repeat(262144).includes('b')";

/// Whether the engine that this program was built with looks at its budget inside of its built-ins.
/// That of the registry does not (`vendor/rquickjs-sys/README.md`). It is found out once, which takes
/// a millisecond or two.
pub(super) fn is_bounded() -> bool {
    static IS_BOUNDED: OnceLock<bool> = OnceLock::new();
    *IS_BOUNDED.get_or_init(|| ends_within(SEARCH).unwrap_or(false))
}

/// Says once in the log that it does not.
pub(super) fn warn() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            event = "script.unbounded",
            "a built-in of a class may outlive the budget of its call; {FIX}"
        );
    });
}

/// The same, as what keeps the classes of this folder from being loaded.
pub(super) fn problem(folder: &str) -> ClassProblem {
    let what = "its classes would run on an engine that looks at no budget inside of its \
                built-ins; safety is \"strict\"";
    ClassProblem::of_file(folder, "engine-unbounded", what, FIX)
}

/// Whether a script ends that has used up its budget with the first question. Any engine asks that
/// one, before the script begins; the engine of the registry asks the next one 10,000 calls later.
fn ends_within(script: &str) -> rquickjs::Result<bool> {
    let runtime = Runtime::new()?;
    let context = Context::full(&runtime)?;
    let questions = Rc::new(Cell::new(0));
    let asked = Rc::clone(&questions);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        asked.set(asked.get() + 1);
        asked.get() > 1
    })));
    let ended = context.with(|ctx: Ctx<'_>| ctx.eval::<(), _>(script));
    Ok(ended.is_err() && questions.get() > 1)
}

#[cfg(test)]
mod tests {
    use rquickjs::context::EvalOptions;

    use super::*;
    use crate::backend::script::thrown::Thrown;

    #[test]
    fn the_engine_that_callgate_is_built_with_asks_inside_of_its_built_ins() {
        assert_eq!(ends_within(SEARCH).ok(), Some(true));
        assert!(is_bounded());
    }

    /// What the engine of the registry does with the search, too.
    #[test]
    fn one_question_does_not_make_an_engine_bounded() {
        // On a machine that stands still for a moment, a short script may be asked about twice.
        let is_asked_once = || ends_within("1").is_ok_and(|ended| !ended);
        assert!((0..100).any(|_| is_asked_once()));
    }

    /// Each of them made the engine, as it is published, lose an object and end the program when it
    /// was dropped.
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

    /// At whatever allocation the memory ends: the error is made of memory as well.
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

    /// Reading the stack is a call, and must not be stopped as the script was.
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
