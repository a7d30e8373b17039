//! The keys that seal cookies: given, read from a file, or made at the first start.

use std::fmt;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::Entropy;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::session::Keyring;
use crate::session::credential::BadKey;

use super::{Settings, StoreUrl};
use crate::settings::checks::private_file;

/// What is wrong with a node that shares its store and was given no keys.
pub(super) const UNSHARED: &str =
    "is not set, and every node that shares the store must seal cookies with the same keys";
/// How to fix that.
pub(super) const SHARE: &str = "make one with \"openssl rand -hex 32\", and give it to every node in \
                                a keys_file or with CALLGATE_KEYS";

/// The file that is made in the folder of the embedded store.
const FILE_NAME: &str = "callgate.key";

impl Settings {
    /// The keys, from the first of these that exists: `keys`, `keys_file`, the file `callgate.key`
    /// in the folder of the embedded store. The last one is created, with one new key and readable
    /// by the owner only, if it does not exist yet. With `memory:` the new key exists only in the
    /// process, as the sessions do. A store that many nodes share has no folder for a key file, so
    /// all nodes must be given the same keys.
    pub(crate) fn keyring(&self, entropy: &dyn Entropy) -> Result<Keyring, KeyFault> {
        let app = self.app.as_str();
        if !self.keys.is_empty() {
            return Keyring::read(app, &self.keys).map_err(KeyFault::Given);
        }
        match (self.key_path(), &self.keys_file) {
            (None, _) if self.store.is_shared() => Err(KeyFault::Unshared),
            (None, _) => Keyring::ephemeral(app, entropy).map_err(KeyFault::NoEntropy),
            (Some(path), Some(_)) => read(app, &path),
            (Some(path), None) => {
                make(&path, entropy)?;
                read(app, &path)
            }
        }
    }

    /// The key file that [`Settings::keyring`] would create for an embedded store. If the store
    /// has sessions, it had a key file, which is lost.
    pub(crate) fn missing_key(&self) -> Option<PathBuf> {
        let path = self.key_path().filter(|path| self.keys_file.is_none() && !path.exists());
        path.filter(|_| !self.new_key)
    }

    /// The keys that [`Settings::keyring`] would find, for an operator's command; `None` where it
    /// would create one. No other user but root may be able to replace the file.
    pub(crate) fn found_keyring(&self) -> Result<Option<Keyring>, KeyFault> {
        let app = self.app.as_str();
        match self.key_path() {
            _ if !self.keys.is_empty() => {
                Keyring::read(app, &self.keys).map(Some).map_err(KeyFault::Given)
            }
            Some(path) if path.symlink_metadata().is_ok() => {
                let text = private_file::read_trusted(&path);
                let text = text.map_err(|error| KeyFault::Io(path.clone(), error))?;
                of_text(app, &path, &text).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The file that `keyring` takes its keys from; `None` when there is none.
    #[doc(hidden)]
    pub fn key_path(&self) -> Option<PathBuf> {
        match (&self.keys_file, &self.store) {
            _ if !self.keys.is_empty() => None,
            (Some(path), _) => Some(path.clone()),
            (None, StoreUrl::Embedded(folder)) => Some(folder.join(FILE_NAME)),
            (None, _) => None,
        }
    }
}

/// Why there are no usable keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyFault {
    /// A key in `keys` is invalid.
    Given(BadKey),
    /// The file cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// The file exists and has no usable key.
    Content(PathBuf, BadKey),
    /// The file is missing, and a store exists whose cookies were sealed with its key.
    Lost(PathBuf),
    /// The store is shared by many nodes, and this one was given no keys.
    Unshared,
    /// The operating system gave no randomness for a new key.
    NoEntropy(NoEntropy),
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(error) => write!(f, "keys: {error}"),
            Self::Io(path, error) => {
                write!(f, "key file {}: {error}; see that callgate may use it", path.display())
            }
            Self::Content(path, error) => write!(f, "key file {}: {error}", path.display()),
            Self::Lost(path) => write!(
                f,
                "key file {}: it is gone, and its store is not; without it every cookie and every \
                 kept answer is void. Put it back from a backup, or start once with --new-key, \
                 which signs everybody out",
                path.display()
            ),
            Self::Unshared => write!(f, "keys {UNSHARED}; {SHARE}"),
            Self::NoEntropy(error) => write!(f, "no key can be made: {error}"),
        }
    }
}

impl std::error::Error for KeyFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Given(error) | Self::Content(_, error) => Some(error),
            Self::Io(_, error) => Some(error),
            Self::NoEntropy(error) => Some(error),
            Self::Lost(_) | Self::Unshared => None,
        }
    }
}

/// Reads a key file: one key per line, the sealing one first; `#` begins a comment.
fn read(app: &str, path: &Path) -> Result<Keyring, KeyFault> {
    let text = private_file::read(path).map_err(|error| KeyFault::Io(path.to_owned(), error))?;
    of_text(app, path, &text)
}

fn of_text(app: &str, path: &Path, text: &SecretText) -> Result<Keyring, KeyFault> {
    let keys = keys_of(text);
    Keyring::read(app, &keys).map_err(|error| KeyFault::Content(path.to_owned(), error))
}

/// The keys in the text of a key file.
pub(super) fn keys_of(text: &SecretText) -> Vec<SecretText> {
    let lines = text.expose().lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    keys.map(|line| SecretText::new(line.to_owned())).collect()
}

/// Why a key could be guessed, as the end of a sentence; `None` for one that looks random. Of
/// random keys, fewer than one in a million million match.
pub(super) fn weakness(key: &SecretText) -> Option<&'static str> {
    let text = key.expose().trim();
    let bytes: [u8; 32] = hex::read(text).ok()?;
    let mut values = bytes;
    values.sort_unstable();
    let different = 1 + values.windows(2).filter(|pair| pair.first() != pair.last()).count();
    let steps = |pair: &[u8]| match pair {
        [one, next] => next.wrapping_sub(*one),
        _ => 0,
    };
    let mut counted: Vec<u8> = bytes.windows(2).map(steps).collect();
    counted.sort_unstable();
    counted.dedup();
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match () {
        () if different == 1 => Some("is one byte over and over"),
        () if counted.len() <= 2 => Some("counts up or down"),
        () if different < 16 => Some("repeats a few bytes"),
        () if is_text => Some("is a text that somebody has written"),
        () if text.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some("has decimal digits only, as if somebody had typed them")
        }
        () => None,
    }
}

/// Creates the file with one new key, unless it exists.
///
/// The key is written under another name and then linked to its final one. Of two processes that
/// start together one wins and both read its key, and a crash leaves no partial file.
fn make(path: &Path, entropy: &dyn Entropy) -> Result<(), KeyFault> {
    let fault = |error| KeyFault::Io(path.to_owned(), error);
    if path.try_exists().map_err(fault)? {
        return Ok(());
    }
    let key = Keyring::fresh_key(entropy).map_err(KeyFault::NoEntropy)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder).map_err(fault)?;
    }
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let linked = write_private(&draft, &key).and_then(|()| std::fs::hard_link(&draft, path));
    // The temporary file has a key that may be in use from now on, so it must be removed.
    let removed = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(fault(error)),
        _ => removed.and_then(|()| sync_folder(folder)).map_err(fault),
    }
}

fn write_private(path: &Path, key: &SecretText) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(b"# Seals the cookies of callgate. Keep it secret; back it up apart.\n")?;
    file.write_all(key.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes the new name durable. On systems other than Unix a folder cannot be opened for that.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::base::secret::entropy::DryEntropy;
    use crate::base::secret::entropy::SeededEntropy;

    fn embedded(folder: &Path) -> Settings {
        Settings { store: StoreUrl::Embedded(folder.to_owned()), ..Settings::default() }
    }

    #[test]
    fn a_key_is_missing_until_it_is_made_or_may_be_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let settings = embedded(folder.path());
        let path = settings.key_path().unwrap();
        assert_eq!(settings.missing_key(), Some(path.clone()));
        assert_eq!(Settings { new_key: true, ..settings.clone() }.missing_key(), None);
        settings.keyring(&SeededEntropy::new(1)).unwrap();
        assert_eq!(settings.missing_key(), None);
        let said = KeyFault::Lost(path).to_string();
        assert!(said.contains("--new-key"), "{said}");
    }

    #[test]
    fn the_first_start_makes_a_key_that_later_starts_read() {
        let folder = tempfile::tempdir().unwrap();
        let settings = embedded(&folder.path().join("data"));
        settings.keyring(&SeededEntropy::new(1)).unwrap();
        let path = settings.key_path().unwrap();
        let made = std::fs::read_to_string(&path).unwrap();
        settings.keyring(&DryEntropy).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
        let names = std::fs::read_dir(folder.path().join("data")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["callgate.key"], "nothing else stays behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_that_somebody_could_guess_is_known() {
        let weak = |text: &str| weakness(&SecretText::new(text.to_owned()));
        let counting = hex::lower(&(0..32).collect::<Vec<u8>>());
        let down = hex::lower(&(0..32).rev().map(|byte| byte * 8).collect::<Vec<u8>>());
        let words = hex::lower(b"correct horse battery staple 123");
        for (key, why) in [
            ("00".repeat(32), "over and over"),
            ("ff".repeat(32), "over and over"),
            (counting, "counts"),
            (down, "counts"),
            ("0123456789abcdef".repeat(4), "counts"),
            ("deadbeef".repeat(8), "repeats"),
            (words, "is a text"),
            ("1234567890".repeat(7)[..64].to_owned(), "repeats"),
        ] {
            assert!(weak(&key).is_some_and(|found| found.contains(why)), "{key}: {:?}", weak(&key));
        }
        for seed in 0..2_000 {
            let key = Keyring::fresh_key(&SeededEntropy::new(seed)).unwrap();
            assert_eq!(weakness(&key), None, "seed {seed}");
        }
    }

    #[test]
    fn a_key_is_never_made_without_randomness() {
        let folder = tempfile::tempdir().unwrap();
        let fault = embedded(folder.path()).keyring(&DryEntropy).err().unwrap();
        assert!(matches!(fault, KeyFault::NoEntropy(_)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let memory = Settings { store: StoreUrl::Memory, ..Settings::default() };
        assert!(matches!(memory.keyring(&DryEntropy), Err(KeyFault::NoEntropy(_))));
    }

    #[test]
    fn a_named_key_file_is_read_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let settings =
            Settings { keys_file: Some(path.clone()), ..embedded(&folder.path().join("data")) };
        let fault = settings.keyring(&SeededEntropy::new(1)).err().unwrap();
        assert!(matches!(fault, KeyFault::Io(..)), "{fault}");
        assert!(!path.exists());
        let two = format!("# rotated\n{}\n\n  {}\n", "ab".repeat(32), "cd".repeat(32));
        std::fs::write(&path, two).unwrap();
        settings.keyring(&DryEntropy).unwrap();
    }

    #[test]
    fn keys_that_are_there_are_found_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let settings = embedded(&folder.path().join("data"));
        assert!(settings.found_keyring().unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let made = settings.keyring(&SeededEntropy::new(1)).unwrap();
        let found = settings.found_keyring().unwrap().unwrap();
        let (asked, now) = (("GET", "/sessions"), Timestamp::from_millis(0));
        let admits =
            |ring: &Keyring| made.admits_operator(asked, now, ring.operator(asked, now).expose());
        assert!(admits(&found));
        let other = Settings { app: crate::settings::AppName::parse("shop").unwrap(), ..settings };
        assert!(!admits(&other.found_keyring().unwrap().unwrap()));
    }

    #[test]
    fn a_bad_key_file_is_named_and_its_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let settings = Settings { keys_file: Some(path.clone()), ..Settings::default() };
        for (content, said) in [("topsecret\n", "64 hex digits"), ("# empty\n", "no key")] {
            std::fs::write(&path, content).unwrap();
            let fault = settings.keyring(&DryEntropy).err().unwrap();
            let shown = format!("{fault} {fault:?}");
            assert!(shown.contains(said) && !shown.contains("topsecret"), "{shown}");
        }
    }
}
