//! The settings: flags, environment and settings file, combined into one checked value.
//!
//! ```text
//! defaults < callgate.toml < CALLGATE_* < --flags     declared, reading
//!     └───────────┴──────┬──────┴──────────┘
//!                       Raw    every value with its origin     base::setting
//!                        │     parsed, or a Problem            reading
//!                     Settings                                 declared
//!                        │     conflicts between settings      checks
//!                        │     files that must exist           checks, keys
//! ```
//!
//! A setting is declared once (see [`crate::base::setting`]): in `declared`, or in the part of
//! callgate that uses it, whose struct is then a field in `declared`. The default file, its
//! environment variable, its flag, `--help`, `docs/SETTINGS.md` and its typed value are generated
//! from the declaration. To add one, declare it, use it (most are handed on by
//! `gate::builder`, those of the process by `cli`), and show in `tests/it/settings_reach.rs` that it
//! reaches a gate; `CALLGATE_TEST_WRITE=1 cargo test --test tidy`
//! writes the pages that list it. A type with a syntax of its own belongs in `types`, conflicts with
//! other settings and checks of files in `checks`.
//!
//! Every problem of every layer is reported at once. Relative paths start from the working
//! directory, in the settings file as on the command line.

mod all;
mod checks;
mod declared;
mod keys;
mod manual;
mod problem;
mod reading;
mod types;

pub use all::{SETTINGS, Setting};
pub use declared::{Cookie, Log, Settings};
pub use keys::KeyFault;
pub use manual::default_file;
pub use problem::Problem;
pub use reading::sources::{Environment, Flags};
pub use reading::{InvalidSettings, Reading};
pub use types::choice::{
    AutoReload, CookiePrefix, CookieSecure, CoreDumps, Hsts, LogFormat, NotAChoice, Safety,
    SameSite,
};
pub use types::names::{AppName, PublicOrigin};
pub use types::store_url::{PasswordFault, StoreUrl, kind_of};
pub use types::tls::Tls;

pub use crate::base::setting::{Given, Kind, Origin, Raw, Value, written};
pub use crate::http::limits::Limits;

use std::path::{Path, PathBuf};

impl Settings {
    /// The conflicts in settings that a program has built itself: errors and warnings. Empty
    /// without conflicts.
    pub fn check(&self) -> Vec<Problem> {
        checks::contradictions::find(self, &Raw::default())
    }

    /// The folder of the classes: the one that was named, or `classes` beside the table.
    pub(crate) fn classes_folder(&self) -> PathBuf {
        self.classes.clone().unwrap_or_else(|| self.beside_the_table("classes"))
    }

    /// The file of privileges and roles: the one that was named, or `roles.json` beside the
    /// table if it is there.
    pub(crate) fn roles_file(&self) -> Option<PathBuf> {
        let beside = || Some(self.beside_the_table("roles.json")).filter(|path| path.exists());
        self.roles.clone().or_else(beside)
    }

    /// Whether clients use https: callgate serves TLS itself, or `public_origin` indicates a proxy
    /// that does.
    pub(crate) fn is_https(&self) -> bool {
        self.tls.is_on() || self.public_origin.as_ref().is_some_and(PublicOrigin::is_https)
    }

    /// Whether the session cookie is `Secure`.
    pub(crate) fn is_cookie_secure(&self) -> bool {
        match self.cookie.secure {
            CookieSecure::On => true,
            CookieSecure::Off => false,
            CookieSecure::Auto => self.is_https(),
        }
    }

    /// The name of the session cookie: `4DSID_<app>`, or `__Host-4DSID_<app>`
    /// (docs/CONTRACT.md §5).
    #[doc(hidden)]
    pub fn cookie_name(&self) -> String {
        format!("{}4DSID_{}", if self.has_host_prefix() { "__Host-" } else { "" }, self.app)
    }

    /// Whether the names of cookies begin with `__Host-`.
    pub(crate) fn has_host_prefix(&self) -> bool {
        match self.cookie.prefix {
            CookiePrefix::Host => true,
            CookiePrefix::None => false,
            CookiePrefix::Auto => self.is_cookie_secure(),
        }
    }

    fn beside_the_table(&self, name: &str) -> PathBuf {
        self.handlers.parent().unwrap_or(Path::new("")).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_secure_and_host_bound_exactly_over_https() {
        let over = |origin: &str| Settings {
            public_origin: Some(PublicOrigin::parse(origin).unwrap()),
            ..Settings::default()
        };
        assert_eq!(Settings::default().cookie_name(), "4DSID_callgate");
        assert_eq!(over("http://shop.example").cookie_name(), "4DSID_callgate");
        assert_eq!(over("https://shop.example").cookie_name(), "__Host-4DSID_callgate");
        assert!(over("https://shop.example").is_cookie_secure());
        let mut plain = over("https://shop.example");
        plain.cookie.prefix = CookiePrefix::None;
        assert_eq!(plain.cookie_name(), "4DSID_callgate");
        assert!(plain.is_cookie_secure());
        let tls = Tls { cert: Some("c".into()), key: Some("k".into()), ..Tls::default() };
        let itself = Settings { tls, ..Settings::default() };
        assert_eq!(itself.cookie_name(), "__Host-4DSID_callgate");
    }

    #[test]
    fn classes_and_roles_stand_beside_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let handlers = folder.path().join("handlers.json");
        let settings = Settings { handlers, ..Settings::default() };
        assert_eq!(settings.classes_folder(), folder.path().join("classes"));
        assert_eq!(settings.roles_file(), None);
        let roles = folder.path().join("roles.json");
        std::fs::write(&roles, "{}").unwrap();
        assert_eq!(settings.roles_file(), Some(roles));
        assert_eq!(Settings::default().classes_folder(), Path::new("classes"));
    }
}
