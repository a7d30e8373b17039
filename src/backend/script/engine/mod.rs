//! One JavaScript engine before a class is loaded: limits, module loader and callgate's own
//! modules.

pub(crate) mod cpu_budget;
pub(crate) mod heap;
pub(crate) mod interrupts;
pub(crate) mod module_loader;
pub(crate) mod thrown;

use std::{rc::Rc, sync::Arc};

use rquickjs::{Context, Ctx, Function, Module, Object, Persistent, Runtime, Value};

use crate::backend::script::engine::cpu_budget::CpuBudget;
use crate::backend::script::engine::heap::Heap;
use crate::backend::script::engine::module_loader::ModuleLoader;
use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::Mailbox;
use crate::backend::script::isolate::operations::Operations;
use crate::backend::script::{host, prelude};

/// An engine with its own heap and globals. It never leaves the thread that created it.
pub(crate) struct Engine {
    // Fields are dropped in this order. Values that point into the engine must go before the
    // engine.
    pub(crate) functions: PreludeFunctions,
    pub(crate) operations: Rc<Operations>,
    pub(crate) budget: Rc<CpuBudget>,
    pub(crate) heap: Heap,
    pub(crate) context: Context,
    pub(crate) runtime: Runtime,
    pub(crate) loader: ModuleLoader,
}

/// Functions of the prelude and the language that callgate itself calls. They are looked up before
/// a class is loaded, so a class that replaces built-ins does not change them.
pub(crate) struct PreludeFunctions {
    /// `(call) => [request, session]`.
    pub(crate) begin: Persistent<Function<'static>>,
    /// `(session, value) => reply`, called with the value that a handler returned.
    pub(crate) finish: Persistent<Function<'static>>,
    /// `(value) => boolean`.
    pub(crate) is_class: Persistent<Function<'static>>,
    /// `(instance) => [[name, file, line, column]…]`.
    pub(crate) functions: Persistent<Function<'static>>,
    /// `(class) => [[list, name…]…]`.
    pub(crate) exposures: Persistent<Function<'static>>,
    /// `Promise.prototype.then`.
    pub(crate) then: Persistent<Function<'static>>,
}

impl Engine {
    /// Creates an engine that loads modules with `loader` and reports completions to `mailbox`.
    pub(crate) fn new(
        class: &Arc<str>,
        environment: &Environment,
        mailbox: Mailbox,
        loader: ModuleLoader,
    ) -> rquickjs::Result<Self> {
        let limits = &environment.limits;
        let runtime = Runtime::new()?;
        let heap = Heap::new(&runtime, limits.heap_bytes);
        runtime.set_max_stack_size(limits.stack_bytes);
        runtime.set_loader(loader.clone(), loader.clone());
        let context = Context::full(&runtime)?;
        let operations = Operations::new(Arc::clone(class), environment.clone(), mailbox);
        let functions = context.with(|ctx| PreludeFunctions::new(&ctx, &operations))?;
        let budget = Rc::new(CpuBudget::default());
        let asked = Rc::clone(&budget);
        runtime.set_interrupt_handler(Some(Box::new(move || asked.must_stop())));
        Ok(Self { functions, operations, budget, heap, context, runtime, loader })
    }
}

/// `operations` holds functions of the engine, and functions of the engine hold `operations`.
/// Clearing it breaks the cycle.
impl Drop for Engine {
    fn drop(&mut self) {
        self.operations.clear();
    }
}

impl PreludeFunctions {
    fn new<'js>(ctx: &Ctx<'js>, operations: &Rc<Operations>) -> rquickjs::Result<Self> {
        let text = prelude::module(prelude::MAIN).unwrap_or_default();
        let (main, evaluated) = Module::declare(ctx.clone(), prelude::MAIN, text)?.eval()?;
        evaluated.finish::<()>()?;
        let set_up: Function<'js> = main.get("setUp")?;
        let functions: Object<'js> = set_up.call((host::functions(ctx, operations)?,))?;
        let keep = |name: &str| -> rquickjs::Result<Persistent<Function<'static>>> {
            Ok(Persistent::save(ctx, functions.get::<_, Function<'js>>(name)?))
        };
        let promise: Object<'js> = ctx.globals().get("Promise")?;
        let promise: Object<'js> = promise.get("prototype")?;
        Ok(Self {
            begin: keep("begin")?,
            finish: keep("finish")?,
            is_class: keep("isClass")?,
            functions: keep("functions")?,
            exposures: keep("exposures")?,
            then: Persistent::save(ctx, promise.get::<_, Function<'js>>("then")?),
        })
    }

    /// Calls one of the functions with one argument.
    pub(crate) fn call<'js>(
        ctx: &Ctx<'js>,
        function: &Persistent<Function<'static>>,
        value: Value<'js>,
    ) -> rquickjs::Result<Value<'js>> {
        function.clone().restore(ctx)?.call((value,))
    }
}
