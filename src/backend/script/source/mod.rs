//! A snapshot of the class files of a folder.

pub(crate) mod class_info;
pub(crate) mod compiled;
pub(crate) mod literals;
pub(crate) mod problem;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::account::AUTHENTICATION;
use crate::backend::script::source::problem::ClassProblem;
use crate::base::Digest;

/// Largest class file. A class of ten thousand lines has a third of this.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most class files of one folder.
const FILES_MAX: usize = 1_000;
/// Total size of all class files.
const FOLDER_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of folders in the classes folder.
const DEPTH_MAX: usize = 8;
/// Most directory entries that are read, whatever they are. Bounds the work when the setting names,
/// for example, the root of a file system.
const ENTRIES_MAX: usize = 20_000;

/// A snapshot of a classes folder; cheap to clone. Classes are loaded from here and never from
/// disk, so changes on disk have no effect until the next snapshot.
#[derive(Clone, Default)]
pub struct Sources {
    /// The name of the folder, which is the first segment of every file name.
    folder: Arc<str>,
    files: Arc<BTreeMap<String, Source>>,
}

/// One file.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) text: Arc<str>,
    pub(crate) digest: Digest,
}

impl Sources {
    /// Reads every `.js` file in the folder and its subfolders. A folder that does not exist is
    /// empty.
    ///
    /// Files and folders whose names start with a dot are ignored. Links that lead out of the
    /// folder are not read and are reported as problems, because they were put there on purpose.
    pub fn read(folder: &Path) -> Result<Self, Vec<ClassProblem>> {
        let (sources, problems) = Self::read_valid(folder);
        if problems.is_empty() { Ok(sources) } else { Err(problems) }
    }

    /// Like [`Sources::read`], but also returns the files that could be read when there are
    /// problems.
    pub(crate) fn read_valid(folder: &Path) -> (Self, Vec<ClassProblem>) {
        let name = folder.file_name().map_or_else(|| "classes".into(), os_text);
        let mut reading = Reading::new(folder, &name);
        match folder.canonicalize() {
            Ok(root) => reading.folder(&root, &root, &name, 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => reading.refuse(&name, format!("cannot be read: {error}")),
        }
        (Self { folder: name.into(), files: Arc::new(reading.files) }, reading.problems)
    }

    /// Returns the snapshot without some of its files.
    pub(crate) fn without<'f>(&self, left_out: impl Iterator<Item = &'f str>) -> Self {
        let mut files = (*self.files).clone();
        for file in left_out {
            files.remove(file);
        }
        Self { folder: Arc::clone(&self.folder), files: Arc::new(files) }
    }

    /// The name and text of every file.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        self.files.iter().map(|(name, source)| (name.as_str(), &source.text))
    }

    /// The texts of some files.
    pub(crate) fn texts_of(&self, files: &BTreeSet<String>) -> impl Iterator<Item = Arc<str>> {
        files.iter().filter_map(|file| self.find(file)).map(|source| Arc::clone(&source.text))
    }

    /// Creates a snapshot from pairs of a path inside the folder, such as `Mail.js`, and a text.
    #[cfg(any(test, feature = "testing"))]
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let named = |(path, text)| (format!("classes/{path}"), Source::new(text));
        Self { folder: "classes".into(), files: Arc::new(texts.into_iter().map(named).collect()) }
    }

    /// Digest of the names and texts of all files.
    pub fn digest(&self) -> Digest {
        self.digest_of(self.files.keys().map(String::as_str))
    }

    /// Whether there is no class file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The name of the folder.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The number of class files, those in subfolders included.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The names of the classes: the files directly in the folder.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let inside = |name: &'_ str| {
            let path = name.strip_prefix(&*self.folder)?.strip_prefix('/')?;
            path.strip_suffix(".js").filter(|class| !class.contains('/')).map(str::len)
        };
        self.files.keys().filter_map(move |name| {
            let length = inside(name)?;
            name.get(self.folder.len() + 1..self.folder.len() + 1 + length)
        })
    }

    /// The names of the classes that are called without a row: those whose files list such
    /// functions, and the one that checks sign-ins.
    pub(crate) fn exposing(&self) -> impl Iterator<Item = &str> {
        let exposes = |class: &&str| {
            *class == AUTHENTICATION.0
                || self.find(&self.file_of(class)).is_some_and(Source::exposes)
        };
        self.names().filter(exposes)
    }

    /// The file that defines a class.
    pub(crate) fn file_of(&self, class: &str) -> String {
        format!("{}/{class}.js", self.folder)
    }

    /// Whether a name is inside the folder.
    pub(crate) fn is_inside(&self, name: &str) -> bool {
        name.strip_prefix(&*self.folder).is_some_and(|rest| rest.starts_with('/'))
    }

    pub(crate) fn find(&self, file: &str) -> Option<&Source> {
        self.files.get(file)
    }

    /// Every file by its name, which starts with the name of the folder.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files.iter().map(|(name, source)| (name.as_str(), source))
    }

    /// Digest of some files. A file that does not exist contributes a digest of its own.
    pub(crate) fn digest_of<'f>(&self, files: impl Iterator<Item = &'f str>) -> Digest {
        let mut all = Vec::new();
        for file in files {
            all.extend((file.len() as u64).to_be_bytes());
            all.extend(file.as_bytes());
            match self.find(file) {
                Some(source) => all.extend(source.digest.bytes()),
                None => all.push(0),
            }
        }
        Digest::of_content("classes", &all)
    }
}

impl Source {
    fn new(text: &str) -> Self {
        Self { text: text.into(), digest: Digest::of_content("class", text.as_bytes()) }
    }

    /// Whether the text may list functions that can be called without a row: a conservative search,
    /// since the class itself is looked at when it is loaded.
    fn exposes(&self) -> bool {
        self.text.split("static").skip(1).any(|rest| {
            let rest = rest.trim_start_matches(|letter: char| letter.is_whitespace());
            ["exposed", "onHTTPGet", "actions"].iter().any(|list| rest.starts_with(list))
        })
    }

    /// Whether the text may contain a dynamic `import()`. This is a conservative text search:
    /// blanks and a comment may precede the bracket.
    pub(crate) fn imports_later(&self) -> bool {
        self.text.split("import").skip(1).any(|rest| rest.trim_start().starts_with(['(', '/']))
    }
}

/// Prints only the number of files, not their content.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sources({}, {} files)", self.folder, self.files.len())
    }
}

/// The state of reading a folder.
struct Reading {
    files: BTreeMap<String, Source>,
    problems: Vec<ClassProblem>,
    bytes: usize,
    entries: usize,
    shown: PathBuf,
    is_full: bool,
}

impl Reading {
    fn new(folder: &Path, name: &str) -> Self {
        let shown = folder.with_file_name(name);
        let (files, problems) = (BTreeMap::new(), Vec::new());
        Self { files, problems, bytes: 0, entries: 0, shown, is_full: false }
    }

    fn refuse(&mut self, file: &str, what: String) {
        let fix = format!("mend it, or move it out of {}", self.shown.display());
        self.problems.push(ClassProblem::of_file(file, "class-file", what, fix));
    }

    /// Reads one folder, in the order of names so that problems are always reported in the same
    /// order.
    fn folder(&mut self, root: &Path, folder: &Path, name: &str, depth: usize) {
        let mut entries =
            match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(entries) => entries,
                Err(error) => return self.refuse(name, format!("cannot be read: {error}")),
            };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entries += 1;
            if self.is_full {
                return;
            }
            if self.entries > ENTRIES_MAX {
                self.is_full = true;
                let what = format!("holds more than {ENTRIES_MAX} entries");
                return self.refuse(name, what);
            }
            let file = os_text(&entry.file_name());
            if !file.starts_with('.') {
                self.entry(root, &entry.path(), &format!("{name}/{file}"), depth);
            }
        }
    }

    fn entry(&mut self, root: &Path, path: &Path, name: &str, depth: usize) {
        let is_class = Path::new(name).extension().is_some_and(|extension| extension == "js");
        let found = match path.canonicalize().and_then(|real| Ok((fs::metadata(&real)?, real))) {
            Ok(found) => found,
            // A dangling link, or a file that was just removed.
            Err(error) if is_class => return self.refuse(name, format!("cannot be read: {error}")),
            Err(_) => return,
        };
        let (kind, real) = found;
        let is_wanted = kind.is_dir() || is_class;
        if is_wanted && !real.starts_with(root) {
            return self.refuse(name, "is a link that leads out of the classes folder".to_owned());
        }
        if kind.is_dir() {
            if depth == DEPTH_MAX {
                return self.refuse(name, format!("is nested more than {DEPTH_MAX} folders deep"));
            }
            self.folder(root, &real, name, depth + 1);
        } else if is_class {
            self.file(&real, name);
        }
    }

    fn file(&mut self, path: &Path, name: &str) {
        let text = match read(path) {
            Ok(text) => text,
            Err(what) => return self.refuse(name, what),
        };
        self.bytes += text.len();
        if self.files.len() == FILES_MAX || self.bytes > FOLDER_BYTES_MAX {
            self.is_full = true;
            let all = FOLDER_BYTES_MAX >> 20;
            let what = format!("is one file too many: {FILES_MAX} files, {all} MiB in all");
            return self.refuse(name, what);
        }
        self.files.insert(name.to_owned(), Source::new(&text));
    }
}

/// Reads a regular file that is short enough and valid UTF-8.
fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let failed = |error: io::Error| format!("cannot be read: {error}");
    // Opening a named pipe would block until there is a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is longer than {} MiB", FILE_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 after {at} bytes")
    })
}

fn os_text(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join("classes").join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        folder
    }

    fn read(folder: &tempfile::TempDir) -> Result<Sources, Vec<ClassProblem>> {
        Sources::read(&folder.path().join("classes"))
    }

    /// Expects one problem; returns its file and text.
    fn refused(folder: &tempfile::TempDir) -> (String, String) {
        let problems = read(folder).expect_err("a problem");
        assert_eq!(problems.len(), 1, "{problems:?}");
        (problems[0].file.clone(), problems[0].what.clone())
    }

    #[test]
    fn class_files_are_found_and_nothing_else_is() {
        let folder = folder(&[
            ("Mail.js", b"1"),
            ("shop.Cart.js", b"2"),
            ("lib/words.js", b"3"),
            ("README.md", b"\xff"),
            (".hidden.js", b"\xff"),
            (".git/hooks.js", b"\xff"),
        ]);
        let sources = read(&folder).expect("sources");
        assert_eq!(sources.names().collect::<Vec<_>>(), ["Mail", "shop.Cart"]);
        let files: Vec<&str> = sources.files().map(|(name, _)| name).collect();
        assert_eq!(files, ["classes/Mail.js", "classes/lib/words.js", "classes/shop.Cart.js"]);
        assert_eq!(sources.file_of("shop.Cart"), "classes/shop.Cart.js");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(&folder).expect("sources").is_empty());
    }

    #[test]
    fn any_change_of_a_file_or_a_name_changes_the_digest() {
        let digest = |files| read(&folder(files)).expect("sources").digest();
        let first = digest(&[("A.js", b"1"), ("B.js", b"2")]);
        assert_eq!(first, digest(&[("B.js", b"2"), ("A.js", b"1")]));
        assert_ne!(first, digest(&[("A.js", b"1"), ("B.js", b"3")]));
        assert_ne!(first, digest(&[("A.js", b"1"), ("C.js", b"2")]));
        assert_ne!(first, digest(&[("A.js", b"1")]));
    }

    #[test]
    fn dynamic_imports_are_detected_however_they_are_written() {
        let imports_later = |text: &str| Source::new(text).imports_later();
        for text in ["import('./a.js')", "await import\n ('./a.js')", "import/* it */('./a.js')"] {
            assert!(imports_later(text), "{text}");
        }
        for text in ["import a from './a.js'; f(a)", "import { a } from './a.js'", "f(1)"] {
            assert!(!imports_later(text), "{text}");
        }
    }

    #[test]
    fn every_file_that_cannot_be_used_is_a_problem_of_its_own() {
        let long = vec![b' '; usize::try_from(FILE_BYTES_MAX).expect("a length") + 1];
        let files: [(&str, &[u8]); 3] = [("A.js", b"fine \xff"), ("B.js", &long), ("C.js", b"1")];
        let problems = read(&folder(&files)).expect_err("problems");
        let told: Vec<String> = problems.iter().map(|problem| format!("{problem}")).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("classes/A.js: is not UTF-8 after 5 bytes; mend it"));
        assert!(told[1].starts_with("classes/B.js: is longer than 1 MiB; mend it"));
    }

    #[test]
    fn a_folder_that_is_too_deep_is_refused() {
        let deep = format!("{}A.js", "a/".repeat(DEPTH_MAX + 1));
        let (file, what) = refused(&folder(&[(&deep, b"1")]));
        assert_eq!(file, format!("classes/{}a", "a/".repeat(DEPTH_MAX)));
        assert_eq!(what, "is nested more than 8 folders deep");
        let deep = format!("{}A.js", "a/".repeat(DEPTH_MAX));
        assert!(read(&folder(&[(&deep, b"1")])).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn links_inside_the_folder_are_followed_and_links_out_of_it_refused() {
        use std::os::unix::fs::symlink;
        let folder = folder(&[("lib/words.js", b"1")]);
        let classes = folder.path().join("classes");
        symlink("lib/words.js", classes.join("Words.js")).expect("a link");
        assert_eq!(read(&folder).expect("sources").names().collect::<Vec<_>>(), ["Words"]);
        fs::write(folder.path().join("secret.js"), "1").expect("a file");
        symlink("../secret.js", classes.join("Secret.js")).expect("a link");
        let (file, what) = refused(&folder);
        assert_eq!(file, "classes/Secret.js");
        assert_eq!(what, "is a link that leads out of the classes folder");
        fs::remove_file(classes.join("Secret.js")).expect("a link");
        symlink("..", classes.join("up")).expect("a link");
        assert_eq!(refused(&folder).0, "classes/up");
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_itself_may_be_a_link() {
        let folder = folder(&[("A.js", b"1")]);
        let link = folder.path().join("current");
        std::os::unix::fs::symlink("classes", &link).expect("a link");
        let sources = Sources::read(&link).expect("sources");
        assert_eq!(sources.file_of("A"), "current/A.js");
        assert!(sources.find("current/A.js").is_some());
    }
}
