//! Files that other users of the machine could change or read. `safety = "strict"` refuses them
//! (docs/SECURITY.md G47).
//!
//! A user who can write a table, a class or the store controls callgate, and so does one who can
//! replace a folder above one of them. Keys must not even be readable.

use crate::base::setting::{Origin, Raw};
use std::path::{Path, PathBuf};

use crate::base::secret::SecretText;
use crate::settings::checks::private_file;
use crate::settings::problem::{Flaw, Problem};
use crate::settings::{Settings, keys};

/// Maximum number of class files and folders that are checked. The loader refuses more.
const ENTRIES_MAX: usize = 20_000;

/// Every file that other users could change, and keys that could be guessed.
pub(crate) fn check(settings: &Settings, raw: &Raw) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, path) in secrets(settings) {
        let mut flaws = closed(&path, OTHERS_READ);
        flaws.extend(parents(&path));
        found.extend(flaws.into_iter().map(|flaw| (name, flaw)));
    }
    for (name, path) in programs(settings, raw) {
        let mut flaws = written_by_strangers(&path);
        flaws.extend(parents(&path));
        found.extend(flaws.into_iter().map(|flaw| (name, flaw)));
    }
    found.extend(guessable(settings));
    let mut problems: Vec<Problem> =
        found.into_iter().map(|(name, flaw)| Problem::of(name, &raw.origin(name), flaw)).collect();
    // One folder above several of them is reported once.
    let mut seen: Vec<String> = Vec::new();
    problems.retain(|problem| {
        let text = problem.fix.clone();
        let is_new = problem.code != "open-folder" || !seen.contains(&text);
        seen.push(text);
        is_new
    });
    problems
}

/// The permission bits of all users but the owner, who may neither read nor write a key.
const OTHERS_READ: u32 = 0o077;
/// The write permission of all users.
const ANYBODY_WRITES: u32 = 0o002;
/// The sticky bit of a folder in which users cannot replace each other's files, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// The files of secrets that are not checked elsewhere.
fn secrets(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let made = settings.key_path().filter(|_| settings.keys_file.is_none());
    made.map(|path| ("store", path)).into_iter().collect()
}

/// The files and folders that control callgate.
fn programs(settings: &Settings, raw: &Raw) -> Vec<(&'static str, PathBuf)> {
    let mut all = vec![("handlers", settings.handlers.clone())];
    all.extend(settings.roles_file().map(|path| ("roles", path)));
    all.extend(settings.confirm_page.clone().map(|path| ("confirm_page", path)));
    if let Some(path) = settings_file(raw) {
        all.push(("safety", path));
    }
    let secrets = [
        ("keys_file", &settings.keys_file),
        ("store_password_file", &settings.store_password_file),
        ("tls.key", &settings.tls.key),
        ("tls.cert", &settings.tls.cert),
    ];
    all.extend(secrets.into_iter().filter_map(|(name, path)| Some((name, path.clone()?))));
    let classes = settings.classes_folder();
    all.extend(inside(&classes).into_iter().map(|path| ("classes", path)));
    if let crate::settings::StoreUrl::Embedded(folder) = &settings.store {
        all.extend(inside(folder).into_iter().map(|path| ("store", path)));
    }
    all
}

/// The settings file, if there is one.
fn settings_file(raw: &Raw) -> Option<PathBuf> {
    raw.origins().find_map(|origin| match origin {
        Origin::File { file, .. } => Some(PathBuf::from(&**file)),
        _ => None,
    })
}

/// A folder and everything in it.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(path) = all.get(at).cloned() {
        at += 1;
        // A link is judged by its target, and not descended into, because links may form cycles.
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir()) || at == 1;
        let entries =
            std::fs::read_dir(&path).into_iter().filter(|_| is_folder).flatten().flatten();
        for entry in entries.take(ENTRIES_MAX.saturating_sub(all.len())) {
            all.push(entry.path());
        }
    }
    all
}

#[cfg(unix)]
fn mode_and_owner(path: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).ok()?;
    Some((found.mode(), found.uid()))
}

/// On other systems access lists decide, which the standard library does not expose.
#[cfg(not(unix))]
fn mode_and_owner(_: &Path) -> Option<(u32, u32)> {
    None
}

/// Why other users can access a file of secrets.
fn closed(path: &Path, who: u32) -> Vec<Flaw> {
    let Some((mode, owner)) = mode_and_owner(path) else { return Vec::new() };
    let shown = path.display();
    if mode & who != 0 {
        let what = format!("keeps its keys in {shown}, which other users of this machine can use");
        return vec![Flaw::error("open-key-file", what, format!("chmod 600 {shown}"))];
    }
    foreign(path, owner)
}

/// Why users other than the owner and root can write a file or folder.
fn written_by_strangers(path: &Path) -> Vec<Flaw> {
    let Some((mode, owner)) = mode_and_owner(path) else { return Vec::new() };
    let shown = path.display();
    if mode & ANYBODY_WRITES != 0 {
        let what = format!("leads to {shown}, which every user of this machine can write");
        return vec![Flaw::error("open-file", what, format!("chmod o-w {shown}"))];
    }
    foreign(path, owner)
}

fn foreign(path: &Path, owner: u32) -> Vec<Flaw> {
    if private_file::is_ours(owner) {
        return Vec::new();
    }
    let shown = path.display();
    let what = format!("leads to {shown}, which belongs to user {owner}, who can write it");
    let fix = format!("give it to the user that callgate runs as, or to root: chown root {shown}");
    vec![Flaw::error("foreign-file", what, fix)]
}

/// Folders above a file in which every user could replace it.
fn parents(path: &Path) -> Vec<Flaw> {
    let Ok(path) = std::path::absolute(path) else { return Vec::new() };
    // If a name is a link, the folders of the name and those of the file both count.
    let real = path.canonicalize().ok();
    let all = path.ancestors().skip(1).map(Path::to_owned);
    let all = all.chain(real.iter().flat_map(|real| real.ancestors().skip(1)).map(Path::to_owned));
    let mut flaws: Vec<Flaw> = Vec::new();
    for folder in all {
        let Some((mode, _)) = mode_and_owner(&folder) else { continue };
        if mode & ANYBODY_WRITES == 0 || mode & STICKY != 0 {
            continue;
        }
        let shown = folder.display();
        let what =
            format!("lies below {shown}, in which every user of this machine can replace it");
        let flaw = Flaw::error("open-folder", what, format!("chmod o-w {shown}"));
        if !flaws.contains(&flaw) {
            flaws.push(flaw);
        }
    }
    flaws
}

/// Keys that could be guessed. Errors name a key by its index, never by its text.
fn guessable(settings: &Settings) -> Vec<(&'static str, Flaw)> {
    let (name, keys): (_, Vec<SecretText>) = match settings.key_path() {
        None => ("keys", settings.keys.clone()),
        Some(path) => {
            let name = if settings.keys_file.is_some() { "keys_file" } else { "store" };
            let text = private_file::read(&path).ok();
            (name, text.map(|text| keys::keys_of(&text)).unwrap_or_default())
        }
    };
    let weak = keys.iter().zip(1..).filter_map(|(key, place)| {
        let why = keys::weakness(key)?;
        let what = format!("has a key at place {place} that {why}, so that it can be guessed");
        Some((name, Flaw::error("weak-key", what, keys::SHARE)))
    });
    weak.collect()
}
