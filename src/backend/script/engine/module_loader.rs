//! The module loader: modules come from the snapshot of the classes folder or from callgate itself.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use rquickjs::{
    Ctx, Exception, Module,
    loader::{ImportAttributes, Loader, Resolver},
    module::Declared,
};

use crate::backend::script::prelude;
use crate::backend::script::source::Sources;
use crate::backend::script::source::problem::ClassProblem;

/// Resolves and loads the modules of one isolate, including those of a dynamic `import()`.
#[derive(Clone)]
pub(crate) struct ModuleLoader {
    sources: Sources,
    loaded: Rc<RefCell<BTreeSet<String>>>,
    refused: Rc<RefCell<Option<RefusedImport>>>,
}

/// An import that was refused.
pub(crate) struct RefusedImport {
    /// The importing file.
    pub(crate) by: String,
    /// The module specifier.
    pub(crate) specifier: String,
    pub(crate) why: String,
}

impl RefusedImport {
    /// Converts it into a problem at the location of the import.
    pub(crate) fn problem(&self, sources: &Sources) -> ClassProblem {
        let what = format!("cannot import {:?}: {}", self.specifier, self.why);
        let fix = "import \"callgate\", or a file of the classes folder by its path from here";
        let problem = ClassProblem::of_file(&self.by, "class-import", what, fix);
        let text = sources.find(&self.by).map(|source| &source.text);
        match text.and_then(|text| place_of(text, &self.specifier)) {
            Some((line, column)) => problem.at(line, column),
            None => problem,
        }
    }
}

/// Line and column, counted from 1, of the first quoted `specifier` in a text.
fn place_of(text: &str, specifier: &str) -> Option<(u32, u32)> {
    let quoted = ['"', '\''].map(|mark| format!("{mark}{specifier}{mark}"));
    text.lines().zip(1..).find_map(|(line, number)| {
        let at = quoted.iter().find_map(|quoted| line.find(quoted.as_str()))?;
        let before = line.get(..at)?.chars().count();
        Some((number, u32::try_from(before + 1).ok()?))
    })
}

impl ModuleLoader {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources, loaded: Rc::default(), refused: Rc::default() }
    }

    /// The class files.
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Records a file that is loaded other than by an import.
    pub(crate) fn begin(&self, file: &str) {
        self.loaded.borrow_mut().insert(file.to_owned());
    }

    /// The class files loaded so far.
    pub(crate) fn loaded(&self) -> BTreeSet<String> {
        self.loaded.borrow().clone()
    }

    /// Takes the last refused import.
    pub(crate) fn take_refused(&self) -> Option<RefusedImport> {
        self.refused.take()
    }

    /// Resolves `specifier` in the file `by`.
    fn find(&self, by: &str, specifier: &str) -> Result<String, String> {
        // The full module name is compared, because the classes folder may be named `callgate`,
        // too.
        let is_ours = prelude::module(by).is_some();
        if specifier == "callgate" || (is_ours && specifier.starts_with(prelude::OWN)) {
            return Ok(specifier.to_owned());
        }
        if !specifier.starts_with("./") && !specifier.starts_with("../") {
            let other = "only \"callgate\" and files of the classes folder can be imported";
            return Err(format!("{other}; a file is named from where it stands, \"./other.js\""));
        }
        let file = joined(by, specifier)
            .filter(|file| self.sources.is_inside(file))
            .ok_or("it leads out of the classes folder")?;
        if self.sources.find(&file).is_some() {
            return Ok(file);
        }
        if self.sources.find(&format!("{file}.js")).is_some() {
            return Err(format!("there is no {file}; write \"{specifier}.js\""));
        }
        let kind = std::path::Path::new(&file).extension().and_then(|kind| kind.to_str());
        match kind {
            Some(kind) if kind != "js" => Err(format!(
                "only modules can be imported, and a .{kind} file is none; write what is in it \
                 behind `export default` into a .js file"
            )),
            _ => Err(format!("there is no {file}")),
        }
    }
}

/// Joins `specifier` to the folder of the file `by`. `None` if it climbs above the root.
fn joined(by: &str, specifier: &str) -> Option<String> {
    let mut parts: Vec<&str> = by.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Resolver for ModuleLoader {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        let found = match attributes {
            Some(_) => Err("only modules can be imported, without attributes".to_owned()),
            None => self.find(base, name),
        };
        found.map_err(|why| {
            let text = format!("{base} cannot import {name:?}: {why}");
            let (by, specifier) = (base.to_owned(), name.to_owned());
            self.refused.replace(Some(RefusedImport { by, specifier, why }));
            Exception::throw_reference(ctx, &text)
        })
    }
}

impl Loader for ModuleLoader {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<Module<'js, Declared>> {
        if let Some(text) = prelude::module(name) {
            return Module::declare(ctx.clone(), name, text);
        }
        let Some(source) = self.sources.find(name) else {
            return Err(Exception::throw_reference(ctx, &format!("there is no {name}")));
        };
        self.loaded.borrow_mut().insert(name.to_owned());
        Module::declare(ctx.clone(), name, source.text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_name_opens_callgates_own_modules() {
        for name in ["callgate", "main.js", "classes.js.d"] {
            let parent = tempfile::tempdir().expect("a folder");
            let folder = parent.path().join(name);
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::write(folder.join("Mail.js"), "1").expect("a file");
            let loader = ModuleLoader::new(Sources::read(&folder).expect("sources"));
            let mail = format!("{name}/Mail.js");
            assert_eq!(loader.find(&mail, "./Mail.js"), Ok(mail.clone()));
            let refused = loader.find(&mail, "callgate/host").expect_err("refused");
            assert!(refused.starts_with("only \"callgate\""), "{refused}");
            let refused = loader.find(&mail, "../other/Mail.js").expect_err("refused");
            assert_eq!(refused, "it leads out of the classes folder");
        }
    }
}
