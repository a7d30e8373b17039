//! Compiles every class file without running it, to find problems in files that nothing imports.

use rquickjs::{Context, Ctx, Module, Runtime};

use crate::backend::Budgets;
use crate::backend::script::engine::module_loader::ModuleLoader;
use crate::backend::script::engine::thrown::Thrown;
use crate::backend::script::source::Sources;
use crate::backend::script::source::problem::ClassProblem;

/// Memory limit for compiling all files. The folder's size limit is a small part of it.
const MEMORY_BYTES: usize = 256 << 20;

/// Returns the problems that compiling reveals: syntax errors, and imports of files that do not
/// exist. A problem in a file that is imported several times is reported once.
pub(crate) fn problems(sources: &Sources, limits: &Budgets) -> Vec<ClassProblem> {
    let loader = ModuleLoader::new(sources.clone());
    let made = Runtime::new().and_then(|runtime| {
        runtime.set_memory_limit(MEMORY_BYTES);
        runtime.set_max_stack_size(limits.stack_bytes);
        runtime.set_loader(loader.clone(), loader.clone());
        Context::full(&runtime)
    });
    let context = match made {
        Ok(context) => context,
        Err(error) => return vec![ClassProblem::of_engine("classes", &error)],
    };
    let compile = |ctx: &Ctx<'_>, file: &str, text: &str| {
        let thrown = Module::declare(ctx.clone(), file, text).err().map(|_| Thrown::take(ctx))?;
        Some(match loader.take_refused() {
            Some(refused) => refused.problem(sources),
            None => ClassProblem::of_thrown(file, &thrown),
        })
    };
    let mut problems: Vec<ClassProblem> = context.with(|ctx| {
        sources.files().filter_map(|(file, source)| compile(&ctx, file, &source.text)).collect()
    });
    problems.sort();
    problems.dedup();
    problems
}
