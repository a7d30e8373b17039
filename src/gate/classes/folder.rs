//! The classes folder on disk: its files are read when they may have changed, and only its metadata
//! when they cannot have.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::runtime::Handle;

use super::loaded::LoadedClasses;
use super::stamp::Stamp;
use crate::backend::script::ClassProblem;
use crate::backend::script::Classes;
use crate::backend::script::Environment;
use crate::backend::script::Fetcher;
use crate::backend::script::Literal;
use crate::backend::script::LiteralKind;
use crate::backend::script::Sources;
use crate::backend::script::literals;
use crate::base::Digest;
use crate::base::Entropy;
use crate::base::clock::Stopwatch;
use crate::base::text::nearest::nearest;
use crate::gate::reload::file_watch::ReadMode;
use crate::http::Outbound;
use crate::settings::Safety;
use crate::settings::Settings;
use crate::table::BasePath;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Severity;
use crate::table::Survey;
use crate::table::Table;

/// For this long after a stamp was first seen, the files are read regardless of it: file times can
/// be as coarse as two seconds (FAT), so a second write may leave the same stamp. The period starts
/// when the stamp was observed here, because the clock of a file server may differ.
const YOUNG: Duration = Duration::from_secs(2);
/// A stamp is trusted for no longer than this: some user-space file systems do not maintain file
/// times.
const BELIEVED: Duration = Duration::from_secs(5);

/// A classes folder, with everything that is needed to load classes.
pub(in crate::gate) struct ClassFolder {
    path: PathBuf,
    environment: Environment,
    last: Mutex<Option<LastRead>>,
}

/// The contents of the folder at one time.
#[derive(Clone)]
pub(in crate::gate) struct FolderContents {
    sources: Result<Sources, Arc<[ClassProblem]>>,
}

/// The classes of a folder that can be loaded.
pub(in crate::gate) struct LoadableClasses {
    pub(in crate::gate) loaded: LoadedClasses,
    /// The problems of the others.
    pub(in crate::gate) problems: Vec<Problem>,
    /// How many class files there are.
    pub(in crate::gate) files: usize,
    /// The files that were left out.
    broken: BTreeSet<String>,
    /// The texts of the files that could be read.
    texts: Vec<Arc<str>>,
    /// Every file that could be read.
    sources: Sources,
}

impl LoadableClasses {
    /// Whether the file of that class was left out, or whether that is unknown.
    pub(in crate::gate) fn is_broken(&self, class: &str) -> bool {
        let file = format!("/{class}.js");
        self.broken.iter().any(|name| name.ends_with(&file))
            || self.files == 0 && !self.problems.is_empty()
    }
}

/// The last time that the files were read.
struct LastRead {
    stamp: Stamp,
    /// Started when the stamp was first seen.
    seen: Stopwatch,
    /// Started when the files were read.
    read: Stopwatch,
    /// Whether the stamp had been unchanged for long enough at that time.
    was_settled: bool,
    found: FolderContents,
}

impl ClassFolder {
    /// The folder that the settings name, and the environment of its classes: without `outbound`
    /// they cannot make requests. It must be called within a runtime, on which asynchronous
    /// operations of the classes run.
    pub(in crate::gate) fn of(
        settings: &Settings,
        outbound: Option<&Arc<Outbound>>,
        entropy: &Arc<dyn Entropy>,
    ) -> Self {
        let environment = Environment {
            limits: settings.scripts.clone(),
            fetcher: Fetcher {
                outbound: outbound.cloned(),
                hosts: settings.fetch_hosts.as_slice().into(),
                limits: settings.fetch,
            },
            entropy: Arc::clone(entropy),
            cookie_name: settings.cookie_name().into(),
            keeps_sessions: settings.sessions,
            demands_bounds: settings.safety == Safety::Strict,
            ..Environment::new(Handle::current())
        };
        Self { path: settings.classes_folder(), environment, last: Mutex::new(None) }
    }

    /// Its path.
    pub(in crate::gate) fn places(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    /// Whether a file or folder of that name exists.
    pub(in crate::gate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Every class file. A look does not read files again that cannot have changed.
    pub(in crate::gate) fn read(&self, how: ReadMode) -> FolderContents {
        // Taken first: a change during the read then results in another stamp next time.
        let stamp = Stamp::of(&self.path);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|last| last.stamp.is_same_as(stamp));
        if let Some(known) = known.filter(|known| how == ReadMode::Settled && known.is_believed()) {
            return known.found.clone();
        }
        let seen = known.map_or_else(Stopwatch::start, |known| known.seen);
        let was_settled = seen.elapsed() >= YOUNG;
        let found = FolderContents { sources: Sources::read(&self.path).map_err(Into::into) };
        let look = LastRead { stamp, seen, read: Stopwatch::start(), was_settled, found };
        last.insert(look).found.clone()
    }

    /// Compiles every file, and creates the singletons of the classes in `wanted`.
    pub(in crate::gate) fn load(
        &self,
        found: FolderContents,
        wanted: &BTreeSet<String>,
        before: Option<&LoadedClasses>,
    ) -> Result<LoadedClasses, Vec<Problem>> {
        let problems = |problems: &[ClassProblem]| {
            problems.iter().map(|problem| self.problem(problem)).collect::<Vec<_>>()
        };
        let sources = found.sources.map_err(|unread| problems(&unread))?;
        let before = before.map(LoadedClasses::classes);
        let wanted = &with_exposing(wanted, &sources);
        let classes = Classes::load(&sources, wanted, &self.environment, before);
        classes.map(LoadedClasses::new).map_err(|refused| problems(&refused))
    }

    /// Loads as much as possible: broken files are left out, and so are files that import them.
    pub(in crate::gate) fn load_sound(&self, wanted: &BTreeSet<String>) -> LoadableClasses {
        let (all, mut problems) = Sources::read_valid(&self.path);
        let files = all.len();
        let mut broken: BTreeSet<String> = problems.iter().map(|it| it.file.clone()).collect();
        let mut sources = all.clone();
        let mut is_first = true;
        let wanted = &with_exposing(wanted, &all);
        let classes = loop {
            let found = match Classes::load(&sources, wanted, &self.environment, None) {
                Ok(classes) => break Some(classes),
                Err(found) => found,
            };
            let rest = sources.without(found.iter().map(|problem| &*problem.file));
            if rest.len() == sources.len() {
                problems.extend(found);
                break None;
            }
            broken.extend(found.iter().map(|problem| problem.file.clone()));
            // Later errors report the absence of a file that was left out.
            if is_first {
                problems.extend(found);
            }
            (sources, is_first) = (rest, false);
        };
        let texts = all.texts_of(&broken).chain(problems.iter().map(|it| it.file.clone().into()));
        let texts = texts.collect();
        let classes = classes.unwrap_or_default();
        let problems = problems.iter().map(|problem| self.problem(problem)).collect();
        LoadableClasses {
            loaded: LoadedClasses::new(classes),
            problems,
            files,
            broken,
            texts,
            sources: all,
        }
    }

    /// Warnings about class files and functions that are neither `named` by a row nor needed by
    /// another class, which may be one that could not be loaded.
    pub(in crate::gate) fn unreached(
        &self,
        sound: &LoadableClasses,
        named: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        let says = |word: &str| sound.texts.iter().any(|text| text.contains(word));
        let found = self.unreached_of(&sound.loaded, &|class, function| {
            named(class, function) || says(function)
        });
        let is_imported = |problem: &Problem| {
            let stem = Path::new(&problem.file).file_stem().unwrap_or_default().to_string_lossy();
            says(&stem)
        };
        found.into_iter().filter(|problem| !is_imported(problem)).collect()
    }

    /// Warnings about links and tokens that class files mint from literals and no row of the table
    /// accepts.
    pub(in crate::gate) fn unanswered(
        &self,
        sound: &LoadableClasses,
        survey: &Survey,
    ) -> Vec<Problem> {
        // A broken row may be the one that is meant.
        if !survey.left_out.is_empty() {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for (file, text) in sound.sources.texts() {
            for literal in literals(text) {
                let Some((code, what, fix)) = unanswered(&literal, &survey.table) else { continue };
                let before = text.get(..literal.at).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
                let (file, line, column) = (file.to_owned(), number(line), number(column));
                let problem = ClassProblem { file, line, column, code, what, fix };
                problems.push(Problem { severity: Severity::Warning, ..self.problem(&problem) });
            }
        }
        problems
    }

    /// The same for classes without errors.
    pub(in crate::gate) fn unreached_of(
        &self,
        loaded: &LoadedClasses,
        named: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Problem> {
        let unreached = loaded.classes().unreached(named);
        let warning = |problem: &ClassProblem| Problem {
            severity: Severity::Warning,
            ..self.problem(problem)
        };
        unreached.iter().map(warning).collect()
    }

    /// A problem of a class file as a general one, with the folder's name as the settings give it.
    fn problem(&self, problem: &ClassProblem) -> Problem {
        let ClassProblem { file, line, column, code, what, fix } = problem.clone();
        let inside = Path::new(&file).components().skip(1).collect::<PathBuf>();
        Problem {
            file: self.path.join(inside).display().to_string(),
            // A problem without a position is shown at the beginning of the file.
            line: line.max(1),
            column: column.max(1),
            row: None,
            severity: Severity::Error,
            code,
            what,
            fix,
            others: Vec::new(),
            witness: None,
            span: None,
        }
    }
}

impl FolderContents {
    /// A digest of the contents, to detect changes.
    pub(in crate::gate) fn digest(&self) -> Digest {
        match &self.sources {
            Ok(sources) => sources.digest(),
            Err(unread) => {
                let lines: Vec<String> = unread.iter().map(ToString::to_string).collect();
                Digest::of_content("no classes", lines.join("\n").as_bytes())
            }
        }
    }
}

/// The classes that rows name, and those whose files let functions be called without a row.
fn with_exposing(named: &BTreeSet<String>, sources: &Sources) -> BTreeSet<String> {
    named.iter().cloned().chain(sources.exposing().map(str::to_owned)).collect()
}

/// Why no request can redeem what a class mints from a literal.
fn unanswered(literal: &Literal, table: &Table) -> Option<(&'static str, String, String)> {
    let text = &literal.text;
    if literal.kind == LiteralKind::Handler {
        let is_action = text.starts_with("Actions.");
        if is_action || table.rows().iter().any(|row| row.name() == text) {
            return None;
        }
        let fix = match nearest(text, table.rows().iter().map(Row::name)) {
            Some(name) => format!("write {name:?} if that is meant, or add its row"),
            None => "name what answers one of the rows, such as \"Mail.paid\"".to_owned(),
        };
        let what = format!("a token for {text:?}, which answers no row: nobody can redeem it");
        return Some(("unknown-handler", what, fix));
    }
    let raw = text.split(['?', '#']).next().unwrap_or_default();
    // A placeholder that a platform fills in.
    if raw.contains(['{', '}']) || !raw.is_ascii() || raw.contains(' ') {
        return None;
    }
    let fix = "correct the path, or add a row for it".to_owned();
    match CanonicalPath::of(raw, &BasePath::none()) {
        Err(bad) => Some(("bad-link", format!("a link to {text:?}: {bad}"), fix)),
        Ok(path) if path.is_reserved() => None,
        Ok(path) => match table.find("GET", &path) {
            Lookup::NoSuchPath => {
                Some(("unanswered-link", format!("no row answers the link {text:?}"), fix))
            }
            _ => None,
        },
    }
}

impl LastRead {
    fn is_believed(&self) -> bool {
        self.was_settled && self.read.elapsed() < BELIEVED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Budgets;
    use crate::backend::FetchLimits;
    use crate::base::secret::entropy::OsEntropy;

    #[tokio::test]
    async fn every_budget_of_the_settings_reaches_the_classes() {
        let scripts = Budgets {
            cpu: Duration::from_millis(11),
            wall: Duration::from_millis(12),
            heap_bytes: 13,
            stack_bytes: 14,
            output_bytes: 15,
            console_bytes: 16,
            calls: 19,
        };
        let fetch = FetchLimits { timeout: Duration::from_millis(17), body_bytes: 18 };
        let settings = Settings { scripts, fetch, ..Settings::default() };
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy::new());
        let Environment { limits, fetcher, .. } =
            ClassFolder::of(&settings, None, &entropy).environment;
        assert_eq!((limits.cpu.as_millis(), limits.wall.as_millis()), (11, 12));
        assert_eq!((limits.heap_bytes, limits.stack_bytes, limits.output_bytes), (13, 14, 15));
        assert_eq!((limits.console_bytes, limits.calls), (16, 19));
        assert_eq!(fetcher.limits, fetch);
    }

    #[tokio::test]
    async fn strict_refuses_an_engine_that_looks_at_no_budget_inside_of_its_built_ins() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("Mail.js"), "export default class {}").unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy::new());
        let wanted = BTreeSet::from(["Mail".to_owned()]);
        for (safety, is_bounded, is_refused) in [
            (Safety::Strict, true, false),
            (Safety::Normal, false, false),
            (Safety::Strict, false, true),
        ] {
            let classes = Some(place.path().to_owned());
            let settings = Settings { classes, safety, ..Settings::default() };
            let mut folder = ClassFolder::of(&settings, None, &entropy);
            folder.environment.is_bounded &= is_bounded;
            let refused = folder.load(folder.read(ReadMode::Settled), &wanted, None).err();
            let codes: Vec<_> = refused.iter().flatten().map(|problem| problem.code).collect();
            let expected: &[&str] = if is_refused { &["engine-unbounded"] } else { &[] };
            assert_eq!(codes, expected, "{safety:?}");
            assert_eq!(folder.load_sound(&wanted).problems.len(), expected.len());
        }
    }

    /// A folder with one file, of which an earlier look has found none under the same stamp.
    fn overtaken(was_settled: bool) -> (tempfile::TempDir, ClassFolder) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("Mail.js"), "export default class {}").unwrap();
        let settings = Settings { classes: Some(place.path().to_owned()), ..Settings::default() };
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy::new());
        let folder = ClassFolder::of(&settings, None, &entropy);
        let (seen, read) = (Stopwatch::start(), Stopwatch::start());
        let found = FolderContents { sources: Ok(Sources::default()) };
        let look = LastRead { stamp: Stamp::of(place.path()), seen, read, was_settled, found };
        *folder.last.lock().unwrap() = Some(look);
        (place, folder)
    }

    #[tokio::test]
    async fn a_stamp_is_not_believed_while_it_is_young() {
        let (_place, folder) = overtaken(false);
        assert_eq!(
            folder.read(ReadMode::Settled).sources.unwrap().len(),
            1,
            "two writes may share a file time"
        );
    }

    #[tokio::test]
    async fn a_stamp_that_stayed_is_believed_by_who_only_looks() {
        let (_place, folder) = overtaken(true);
        assert_eq!(
            folder.read(ReadMode::Settled).sources.unwrap().len(),
            0,
            "the files were read again for nothing"
        );
        assert_eq!(
            folder.read(ReadMode::Now).sources.unwrap().len(),
            1,
            "whoever asks for a reload gets one"
        );
    }
}
