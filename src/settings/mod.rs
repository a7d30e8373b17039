//! What the program is told: flags, environment and settings file, made into one checked value.
//!
//! ```text
//! default.toml < callgate.toml < CALLGATE_* < --flags     sources, file
//!          └──────────┴────┬─────────┴────────────┘
//!                         Raw    every value with its origin     raw
//!                          │     understood, or a Problem        check
//!                       Settings                                 this file
//!                          │     what does not go together       contradictions
//!                          │     what must be there on disk      files, keys
//! ```
//!
//! Every problem of every layer is reported at once. Relative paths count from the working
//! directory, in the settings file as on the command line.

mod check;
mod choice;
mod contradictions;
mod file;
mod files;
mod keys;
mod limits;
mod manual;
mod names;
mod private_file;
mod problem;
mod raw;
mod scripts;
mod sources;
mod store_url;
mod strangers;
mod tls;

pub use choice::AutoReload;
pub use choice::CookiePrefix;
pub use choice::CookieSecure;
pub use choice::CoreDumps;
pub use choice::Hsts;
pub use choice::LogFormat;
pub use choice::NotAChoice;
pub use choice::Safety;
pub use choice::SameSite;
pub use keys::KeyFault;
pub use limits::Limits;
pub use manual::meaning;
pub use names::AppName;
pub use names::PublicOrigin;
pub use problem::Problem;
pub use raw::Given;
pub use raw::Kind;
pub use raw::Origin;
pub use raw::Raw;
pub use raw::SETTINGS;
pub use raw::Setting;
pub use raw::Value;
pub use scripts::Scripts;
pub use sources::Environment;
pub use sources::Flags;
pub use store_url::PasswordFault;
pub use store_url::StoreUrl;
pub use store_url::kind_of;
pub use tls::Tls;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use crate::base::secret::SecretText;
use crate::flow::rates;
use crate::http::edge::cors_rule::CorsRule;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::proxies::TrustedProxies;
use crate::session::Lifetime;
use crate::table::BasePath;

/// The commented default file, as `callgate settings --default` prints it.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Everything a gate can be told. `Settings::default()` is what `default.toml` says.
///
/// A program that embeds a gate sets the fields it cares about and asks [`Settings::check`]
/// whether they go together:
///
/// ```
/// use callgate::settings::{Settings, StoreUrl};
///
/// let settings = Settings { store: StoreUrl::Memory, ..Settings::default() };
/// assert!(settings.check().is_empty());
/// ```
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// The handler table; default `handlers.json`.
    pub handlers: PathBuf,
    /// The folder of the class files; `None`, the default: `classes` beside the table
    /// ([`Settings::classes_folder`]).
    pub classes: Option<PathBuf>,
    /// Privileges and roles; `None`, the default: `roles.json` beside the table if it is there
    /// ([`Settings::roles_file`]).
    pub roles: Option<PathBuf>,
    /// The name of the application; default `callgate`.
    pub app: AppName,
    /// Where requests are accepted; default `127.0.0.1:8044`. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where health and the operator's view are served; default `127.0.0.1:8045`, `None` for
    /// nowhere.
    pub internal: Option<SocketAddr>,
    /// Where sessions and tokens are kept; default `embedded:data`.
    pub store: StoreUrl,
    /// A file with the password of the store, for a URL without one; default unset.
    pub store_password_file: Option<PathBuf>,
    /// How much the start refuses; default [`Safety::Normal`].
    pub safety: Safety,
    /// What is taken off the front of every path before the table is asked; default nothing.
    pub base_path: BasePath,
    /// The address the public knows, from which callback URLs are built; default unset.
    pub public_origin: Option<PublicOrigin>,
    /// A page of the owner's own that asks before a link counts, as
    /// [`Template`](crate::http::confirm::Template) reads it; default the shipped one.
    pub confirm_page: Option<PathBuf>,
    /// The hosts that requests may name besides the one of `public_origin`; default none. Where
    /// neither is given, every host is answered ([`crate::http::edge::hosts::Hosts`]).
    pub hosts: Vec<HostRule>,
    /// The hosts that classes may ask with `fetch`; default none. Without a port: 80 and 443.
    pub fetch_hosts: Vec<HostRule>,
    /// The peers that are proxies of ours, whose word about their clients is taken; default none
    /// ([`TrustedProxies`]).
    pub trusted_proxies: TrustedProxies,
    /// The hosts whose names may lead into a private network when callgate calls them; default
    /// none ([`crate::http::outbound::AddressRule`]).
    pub private_hosts: Vec<String>,
    /// The hosts by whose names the internal listener may be asked, besides `localhost` and IP
    /// addresses; default none.
    pub internal_hosts: Vec<String>,
    /// The foreign origins whose pages may read answers; default none, which switches CORS off
    /// ([`crate::http::edge::cors::Cors`]).
    pub cors: Vec<CorsRule>,
    /// Whether browsers are told to come over https only; default [`Hsts::Auto`].
    pub hsts: Hsts,
    /// Whether rates are limited; on by default.
    pub rate_limits: bool,
    /// Whether a table, class file or certificate that changes is taken without being asked;
    /// default [`AutoReload::On`].
    pub reload: AutoReload,
    /// Whether warnings about table and class files refuse the start; off by default.
    pub strict: bool,
    /// Whether clients see the error messages of handlers; off by default.
    pub development: bool,
    /// Whether a crash may leave a core dump; default [`CoreDumps::Auto`].
    pub core_dumps: CoreDumps,
    /// Keys of 64 hex digits for cookies, the sealing one first; default none, see
    /// [`Settings::keyring`].
    pub keys: Vec<SecretText>,
    /// A file with such keys, one per line; default unset.
    pub keys_file: Option<PathBuf>,
    /// Whether an embedded store whose key file is gone gets a new key, which signs everybody out;
    /// off by default.
    pub new_key: bool,
    /// How long a new session lives; default 60 idle minutes and no absolute limit.
    pub lifetime: Lifetime,
    /// Sessions kept at once; default 1,000,000.
    pub sessions_max: usize,
    /// Percent of the sessions that guests may be, 1 to 100; default 50.
    pub guest_percent: u8,
    /// Bytes of answers kept for repeats of callbacks; default 64 MiB.
    pub answer_bytes_max: usize,
    /// Whether `__Host-` stands in front of the cookie's name; default
    /// [`CookiePrefix::Auto`].
    pub cookie_prefix: CookiePrefix,
    /// The cookie's `SameSite`; default [`SameSite::Lax`].
    pub same_site: SameSite,
    /// The cookie's `Secure`; default [`CookieSecure::Auto`].
    pub cookie_secure: CookieSecure,
    /// Whether and how callgate speaks HTTPS itself; default not at all.
    pub tls: Tls,
    /// What a log line looks like; default [`LogFormat::Auto`].
    pub log_format: LogFormat,
    /// The least that is logged; default `info`.
    pub log_level: tracing::Level,
    /// The bounds of the listener and its requests.
    pub limits: Limits,
    /// What the rate limits are, where they are on.
    pub rates: rates::Rules,
    /// The budgets of class files.
    pub scripts: Scripts,
}

impl Default for Settings {
    fn default() -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            handlers: "handlers.json".into(),
            classes: None,
            roles: None,
            app: AppName::default(),
            listen: local(8044),
            internal: Some(local(8045)),
            store: StoreUrl::default(),
            store_password_file: None,
            safety: Safety::default(),
            base_path: BasePath::default(),
            public_origin: None,
            confirm_page: None,
            hosts: Vec::new(),
            fetch_hosts: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            private_hosts: Vec::new(),
            internal_hosts: Vec::new(),
            cors: Vec::new(),
            hsts: Hsts::default(),
            rate_limits: true,
            reload: AutoReload::default(),
            strict: false,
            development: false,
            core_dumps: CoreDumps::default(),
            keys: Vec::new(),
            keys_file: None,
            new_key: false,
            lifetime: Lifetime::default(),
            sessions_max: 1_000_000,
            guest_percent: 50,
            answer_bytes_max: 64 * 1024 * 1024,
            cookie_prefix: CookiePrefix::default(),
            same_site: SameSite::default(),
            cookie_secure: CookieSecure::default(),
            tls: Tls::default(),
            log_format: LogFormat::default(),
            log_level: tracing::Level::INFO,
            limits: Limits::default(),
            rates: rates::Rules::default(),
            scripts: Scripts::default(),
        }
    }
}

impl Settings {
    /// Reads every layer and checks what they amount to. The settings file itself, and whether
    /// the files that the settings name are there, are looked up on disk.
    pub fn read(flags: &Flags, environment: &Environment) -> Reading {
        let (raw, mut problems) = sources::read(flags, environment);
        let settings = check::settings(&raw, &mut problems);
        problems.extend(contradictions::find(&settings, &raw));
        problems.extend(files::check(&settings, &raw));
        // Those of the file in its order, then those of variables and flags.
        problems.sort_by_key(|problem| (problem.file.is_none(), problem.line, problem.column));
        Reading { settings, raw, problems }
    }

    /// What does not go together in settings that a program has put together itself. Errors
    /// and warnings; empty when all is well.
    pub fn check(&self) -> Vec<Problem> {
        contradictions::find(self, &Raw::default())
    }

    /// The folder of the classes: the one that was named, or `classes` beside the table.
    pub fn classes_folder(&self) -> PathBuf {
        self.classes.clone().unwrap_or_else(|| self.beside_the_table("classes"))
    }

    /// The file of privileges and roles: the one that was named, or `roles.json` beside the
    /// table if it is there.
    pub fn roles_file(&self) -> Option<PathBuf> {
        let beside = || Some(self.beside_the_table("roles.json")).filter(|path| path.exists());
        self.roles.clone().or_else(beside)
    }

    /// Whether the public comes over https: callgate speaks it itself, or `public_origin` says
    /// that a proxy in front does.
    pub fn is_https(&self) -> bool {
        self.tls.is_on() || self.public_origin.as_ref().is_some_and(PublicOrigin::is_https)
    }

    /// Whether the session cookie is `Secure`.
    pub fn is_cookie_secure(&self) -> bool {
        match self.cookie_secure {
            CookieSecure::On => true,
            CookieSecure::Off => false,
            CookieSecure::Auto => self.is_https(),
        }
    }

    /// The name of the session cookie: `4DSID_<app>`, or `__Host-4DSID_<app>`
    /// (docs/CONTRACT.md §5).
    pub fn cookie_name(&self) -> String {
        format!("{}4DSID_{}", if self.has_host_prefix() { "__Host-" } else { "" }, self.app)
    }

    /// Whether the names of cookies begin with `__Host-`.
    pub fn has_host_prefix(&self) -> bool {
        match self.cookie_prefix {
            CookiePrefix::Host => true,
            CookiePrefix::None => false,
            CookiePrefix::Auto => self.is_cookie_secure(),
        }
    }

    fn beside_the_table(&self, name: &str) -> PathBuf {
        self.handlers.parent().unwrap_or(Path::new("")).join(name)
    }
}

/// What reading the settings came to.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The settings; where a value was wrong, the default stands in for it.
    pub settings: Settings,
    /// Every value with its origin.
    pub raw: Raw,
    /// Everything that is wrong, in all layers.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Whether the settings must not be used.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_says_exactly_the_defaults() {
        let mut raw = Raw::default();
        let mut problems = file::File::of_defaults().read(&mut raw);
        let said = check::settings(&raw, &mut problems);
        assert_eq!(problems, []);
        assert_eq!(format!("{said:#?}"), format!("{:#?}", Settings::default()));
    }

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
        let plain = Settings { cookie_prefix: CookiePrefix::None, ..over("https://shop.example") };
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
