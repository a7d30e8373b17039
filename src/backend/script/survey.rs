//! The class files that no row brings to life: whether they could be used, and whether anybody
//! would miss them.

use std::collections::BTreeSet;

use rquickjs::Context;
use rquickjs::Module;
use rquickjs::Runtime;

use crate::backend::script::classes::Classes;
use crate::backend::script::facts;
use crate::backend::script::facts::NamedFunction;
use crate::backend::script::library::Library;
use crate::backend::script::limits::Limits;
use crate::backend::script::problem::ClassProblem;
use crate::backend::script::sources::Sources;
use crate::backend::script::thrown::Thrown;

/// Functions that the language itself calls.
const CALLED_BY_THE_LANGUAGE: [&str; 4] = ["toJSON", "toLocaleString", "toString", "valueOf"];

/// What is wrong with the text of the files that are not in `reached`. They are compiled, with what
/// they import, and nothing of them is run.
pub(super) fn compile(
    sources: &Sources,
    reached: &BTreeSet<String>,
    limits: &Limits,
) -> Vec<ClassProblem> {
    let rest: Vec<&str> =
        sources.files().map(|(file, _)| file).filter(|file| !reached.contains(*file)).collect();
    if rest.is_empty() {
        return Vec::new();
    }
    let library = Library::new(sources.clone());
    let Ok(context) = bare(&library, limits) else { return Vec::new() };
    let mut problems: Vec<ClassProblem> = Vec::new();
    for file in rest {
        let text = sources.find(file).map(|source| source.text.clone()).unwrap_or_default();
        let thrown =
            context.with(|ctx| match Module::declare(ctx.clone(), file, text.as_bytes()) {
                Ok(_) => None,
                Err(_) => Some(Thrown::take(&ctx)),
            });
        let problem =
            thrown.map(|thrown| facts::problem(file, Some(thrown), None, (&library, sources)));
        // Several files may fail over one that all of them import.
        problems.extend(problem.filter(|problem| !problems.contains(problem)));
    }
    problems
}

/// An engine without anything of callgate, for texts that are compiled only.
fn bare(library: &Library, limits: &Limits) -> rquickjs::Result<Context> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(limits.heap_bytes);
    runtime.set_max_stack_size(limits.stack_bytes);
    runtime.set_loader(library.clone(), library.clone());
    Context::full(&runtime)
}

impl Classes {
    /// What could be taken away without anybody missing it: files that no row names and no class
    /// imports, and functions of classes that neither a row names nor a class file mentions.
    /// `rows` are the functions that rows name, as `Class.method`.
    ///
    /// A class of which nothing is named may still be imported, and a function may be called by a
    /// name that is put together while it runs; so this is worth a warning and no more.
    pub fn unreached(&self, rows: &BTreeSet<String>) -> Vec<ClassProblem> {
        let reached = self.reached();
        let mut unreached: Vec<ClassProblem> = self
            .sources()
            .files()
            .filter(|(file, _)| !reached.contains(*file))
            .map(|(file, _)| {
                let fix = "name its class in a row, import it, or take it away";
                ClassProblem::of_file(file, "class_unreached", "nobody uses this file", fix)
            })
            .collect();
        for (class, facts) in self.facts() {
            let functions = facts.functions.iter().flatten();
            let idle = functions.filter(|function| {
                let is_named = rows.contains(&format!("{class}.{}", function.name));
                let is_called = CALLED_BY_THE_LANGUAGE.contains(&function.name.as_str());
                !is_named && !is_called && !self.is_mentioned(&function.name, &facts.files)
            });
            unreached.extend(idle.filter_map(|function| idle_function(class, function)));
        }
        unreached.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        unreached.dedup();
        unreached
    }

    /// Whether one of the files reads a property of that name.
    fn is_mentioned(&self, name: &str, files: &BTreeSet<String>) -> bool {
        let texts = files.iter().filter_map(|file| self.sources().find(file));
        let mut texts = texts.map(|source| &*source.text);
        texts.any(|text| reads(text, name))
    }
}

/// A function of a class that nobody asks for; none if it is written in no class file.
fn idle_function(class: &str, function: &NamedFunction) -> Option<ClassProblem> {
    let place = function.place.as_ref()?;
    let what = format!("no row names \"{class}.{}\", and no class file does", function.name);
    let fix = "name it in a row, make it private with a # in front, or take it away";
    let problem = ClassProblem::of_file(&*place.file, "function_unreached", what, fix);
    Some(problem.at(place.line, place.column))
}

/// Whether a text reads a property: `.name`, `?.name` or `["name"]`, whatever it is a property of.
fn reads(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let after = text.get(at + name.len()..).unwrap_or_default();
        match before.chars().next_back() {
            Some('.') => !after.starts_with(goes_on),
            Some(mark @ ('"' | '\'' | '`')) => after.starts_with(mark),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&'static str, &'static str)], reached: &[&str]) -> Vec<String> {
        let sources = Sources::of_texts(files.iter().copied());
        let reached = reached.iter().map(|&file| file.to_owned()).collect();
        let found = compile(&sources, &reached, &Limits::default());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_nobody_uses_is_compiled_and_not_run() {
        let sound = ("Sound.js", "throw new Error(\"this is run\");");
        assert_eq!(problems(&[sound], &[]), [""; 0]);
        let broken = ("lib/Broken.js", "export default class {\n  7();\n}\n");
        let found = problems(&[sound, broken], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("classes/lib/Broken.js:2:"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_used_has_been_compiled_already() {
        assert_eq!(problems(&[("Broken.js", "{")], &["classes/Broken.js"]), [""; 0]);
    }

    #[test]
    fn an_import_of_nothing_is_found_without_running_anything() {
        let found = problems(&[("A.js", "\nimport \"./nowhere.js\";")], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("classes/A.js:2:8: cannot import"), "{found:?}");
    }

    #[test]
    fn a_property_that_is_read_is_told_from_words_that_only_look_like_it() {
        for text in ["this.send(x)", "mail?.send", "mail[\"send\"]()", "{ how: 'send' }", "x.send"]
        {
            assert!(reads(text, "send"), "{text}");
        }
        for text in ["send() {}", "this.sender", "resend()", "// send it", "\"send\n", "this.$send"]
        {
            assert!(!reads(text, "send"), "{text}");
        }
    }
}
