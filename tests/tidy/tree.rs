//! The files of the project, read from disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::source::Breach;
use super::source::Source;
use super::source::words;

/// What was made here or is other people's, not written here. In a second work tree of git, `.git`
/// is a file.
const MADE: [&str; 6] = ["target", "data", "node_modules", "package-lock.json", ".git", "vendor"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below the root with its path, in the order of the paths.
pub(crate) fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "the walk missed src/lib.rs");
    files.sort();
    files
}

/// Every file of Rust, in the order of the paths.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let is_rust = |path: &str| Path::new(path).extension().is_some_and(|end| end == "rs");
        let texts = texts().into_iter().filter(|(path, _)| is_rust(path));
        texts.map(|(path, text)| Source::new(&path, &text)).collect()
    });
    &SOURCES
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if MADE.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap_or_else(|e| panic!("{path}: {e}"));
            files.extend(String::from_utf8(bytes).ok().map(|text| (path, text)));
        }
    }
}

/// Files below `src` that no `mod` leads to, so that nobody compiles them.
pub(crate) fn strangers(sources: &[Source]) -> Vec<Breach> {
    let mut known = BTreeSet::new();
    let mut open = vec!["src/lib.rs".to_owned(), "src/main.rs".to_owned()];
    while let Some(path) = open.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else { continue };
        if known.insert(path) {
            open.extend(children(source));
        }
    }
    sources
        .iter()
        .filter(|source| source.path.starts_with("src/") && !known.contains(&source.path))
        .map(|source| source.breach(0, "no `mod` leads here; declare it or delete it"))
        .collect()
}

/// The files in which the `mod name;` of a file may be found.
fn children(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = ["/mod", "/lib", "/main"].iter().find_map(|end| stem.strip_suffix(end));
    let folder = folder.unwrap_or(stem);
    let declared = words(&source.code, "mod").filter_map(|at| {
        let rest = source.code.get(at + "mod".len()..)?;
        let (name, _) = rest.split_once(';')?;
        let name = name.trim();
        (!name.is_empty() && name.chars().all(super::source::is_word)).then_some(name)
    });
    declared
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}
