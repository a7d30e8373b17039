//! One loaded generation of the classes folder. Each class runs in its own isolate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::backend::script::engine::interrupts;
use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::{Isolate, Starting};
use crate::backend::script::source::problem::ClassProblem;
use crate::backend::script::source::{Source, Sources, compiled};
use crate::base::Digest;
use crate::base::text::nearest::nearest;
use crate::http::{
    CallPermit, Exposure, Handler, HandlerError, HandlerFuture, Handlers, IncomingMessage, Missing,
    Session,
};

/// The classes of one load, by name. Immutable; a reload replaces the whole value.
#[derive(Default)]
pub struct Classes {
    classes: BTreeMap<String, Loaded>,
    sources: Sources,
}

/// One loaded class.
#[derive(Clone)]
struct Loaded {
    isolate: Arc<Isolate>,
    /// Digest of all files that the class was loaded from. The isolate is reused while it is
    /// unchanged.
    digest: Digest,
}

impl Classes {
    /// Loads the `wanted` classes. A class without a file is skipped; the check of the rows that
    /// name it reports it. A class whose files are the same as in `before` keeps its isolate, and
    /// with it the state on its `this`.
    pub fn load(
        sources: &Sources,
        wanted: &BTreeSet<String>,
        environment: &Environment,
        before: Option<&Self>,
    ) -> Result<Self, Vec<ClassProblem>> {
        if !environment.is_bounded && !sources.is_empty() {
            if environment.demands_bounds {
                return Err(vec![interrupts::problem(sources.folder())]);
            }
            interrupts::warn();
        }
        let mut problems = compiled::problems(sources, &environment.limits);
        let (mut classes, mut starting) = (BTreeMap::new(), Vec::new());
        for class in wanted.iter().filter(|class| sources.find(&sources.file_of(class)).is_some()) {
            let kept = before.and_then(|before| before.unchanged(class, sources));
            match kept {
                Some(loaded) => {
                    classes.insert(class.clone(), loaded);
                }
                None => starting.push((class, Isolate::start(class, sources, environment))),
            }
        }
        for (class, started) in starting {
            match started.and_then(Starting::finish) {
                Ok(isolate) => {
                    let digest = digest(&isolate, sources);
                    let isolate = Arc::new(isolate);
                    classes.insert(class.clone(), Loaded { isolate, digest });
                }
                Err(problem) => problems.push(problem),
            }
        }
        problems.sort();
        problems.dedup();
        if problems.is_empty() {
            Ok(Self { classes, sources: sources.clone() })
        } else {
            Err(problems)
        }
    }

    /// Warnings about code that no request can reach: files that no class named by a row imports,
    /// and functions that no row names (`named`) and no class file calls. These are only warnings,
    /// because a file may be work in progress.
    pub fn unreached(&self, named: &dyn Fn(&str, &str) -> bool) -> Vec<ClassProblem> {
        let mut problems: Vec<ClassProblem> = self.unused_files().collect();
        for (class, loaded) in &self.classes {
            for function in loaded.isolate.info().functions.iter().flatten() {
                let name = &function.name;
                let is_exposed = loaded.isolate.info().exposures.contains_key(name);
                if !is_exposed && !named(class, name) && !self.is_called(name) {
                    let what = format!("no row names {class}.{name}");
                    let file = self.sources.file_of(class);
                    let fix = "name it in a row, or take it out";
                    let problem = ClassProblem::of_file(file, "class-unreached", what, fix);
                    problems.push(match &function.place {
                        Some(place) => ClassProblem { file: place.file.clone(), ..problem }
                            .at(place.line, place.column),
                        None => problem,
                    });
                }
            }
        }
        problems
    }

    fn unused_files(&self) -> impl Iterator<Item = ClassProblem> {
        let used: BTreeSet<&String> =
            self.classes.values().flat_map(|loaded| &loaded.isolate.info().files).collect();
        // A dynamic `import()` can name any file, which is known only when it runs.
        let import_later = self.sources.files().any(|(_, source)| source.imports_later());
        let files = self
            .sources
            .files()
            .filter(move |(file, _)| !import_later && !used.iter().any(|used| used == file));
        files.map(|(file, _)| {
            let what = "no row names it and no class imports it";
            let fix = "name its class in a row, or take it out of the folder";
            ClassProblem::of_file(file, "class-unreached", what, fix)
        })
    }

    /// Whether any class file accesses a member of this name.
    fn is_called(&self, function: &str) -> bool {
        let member = format!(".{function}");
        self.sources.files().any(|(_, source)| {
            source.text.match_indices(&member).any(|(at, _)| {
                let rest = source.text.get(at + member.len()..).unwrap_or_default();
                !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            })
        })
    }

    fn unchanged(&self, class: &str, sources: &Sources) -> Option<Loaded> {
        let loaded = self.classes.get(class)?;
        (digest(&loaded.isolate, sources) == loaded.digest).then(|| loaded.clone())
    }
}

/// Digest of the files that a class was loaded from. A dynamic `import()` can name any file, so a
/// class that uses it depends on all of them.
fn digest(isolate: &Isolate, sources: &Sources) -> Digest {
    let files = &isolate.info().files;
    let imports_later = |file: &String| sources.find(file).is_some_and(Source::imports_later);
    if files.iter().any(imports_later) {
        return sources.digest();
    }
    sources.digest_of(files.iter().map(String::as_str))
}

impl Handlers for Classes {
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing> {
        let isolate = &self.classes.get(class).ok_or(Missing::Class)?.isolate;
        let functions = isolate.info().functions.as_ref().ok_or(Missing::Singleton)?;
        let function = functions.iter().find(|function| function.name == method);
        let function = function.ok_or(Missing::Method)?;
        let name = function.name.as_str().into();
        let (isolate, sources) = (Arc::clone(isolate), self.sources.clone());
        Ok(Arc::new(Method { isolate, name, sources }))
    }

    fn exposure(&self, class: &str, method: &str) -> Exposure {
        let loaded = self.classes.get(class);
        let exposed = loaded.and_then(|loaded| loaded.isolate.info().exposures.get(method));
        exposed.copied().unwrap_or_default()
    }

    fn lineage(&self, class: &str, method: &str) -> Vec<String> {
        let loaded = self.classes.get(class);
        let functions = loaded.and_then(|loaded| loaded.isolate.info().functions.as_ref());
        let function = functions.into_iter().flatten().find(|function| function.name == method);
        let extended = function.map(|function| function.extended.as_slice()).unwrap_or_default();
        let extended = extended.iter().filter(|extended| *extended != class).cloned();
        std::iter::once(class.to_owned()).chain(extended).collect()
    }

    fn is_extended(&self, class: &str, method: Option<&str>) -> bool {
        let functions = self.classes.values().flat_map(|each| each.isolate.info().functions.iter());
        functions.flatten().any(|function| {
            method.is_none_or(|method| method == function.name)
                && function.extended.iter().any(|extended| extended == class)
        })
    }

    fn nearest(&self, class: &str, method: &str) -> Option<String> {
        let functions = self.classes.iter().flat_map(|(class, loaded)| {
            let functions = loaded.isolate.info().functions.iter().flatten();
            functions.map(move |function| format!("{class}.{}", function.name))
        });
        let known: Vec<String> = functions.collect();
        let wanted = format!("{class}.{method}");
        let classes = || nearest(class, self.sources.names());
        nearest(&wanted, known.iter().map(String::as_str)).or_else(classes).map(str::to_owned)
    }
}

impl fmt::Debug for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.classes.keys()).finish()
    }
}

/// The handler for one function of a class.
struct Method {
    isolate: Arc<Isolate>,
    name: Arc<str>,
    sources: Sources,
}

impl Handler for Method {
    fn reserve(&self) -> Result<CallPermit, HandlerError> {
        self.isolate.reserve()
    }

    fn call(
        &self,
        request: IncomingMessage,
        session: Session,
        permit: CallPermit,
    ) -> HandlerFuture {
        Box::pin(Arc::clone(&self.isolate).call(Arc::clone(&self.name), request, session, permit))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.isolate.timeout())
    }

    fn excerpt(&self) -> Option<String> {
        let functions = self.isolate.info().functions.iter().flatten();
        let function = functions.into_iter().find(|function| function.name == *self.name)?;
        function.place.as_ref()?.excerpt(&self.sources)
    }
}
