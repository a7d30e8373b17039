//! The declaration of the settings: the content of a settings file, in the order of the default
//! file. Sections that other parts of callgate declare are fields here.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::account;
use crate::backend::budgets::{Budgets, FetchLimits};
use crate::backend::forward;
use crate::base::secret::SecretText;
use crate::base::setting::{OnOff, OrOff, settings};
use crate::flow::rates;
use crate::http::edge::cors_rule::CorsRule;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::proxies::TrustedProxies;
use crate::http::limits::Limits;
use crate::http::outbound;
use crate::session::Lifetime;
use crate::store;
use crate::table::BasePath;

use super::{
    AppName, AutoReload, CookiePrefix, CookieSecure, CoreDumps, Hsts, LogFormat, PublicOrigin,
    Safety, SameSite, StoreUrl, Tls,
};
use crate::settings::types::forms::{Folder, HostName, Keys};

settings! {
    /// Everything that can be set about a gate. `Settings::default()` is what the default file
    /// says.
    ///
    /// A program that embeds a gate writes those that it cares about as a settings file has them
    /// (docs/SETTINGS.md), in TOML. The environment and the file `callgate.toml` are not read.
    ///
    /// ```
    /// let settings: callgate::Settings = r#"
    ///     store = "memory:"
    ///     public_origin = "https://shop.example"
    ///     session.idle_minutes = 90
    /// "#
    /// .parse()?;
    /// # let _ = settings;
    /// # Ok::<_, callgate::InvalidSettings>(())
    /// ```
    #[derive(Debug, Clone)]
    pub struct Settings {
        /// The handler table.
        handlers: PathBuf = "handlers.json";
        /// The folder of the class files; unset: "classes" beside the table. The class Mail of a
        /// row is the file Mail.js in it. A changed file is taken with its table, while requests go
        /// on.
        classes: Option<PathBuf> as Option<Folder>, unset "classes";
        /// Privileges and roles; unset: "roles.json" beside the table, if there is one.
        roles: Option<PathBuf>, unset "roles.json";
        /// The name of the application, part of the cookie's name: up to 32 letters, digits, - and
        /// _.
        app: AppName = "callgate";
        /// Where requests are accepted. Port 0 takes a free one.
        listen: SocketAddr = "127.0.0.1:8044";
        /// Where health and the operator's view are served, or "off". Never the public address.
        internal: Option<SocketAddr> as OrOff<SocketAddr> = "127.0.0.1:8045";
        /// "off" keeps no sessions: no cookie is set or read, handlers are given no session, and a
        /// token in a URL is a parameter like any other. Rows that need a session (`otp`,
        /// `requires`, `repeat`, callgate.Accounts) are errors then.
        sessions: bool as OnOff = "on";
        /// Where sessions and tokens are kept: `"embedded:FOLDER"` on one machine; for many nodes
        /// `"redis://HOST:PORT/DB"`, `"rediss://..."` with TLS,
        /// `"redis+sentinel://HOST,HOST,HOST/MASTER"`, `"redis+cluster://HOST,HOST"` or
        /// `"postgres://USER@HOST:PORT/DATABASE"`; or `"memory:"`, which forgets everything.
        /// "callgate store doctor" says what each of them guarantees.
        store: StoreUrl = "embedded:data";
        /// A file with the password of the store, for a URL without one. It is read at the start.
        store_password_file: Option<PathBuf>, unset "store.password";
        /// "strict" refuses to start with settings or a store that are not fit for production.
        safety: Safety = "normal";
        /// A path in front of every URL, such as "/tools", that is taken off before the table is
        /// asked.
        base_path: BasePath = "";
        /// The address the public knows, `scheme://host[:port]`; callback URLs are built from it.
        public_origin: Option<PublicOrigin>, unset "https://shop.example";
        /// An HTML page that asks before a link counts (`otp.confirm`), instead of the shipped one.
        /// It holds `{{text}}`, what is asked, and `{{form}}`, the button, once each; `{{title}}`,
        /// `{{app}}` and `{{lang}}` where it likes; its styles in `<style>`. It loads nothing and
        /// runs no scripts. Read once, at the start.
        confirm_page: Option<PathBuf>, unset "confirm.html";
        /// Hosts that requests may name, such as
        /// `["shop.example", "*.shop.example", "shop.example:8443"]`. The host of `public_origin`
        /// is always one of them, and so are localhost and loopback addresses on connections to a
        /// loopback address. Any other host is answered 421. With neither of the two settings every
        /// host is answered. Without a port: the usual ones and the one of `listen`.
        hosts: Vec<HostRule> = [];
        /// Hosts that classes may ask with fetch, such as
        /// `["api.bank.example", "*.example.com", "127.0.0.1:9000"]`, and no other, also by way of
        /// a redirection. Without a port: 80 and 443.
        fetch_hosts: Vec<HostRule> = [];
        /// Networks of proxies, such as `["10.0.0.0/8", "::1"]`: only from them the address of the
        /// client is taken from `Forwarded` or `X-Forwarded-For`, as far as they can be believed.
        trusted_proxies: TrustedProxies = [];
        /// Names of hosts, such as `["app.internal"]`, that may lead into a private network when
        /// rows forward to them or classes fetch from them. Any other name leads to public
        /// addresses only, whatever its owner lets it point at; an address that is written out, and
        /// localhost, are taken as they stand.
        private_hosts: Vec<String> as Vec<HostName> = [];
        /// Names of hosts, such as `["callgate.internal"]`, by which the internal listener may be
        /// asked besides localhost and IP addresses. Any other is answered 421: a page whose name
        /// was made to lead there reads nothing.
        internal_hosts: Vec<String> as Vec<HostName> = [];
        /// Foreign origins whose pages may read answers, each with its methods:
        /// `"https://app.example"`, `"https://app.example get;post"`, `"*.app.example"`,
        /// `"192.168.*:8081"`, `"*"`. An empty list switches CORS off; with rules, scripts of other
        /// origins are answered 403. Cookies are allowed only for an origin that is named in full,
        /// with its scheme.
        cors: Vec<CorsRule> = [];
        /// Strict-Transport-Security, a year and all subdomains: "auto" where the public comes over
        /// https, or "off". Never for this machine's own addresses, unless `public_origin` is
        /// https.
        hsts: Hsts = "auto";
        /// "off" switches every rate limit off, for load tests and for use behind a limiter, and
        /// with them the limit of connections from one address. Their values are in the section
        /// `[rates]`.
        rate_limits: bool as OnOff = "on";
        /// Take a changed handler table, class file or certificate within half a second; a bad one
        /// is refused and changes nothing. SIGHUP reads all of them again either way. "roles.json"
        /// and this file are read at the start only.
        reload: AutoReload = "on";
        /// Refuse a table or class files that have warnings, such as a class that does not exist.
        strict: bool = false;
        /// Show the error messages of handlers to the client. Only on this machine's own address.
        development: bool = false;
        /// Core dumps, which would leave keys and tokens on a disk after a crash: "auto" (none from
        /// a release build), "off", or "on" to debug. Without them, debuggers and profilers of the
        /// same user see nothing.
        core_dumps: CoreDumps = "auto";
        /// Secret keys for cookies, each of 64 hex digits: the first seals, all of them open.
        keys: Vec<SecretText> as Keys = [];
        /// A file with such keys, one per line, instead of `keys`. Unset: "callgate.key" in the
        /// folder of the embedded store, made at the first start; with `"memory:"` a key that lives
        /// with the process. Nodes that share a store must share their keys, too;
        /// "openssl rand -hex 32" makes one.
        keys_file: Option<PathBuf>, unset "callgate.key";
        /// Make a new key for an embedded store whose key file is gone, instead of refusing to
        /// start. It signs everybody out.
        new_key: bool = false;
        /// How long sessions live, and how many there may be.
        lifetime as "session": Lifetime;
        /// How many sessions there may be.
        capacity as "session": store::Config;
        /// How passwords of accounts are stored and checked.
        accounts: account::Config;
        /// The session cookie.
        cookie: Cookie;
        /// HTTPS without a proxy in front.
        tls: Tls;
        /// The log, which goes to the standard error output.
        log: Log;
        /// Bounds of the public listener and of its requests.
        limits: Limits;
        /// Bounds of connections to upstreams.
        outbound as "limits": outbound::Config;
        /// Bounds of the responses of upstreams.
        forward as "limits": forward::Config;
        /// A client is an IPv4 address or an IPv6 /64. What is over a limit is answered 429 or 503
        /// with Retry-After. Each node counts for itself.
        rates: rates::Rules;
        /// What class files may use. A call that goes over one of these ends with 500 and a line in
        /// the log, and no other call does.
        scripts: Budgets;
        /// Bounds of what classes fetch.
        fetch as "scripts": FetchLimits;
    }
}

settings! {
    /// The attributes of the session cookie.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Cookie {
        /// "__Host-" in front of the cookie's name: "host", "none", or "auto" when the cookie is
        /// Secure.
        prefix: CookiePrefix = "auto";
        /// "Lax", "Strict" (loses the session on the redirect after a return from abroad) or
        /// "None".
        same_site: SameSite = "Lax";
        /// The Secure attribute: "on", "off", or "auto" when `public_origin` is https or `tls.cert`
        /// is set.
        secure: CookieSecure = "auto";
    }
}

settings! {
    /// What is logged, and how.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Log {
        /// "json" lines, "text" for people, or "auto": text on a terminal, json otherwise.
        format: LogFormat = "auto";
        /// The least that is logged: "error", "warn", "info", "debug" or "trace".
        level: tracing::Level = "info";
    }
}
