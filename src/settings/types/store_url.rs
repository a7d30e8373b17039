//! The URL of the store of sessions and tokens, and its password.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::base::secret::SecretText;
#[cfg(feature = "postgres")]
use crate::store::postgres::Address as PostgresAddress;
#[cfg(feature = "redis")]
use crate::store::redis::Address as RedisAddress;

use crate::settings::Settings;
use crate::settings::checks::private_file;

/// The store of sessions and tokens (docs/CONTRACT.md §11). Default: `embedded:data`.
///
/// `Display` and `Debug` omit the password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreUrl {
    /// `memory:`, for tests and demos: a restart loses everything.
    Memory,
    /// `embedded:FOLDER`: durable, for one machine and one process.
    Embedded(PathBuf),
    /// `redis://…`, `rediss://…` and their forms for Sentinel and Cluster: for many nodes.
    #[cfg(feature = "redis")]
    Redis(RedisAddress),
    /// `postgres://…`: for many nodes.
    #[cfg(feature = "postgres")]
    Postgres(PostgresAddress),
    /// A store that this build does not include, by the feature that it requires.
    #[cfg_attr(
        all(feature = "redis", feature = "postgres", not(any(test, feature = "testing"))),
        expect(dead_code, reason = "this build has every store")
    )]
    Missing(&'static str),
}

/// The forms of a store's address.
const FORMS: &str =
    "use \"embedded:FOLDER\", \"memory:\", \"redis://HOST\" or \"postgres://USER@HOST/DATABASE\"";

/// The part of an invalid URL that cannot contain a password: the word before the colon.
pub fn kind_of(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let is_plain = |word: &str| {
        word.len() <= CHARS_MAX
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    match text.split_once(':') {
        Some((kind, _)) if is_plain(kind) => format!("is of the kind {kind:?}"),
        _ => "does not begin with a kind and a colon".to_owned(),
    }
}

impl StoreUrl {
    /// Parses a store URL. The error ends with how to fix it, and never quotes a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("memory", _)) => Err("memory: takes nothing after the colon".to_owned()),
            Some(("embedded", "")) => Err("name the folder, such as \"embedded:data\"".to_owned()),
            Some(("embedded", folder)) => Ok(Self::Embedded(folder.into())),
            Some((scheme, _)) if is_of("redis", scheme) => redis(text),
            Some(("postgres" | "postgresql", _)) => postgres(text),
            _ => Err(FORMS.to_owned()),
        }
    }

    /// Whether several nodes may use it at once, which then must seal cookies with the same keys.
    pub fn is_shared(&self) -> bool {
        !matches!(self, Self::Memory | Self::Embedded(_))
    }

    /// Whether the URL itself holds a password.
    pub fn has_password(&self) -> bool {
        match self {
            Self::Memory | Self::Embedded(_) | Self::Missing(_) => false,
            #[cfg(feature = "redis")]
            Self::Redis(address) => address.has_password(),
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => address.has_password(),
        }
    }

    /// Whether a user is named and its password is missing.
    pub fn wants_password(&self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(address) => address.wants_password(),
            // A database may authenticate users by other means.
            _ => false,
        }
    }

    fn with_password(self, password: SecretText) -> Self {
        match self {
            Self::Memory | Self::Embedded(_) | Self::Missing(_) => {
                // Not used by the store.
                drop(password);
                self
            }
            #[cfg(feature = "redis")]
            Self::Redis(address) => Self::Redis(address.with_password(password)),
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => Self::Postgres(address.with_password(password)),
        }
    }
}

/// Whether a scheme has this name, also encrypted (`rediss`) or with a suffix (`redis+cluster`).
fn is_of(name: &str, scheme: &str) -> bool {
    let plain = scheme.split_once(['+', '-']).map_or(scheme, |(plain, _)| plain);
    plain == name || plain.strip_suffix('s') == Some(name)
}

#[cfg(feature = "redis")]
fn redis(text: &str) -> Result<StoreUrl, String> {
    RedisAddress::parse(text).map(StoreUrl::Redis)
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<StoreUrl, String> {
    Ok(StoreUrl::Missing("redis"))
}

#[cfg(feature = "postgres")]
fn postgres(text: &str) -> Result<StoreUrl, String> {
    PostgresAddress::parse(text).map(StoreUrl::Postgres)
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str) -> Result<StoreUrl, String> {
    Ok(StoreUrl::Missing("postgres"))
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::Embedded("data".into())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            #[cfg(feature = "redis")]
            Self::Redis(address) => address.fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => address.fmt(f),
            Self::Missing(kind) => write!(f, "{kind}:"),
        }
    }
}

impl Settings {
    /// The store with its password from either source: reads `store_password_file`.
    pub(crate) fn store_with_password(&self) -> Result<StoreUrl, PasswordFault> {
        match &self.store_password_file {
            Some(path) if self.store.is_shared() => {
                Ok(self.store.clone().with_password(password(path)?))
            }
            _ => Ok(self.store.clone()),
        }
    }
}

/// Why there is no password to open the store with.
#[derive(Debug)]
#[non_exhaustive]
pub enum PasswordFault {
    /// The file cannot be read.
    Io(PathBuf, std::io::Error),
    /// The file does not hold one line.
    NotOneLine(PathBuf),
}

impl fmt::Display for PasswordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => {
                write!(
                    f,
                    "password file {}: {error}; see that callgate may read it",
                    path.display()
                )
            }
            Self::NotOneLine(path) => write!(
                f,
                "password file {}: it does not hold one line; write the password into it and \
                 nothing else",
                path.display()
            ),
        }
    }
}

impl std::error::Error for PasswordFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            Self::NotOneLine(_) => None,
        }
    }
}

/// Reads a file with a password, and strips the end of its line, which editors add.
fn password(path: &Path) -> Result<SecretText, PasswordFault> {
    let text = private_file::read(path);
    let text = text.map_err(|error| PasswordFault::Io(path.to_owned(), error))?;
    let line = text.expose().trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains(['\r', '\n', '\0']) {
        return Err(PasswordFault::NotOneLine(path.to_owned()));
    }
    Ok(SecretText::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_memory_or_a_folder_or_a_server() {
        assert!(matches!(StoreUrl::parse("memory:"), Ok(StoreUrl::Memory)));
        let folder = StoreUrl::parse("embedded:/a/b:c").unwrap();
        assert!(matches!(&folder, StoreUrl::Embedded(path) if path == Path::new("/a/b:c")));
        assert!(!folder.is_shared() && !folder.has_password());
        for (text, fix) in [
            ("embedded:", "name the folder"),
            ("memory:x", "takes nothing"),
            ("data", "use \"embedded:FOLDER\""),
            ("sqlite:x", "use \"embedded:FOLDER\""),
            ("redissss://x", "use \"embedded:FOLDER\""),
        ] {
            assert!(StoreUrl::parse(text).unwrap_err().contains(fix), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_is_never_in_a_text() {
        let url = StoreUrl::parse("postgres://me:pw123@db.example/gate").unwrap();
        assert!(url.is_shared() && url.has_password());
        let shown = format!("{url} {url:?}");
        assert!(
            shown.starts_with("postgres://me@db.example") && !shown.contains("pw123"),
            "{shown}"
        );
        let error = StoreUrl::parse("postgres://me:pw123@host:port/gate").unwrap_err();
        assert!(!error.contains("pw123"), "{error}");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_comes_from_a_file_of_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let store = StoreUrl::parse("postgres://me@db.example").unwrap();
        let store_password_file = Some(file.path().to_owned());
        let settings = Settings { store, store_password_file, ..Settings::default() };
        let read = |content: &str| {
            std::fs::write(file.path(), content).unwrap();
            settings.store_with_password()
        };
        for content in ["pw123", "pw123\n", "pw123\r\n"] {
            let url = read(content).unwrap();
            assert!(url.has_password() && !format!("{url} {url:?}").contains("pw123"), "{url:?}");
        }
        for content in ["", "\n", "pw123\nmore\n"] {
            let fault = read(content).unwrap_err();
            let said = format!("{fault} {fault:?}");
            assert!(said.contains("one line") && !said.contains("pw123"), "{said}");
        }
        file.close().unwrap();
        assert!(matches!(settings.store_with_password(), Err(PasswordFault::Io(..))));
    }
}
