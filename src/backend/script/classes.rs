//! The classes of one generation: what rows find, each in an isolate of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::script::environment::Environment;
use crate::backend::script::facts::Facts;
use crate::backend::script::isolate::Isolate;
use crate::backend::script::isolate::Starting;
use crate::backend::script::problem::ClassProblem;
use crate::backend::script::sources::Sources;
use crate::backend::script::survey;
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
    /// All class files, wanted or not.
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
    /// Files that no such class needs are compiled only.
    pub fn load(
        sources: &Sources,
        wanted: &BTreeSet<String>,
        environment: &Environment,
        before: Option<&Self>,
    ) -> Result<Self, Vec<ClassProblem>> {
        let (mut classes, mut starting, mut problems) = (BTreeMap::new(), Vec::new(), Vec::new());
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
        let loaded = Self { classes, sources: sources.clone() };
        let compiled = survey::compile(sources, &loaded.reached(), &environment.limits);
        // A file that could not be loaded is not reached, and found wanting twice.
        let new = compiled.into_iter().filter(|problem| !problems.contains(problem));
        let new: Vec<ClassProblem> = new.collect();
        problems.extend(new);
        if problems.is_empty() { Ok(loaded) } else { Err(problems) }
    }

    /// Every file that a loaded class was made from.
    pub(super) fn reached(&self) -> BTreeSet<String> {
        self.facts().flat_map(|(_, facts)| facts.files.iter().cloned()).collect()
    }

    /// What each loaded class turned out to be.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&str, &Facts)> {
        self.classes.iter().map(|(class, loaded)| (class.as_str(), loaded.isolate.facts()))
    }

    /// All class files.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    fn unchanged(&self, class: &str, sources: &Sources) -> Option<Loaded> {
        let loaded = self.classes.get(class)?;
        (digest(&loaded.isolate, sources) == loaded.digest).then(|| loaded.clone())
    }
}

fn digest(isolate: &Isolate, sources: &Sources) -> Digest {
    sources.digest_of(isolate.facts().files.iter().map(String::as_str))
}

impl Handlers for Classes {
    fn find(&self, class: &str, method: &str) -> Result<Arc<dyn Handler>, Missing> {
        let isolate = &self.classes.get(class).ok_or(Missing::Class)?.isolate;
        let functions = isolate.facts().functions.as_ref().ok_or(Missing::Singleton)?;
        let function = functions.iter().find(|function| function.name == method);
        let function = function.ok_or(Missing::Method)?;
        let method = function.name.as_str().into();
        Ok(Arc::new(Method { isolate: Arc::clone(isolate), method }))
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
    method: Arc<str>,
}

impl Handler for Method {
    fn call(&self, request: IncomingMessage, session: Session) -> Answering {
        Box::pin(Arc::clone(&self.isolate).call(Arc::clone(&self.method), request, session))
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.isolate.patience())
    }
}
