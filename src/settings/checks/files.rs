//! Checks that the files in the settings exist, and that other users cannot access secret ones.

use crate::base::setting::{Origin, Raw};
use std::path::Path;

use crate::http::confirm::BadPage;
use crate::http::confirm::Template;

use crate::settings::checks::strangers;
use crate::settings::problem::{Flaw, Problem};
use crate::settings::{Safety, Settings};

/// Every problem on disk. The table is not checked here, because it reports problems of its own.
pub(crate) fn check(settings: &Settings, raw: &Raw) -> Vec<Problem> {
    let mut problems = confirm_page(settings, raw);
    let named = [
        ("roles", &settings.roles),
        ("store_password_file", &settings.store_password_file),
        ("keys_file", &settings.keys_file),
        ("tls.cert", &settings.tls.cert),
        ("tls.key", &settings.tls.key),
    ];
    for (name, path) in named {
        if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
            let what = format!("is {}, which is not a file", path.display());
            let fix = "name one that is there, or leave it out";
            let flaw = Flaw::error("missing-file", what, fix);
            problems.push(Problem::of(name, &raw.origin(name), flaw));
        }
    }
    let settings_file = match raw.origin("keys") {
        Origin::File { file, .. } if !settings.keys.is_empty() => Some(file),
        _ => None,
    };
    let keys_file = settings.keys_file.as_deref().map(|path| ("keys_file", path));
    let inline = settings_file.as_deref().map(|file| ("keys", Path::new(file)));
    let password = settings.store_password_file.as_deref();
    let password = password.map(|path| ("store_password_file", path));
    let url_file = match raw.origin("store") {
        Origin::File { file, .. } if settings.store.has_password() => Some(file),
        _ => None,
    };
    let url = url_file.as_deref().map(|file| ("store", Path::new(file)));
    let private = keys_file.into_iter().chain(inline).chain(password).chain(url);
    let private = private.map(|(name, path)| (name, path, OTHERS));
    let tls_key = settings.tls.key.as_deref().map(|path| ("tls.key", path, STRANGERS));
    for (name, path, who) in private.chain(tls_key) {
        if is_open(path, who) {
            let flaw = open_to_others(path, settings.safety);
            problems.push(Problem::of(name, &raw.origin(name), flaw));
        }
    }
    if settings.safety == Safety::Strict {
        problems.extend(strangers::check(settings, raw));
    }
    problems
}

/// Every flaw of the confirmation page.
fn confirm_page(settings: &Settings, raw: &Raw) -> Vec<Problem> {
    let Some(path) = &settings.confirm_page else { return Vec::new() };
    let flaws = match std::fs::read_to_string(path) {
        Err(error) => {
            let what = format!("is {}, which cannot be read: {error}", path.display());
            let fix = "name a file of UTF-8 text that is there, or leave it out";
            vec![Flaw::error("missing-file", what, fix)]
        }
        Ok(text) => {
            let flaw = |bad: BadPage| {
                let line = bad.line.map_or(String::new(), |line| format!(":{line}"));
                let what = format!("is {}{line}, where {}", path.display(), bad.what);
                Flaw::error("bad-page", what, bad.fix)
            };
            Template::read(&text).err().into_iter().flatten().map(flaw).collect()
        }
    };
    let origin = raw.origin("confirm_page");
    flaws.into_iter().map(|flaw| Problem::of("confirm_page", &origin, flaw)).collect()
}

/// The permission bits of all users but the owner.
const OTHERS: u32 = 0o077;
/// The permission bits of all users but the owner and the group, because certificates are often
/// shared through a group (docs/SECURITY.md D.3).
const STRANGERS: u32 = 0o007;

/// A user who can read the keys can make a cookie for any session, or impersonate this server. A
/// user who can read the password of the store can read and write every session. `strict` refuses
/// such a file (docs/SECURITY.md G47). Otherwise it is a warning, because a container's secrets
/// are often mounted that way and the container has no other users.
fn open_to_others(path: &Path, safety: Safety) -> Flaw {
    let what = format!("is in {}, which other users of this machine can read", path.display());
    let fix = format!("chmod 600 {}", path.display());
    match safety {
        Safety::Normal => Flaw::warning("open-key-file", what, fix),
        Safety::Strict => Flaw::error("open-key-file", what, fix),
    }
}

#[cfg(unix)]
fn is_open(path: &Path, who: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & who != 0)
}

/// On other systems access lists decide, which the standard library does not expose.
#[cfg(not(unix))]
fn is_open(_: &Path, _: u32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::settings::Tls;
    use crate::table::Severity;
    use std::os::unix::fs::PermissionsExt;

    fn problems(settings: &Settings) -> Vec<(Severity, &'static str)> {
        let found = check(settings, &Raw::default());
        found.iter().map(|problem| (problem.severity, problem.code)).collect()
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let settings = Settings {
            roles: Some("/nowhere/roles.json".into()),
            keys_file: Some("/nowhere/keys".into()),
            ..Settings::default()
        };
        let missing = (Severity::Error, "missing-file");
        assert_eq!(problems(&settings), [missing, missing]);
        assert_eq!(problems(&Settings::default()), []);
    }

    #[test]
    fn every_flaw_of_the_page_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let settings = Settings { confirm_page: Some(path.clone()), ..Settings::default() };
        assert_eq!(problems(&settings), [(Severity::Error, "missing-file")]);
        std::fs::write(&path, "{{text}}\n{{fomr}}").unwrap();
        let found = check(&settings, &Raw::default());
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        let file = path.display();
        assert_eq!(
            lines,
            [
                format!(
                    "error: confirm_page is {file}:2, where nothing fills \"fomr\"; did you mean \
                     {{{{form}}}}?"
                ),
                format!(
                    "error: confirm_page is {file}, where {{{{form}}}} stands in it 0 times; write it \
                     exactly once"
                ),
            ]
        );
        std::fs::write(&path, "{{text}}\n{{form}}").unwrap();
        assert_eq!(problems(&settings), []);
    }

    #[test]
    fn keys_that_others_can_read_are_refused_in_strict() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "x").unwrap();
        let chmod = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let settings = Settings { keys_file: Some(path.clone()), ..Settings::default() };
        let strict = Settings { safety: Safety::Strict, ..settings.clone() };
        chmod(0o644);
        assert_eq!(problems(&settings), [(Severity::Warning, "open-key-file")]);
        assert_eq!(problems(&strict), [(Severity::Error, "open-key-file")]);
        chmod(0o600);
        assert_eq!(problems(&strict), []);
        let tls = Tls { key: Some(path.clone()), ..Tls::default() };
        let https = Settings { tls, keys_file: None, ..strict };
        chmod(0o644);
        assert_eq!(problems(&https), [(Severity::Error, "open-key-file")]);
        chmod(0o640);
        assert_eq!(problems(&https), [], "a group may read it");
    }
}
