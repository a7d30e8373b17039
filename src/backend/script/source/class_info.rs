//! Loads a class into its engine and collects what callgate needs to know about it.

use std::collections::{BTreeMap, BTreeSet};

use rquickjs::{Array, Ctx, Module, Object, Persistent, Value, promise::PromiseState};

use crate::backend::script::engine::cpu_budget::Stopped;
use crate::backend::script::engine::module_loader::ModuleLoader;
use crate::backend::script::engine::thrown::{SourceLocation, Thrown};
use crate::backend::script::engine::{Engine, PreludeFunctions};
use crate::backend::script::source::Sources;
use crate::backend::script::source::problem::ClassProblem;
use crate::base::text::nearest::nearest;
use crate::http::Exposure;

/// What is known about a loaded class.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassInfo {
    /// The functions that rows can name; `None` when the default export is not a class.
    pub(crate) functions: Option<Vec<NamedFunction>>,
    /// How its functions can be called without a row.
    pub(crate) exposures: BTreeMap<String, Exposure>,
    /// The class files that were loaded for it.
    pub(crate) files: BTreeSet<String>,
}

/// A function of a class and its location in the source, if known.
#[derive(Debug, Clone)]
pub(crate) struct NamedFunction {
    pub(crate) name: String,
    pub(crate) place: Option<SourceLocation>,
    /// The classes that its class extends and that have it, too, nearest first, by their files.
    pub(crate) extended: Vec<String>,
}

/// The one instance of a class.
pub(crate) type Singleton = Persistent<Object<'static>>;

/// What a class lists, as `[list, name…]`; a name that is no text is `None`.
type Lists = Vec<Vec<Option<String>>>;

/// An evaluated class: its instance, its functions and its lists.
type Evaluated = (Singleton, Vec<NamedFunction>, Lists);

/// Why a class could not be loaded.
enum LoadError {
    /// An exception was thrown; the engine holds it.
    Thrown,
    /// The top level awaits a promise that nothing can settle while a class is loaded.
    Pending,
}

impl From<rquickjs::Error> for LoadError {
    fn from(_: rquickjs::Error) -> Self {
        Self::Thrown
    }
}

/// Evaluates the file of a class and creates its instance, within the CPU budget of one call. There
/// is no instance when the default export is not a class.
pub(crate) fn load(
    engine: &Engine,
    (class, sources): (&str, &Sources),
) -> Result<(Option<Singleton>, ClassInfo), ClassProblem> {
    let file = sources.file_of(class);
    engine.budget.begin(engine.operations.environment.limits.cpu, None);
    let made = engine.context.with(|ctx| {
        instance(&ctx, engine, (&file, sources)).map_err(|why| match why {
            LoadError::Thrown => Some(Thrown::take(&ctx)),
            LoadError::Pending => None,
        })
    });
    let (_, stopped) = engine.budget.end();
    match made {
        Ok(found) => {
            let files = engine.loader.loaded();
            let Some((singleton, functions, lists)) = found else {
                return Ok((None, ClassInfo { files, ..ClassInfo::default() }));
            };
            let exposures = exposures(&file, &functions, lists)?;
            Ok((Some(singleton), ClassInfo { functions: Some(functions), exposures, files }))
        }
        Err(thrown) => Err(problem(&file, thrown.as_ref(), stopped, (&engine.loader, sources))),
    }
}

fn instance<'js>(
    ctx: &Ctx<'js>,
    engine: &Engine,
    (file, sources): (&str, &Sources),
) -> Result<Option<Evaluated>, LoadError> {
    let text = sources.find(file).map(|source| source.text.clone()).unwrap_or_default();
    engine.loader.begin(file);
    let (module, evaluated) = Module::declare(ctx.clone(), file, text.as_bytes())?.eval()?;
    while evaluated.state() == PromiseState::Pending {
        if engine.budget.must_stop() || !ctx.execute_pending_job() {
            return Err(LoadError::Pending);
        }
    }
    evaluated.finish::<()>()?;
    let class: Value<'js> = module.namespace()?.get("default")?;
    let is_class =
        PreludeFunctions::call(ctx, &engine.functions.is_class, class.clone())?.as_bool();
    let Some(constructor) = class.into_constructor().filter(|_| is_class == Some(true)) else {
        return Ok(None);
    };
    let singleton: Object<'js> = constructor.construct(())?;
    let lists = PreludeFunctions::call(ctx, &engine.functions.exposures, constructor.into_value())?;
    let lists: Lists = lists.get()?;
    let found =
        PreludeFunctions::call(ctx, &engine.functions.functions, singleton.clone().into_value())?;
    let found = found.into_array().ok_or(LoadError::Thrown)?;
    let functions =
        found.iter::<Array<'js>>().map(|entry| named(&entry?)).collect::<Result<_, _>>()?;
    // Jobs that are still queued would otherwise run on the budget of the first call.
    while ctx.execute_pending_job() {
        if engine.budget.must_stop() {
            return Err(LoadError::Pending);
        }
    }
    Ok(Some((Persistent::save(ctx, singleton), functions, lists)))
}

/// Reads what a class lists. A name that is none of its functions is an error: it may be a
/// misspelt one, which the class believes to be callable.
fn exposures(
    file: &str,
    functions: &[NamedFunction],
    lists: Lists,
) -> Result<BTreeMap<String, Exposure>, ClassProblem> {
    let mut exposures: BTreeMap<String, Exposure> = BTreeMap::new();
    for names in lists {
        let mut names = names.into_iter();
        let list = names.next().flatten().unwrap_or_default();
        for name in names {
            let Some(name) = name else {
                let what = format!("static {list} is not a list of names");
                let fix = format!("write static {list} = [\"{}\"];", first(functions));
                return Err(ClassProblem::of_file(file, "class-exposed", what, fix));
            };
            if !functions.iter().any(|function| function.name == name) {
                let what =
                    format!("static {list} names {name:?}, which is no function of the class");
                let known = functions.iter().map(|function| function.name.as_str());
                let fix = match nearest(&name, known) {
                    Some(known) => format!("write {known:?} if that is meant, or take it out"),
                    None => "add the function, or take the name out".to_owned(),
                };
                return Err(ClassProblem::of_file(file, "class-exposed", what, fix));
            }
            let exposure = exposures.entry(name).or_default();
            match &*list {
                "exposed" => exposure.post = true,
                "onHTTPGet" => exposure.get = true,
                _ => exposure.action = true,
            }
        }
    }
    Ok(exposures)
}

/// A name for an example.
fn first(functions: &[NamedFunction]) -> &str {
    functions.first().map_or("name", |function| &function.name)
}

/// Parses `[name, file, line, column, [file…]]`. Built-in functions have no location.
fn named(entry: &Array<'_>) -> rquickjs::Result<NamedFunction> {
    let place = || -> rquickjs::Result<SourceLocation> {
        Ok(SourceLocation { file: entry.get(1)?, line: entry.get(2)?, column: entry.get(3)? })
    };
    let files: Vec<String> = entry.get(4)?;
    let class = |file: &String| Some(file.rsplit('/').next()?.strip_suffix(".js")?.to_owned());
    let extended = files.iter().filter_map(class).collect();
    Ok(NamedFunction { name: entry.get(0)?, place: place().ok(), extended })
}

fn problem(
    file: &str,
    thrown: Option<&Thrown>,
    stopped: Option<Stopped>,
    (loader, sources): (&ModuleLoader, &Sources),
) -> ClassProblem {
    if let Some(refused) = loader.take_refused() {
        return refused.problem(sources);
    }
    match (thrown, stopped) {
        (thrown, Some(_)) => {
            let what = "takes more processor time to load than a call may use";
            let fix = "do less at the top level and in the constructor";
            let problem = ClassProblem::of_file(file, "class-endless", what, fix);
            thrown.map_or(problem.clone(), |thrown| problem.at_thrown(thrown))
        }
        (Some(thrown), None) => ClassProblem::of_thrown(file, thrown),
        (None, None) => ClassProblem::of_file(
            file,
            "class-waits",
            "waits at its top level for something that never comes",
            "take out the await; nothing outside can be waited for while a class is loaded",
        ),
    }
}
