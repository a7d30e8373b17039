//! The classes of one generation: what rows find, each in an isolate of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::script::bounded;
use crate::backend::script::compiled;
use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::Isolate;
use crate::backend::script::isolate::Starting;
use crate::backend::script::problem::ClassProblem;
use crate::backend::script::sources::Source;
use crate::backend::script::sources::Sources;
use crate::base::Digest;
use crate::base::nearest::nearest;
use crate::http::Answering;
use crate::http::Handler;
use crate::http::Handlers;
use crate::http::IncomingMessage;
use crate::http::Missing;
use crate::http::Session;

/// Class files that were loaded together, by class; immutable, and swapped whole.
#[derive(Default)]
pub struct Classes {
    classes: BTreeMap<String, Loaded>,
    sources: Sources,
}

/// One class of a generation.
#[derive(Clone)]
struct Loaded {
    isolate: Arc<Isolate>,
    /// Of everything it was loaded from: while it stays, so does the isolate.
    digest: Digest,
}

impl Classes {
    /// Loads the classes that are `wanted`; a class without a file is left to the rows that name
    /// it. One whose files are those of `before` keeps its isolate, and so what is on its `this`.
    pub fn load(
        sources: &Sources,
        wanted: &BTreeSet<String>,
        environment: &Environment,
        before: Option<&Self>,
    ) -> Result<Self, Vec<ClassProblem>> {
        if !environment.is_bounded && !sources.is_empty() {
            if environment.demands_bounds {
                return Err(vec![bounded::problem(sources.folder())]);
            }
            bounded::warn();
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

    /// What no request can reach: files that no class which rows name is made of, and functions
    /// that are neither `named` by a row nor called from any class file. Only a warning: a file
    /// may be for later.
    pub fn unreached(&self, named: &dyn Fn(&str, &str) -> bool) -> Vec<ClassProblem> {
        let mut problems: Vec<ClassProblem> = self.files_for_nobody().collect();
        for (class, loaded) in &self.classes {
            for function in loaded.isolate.facts().functions.iter().flatten() {
                let name = &function.name;
                if !named(class, name) && !self.is_called(name) {
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

    fn files_for_nobody(&self) -> impl Iterator<Item = ClassProblem> {
        let used: BTreeSet<&String> =
            self.classes.values().flat_map(|loaded| &loaded.isolate.facts().files).collect();
        // Which files an `import()` wants shows only when it runs.
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

    /// Whether any class file speaks of a member of this name.
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

/// Tells apart what a class was loaded from. Which files an `import()` may want shows only when it
/// runs, so a class that says the word depends on all.
fn digest(isolate: &Isolate, sources: &Sources) -> Digest {
    let files = &isolate.facts().files;
    let imports_later = |file: &String| sources.find(file).is_some_and(Source::imports_later);
    if files.iter().any(imports_later) {
        return sources.digest();
    }
    sources.digest_of(files.iter().map(String::as_str))
}

impl Handlers for Classes {
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing> {
        let isolate = &self.classes.get(class).ok_or(Missing::Class)?.isolate;
        let functions = isolate.facts().functions.as_ref().ok_or(Missing::Singleton)?;
        let function = functions.iter().find(|function| function.name == method);
        let function = function.ok_or(Missing::Method)?;
        let name = function.name.as_str().into();
        let (isolate, sources) = (Arc::clone(isolate), self.sources.clone());
        Ok(Arc::new(Method { isolate, name, sources }))
    }

    fn nearest(&self, class: &str, method: &str) -> Option<String> {
        let functions = self.classes.iter().flat_map(|(class, loaded)| {
            let functions = loaded.isolate.facts().functions.iter().flatten();
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

/// One function of a class.
struct Method {
    isolate: Arc<Isolate>,
    name: Arc<str>,
    sources: Sources,
}

impl Handler for Method {
    fn call(&self, request: IncomingMessage, session: Session) -> Answering {
        Box::pin(Arc::clone(&self.isolate).call(Arc::clone(&self.name), request, session))
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.isolate.patience())
    }

    fn excerpt(&self) -> Option<String> {
        let functions = self.isolate.facts().functions.iter().flatten();
        let function = functions.into_iter().find(|function| function.name == *self.name)?;
        function.place.as_ref()?.excerpt(&self.sources)
    }
}
