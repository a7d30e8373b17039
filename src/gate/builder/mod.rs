//! Builds a gate: the only place that sees every floor.

pub(crate) mod plan_builder;

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::utf8_percent_encode;

use crate::admin::GateHealth;
use crate::admin::OperatorAccess;
use crate::admin::health::TableState;
use crate::backend::Forward;
use crate::backend::Registry;
use crate::backend::Singleton;
use crate::base::Clock;
use crate::base::Entropy;
use crate::base::limits::TABLE_BYTES_MAX;
use crate::base::secret::entropy::OsEntropy;
use crate::flow::directory::Directory;
use crate::flow::mint::capability::Capabilities;
use crate::flow::rates::Rates;
use crate::flow::session::Watchers;
use crate::flow::sessions::CurrentTable;
use crate::flow::sessions::UnknownNames;
use crate::gate::Gate;
use crate::gate::GateParts;
use crate::gate::builder::plan_builder::BuiltPlan;
use crate::gate::builder::plan_builder::PlanBuilder;
use crate::gate::classes::ClassFolder;
use crate::gate::error::GateError;
use crate::gate::listening::acceptors::Acceptors;
use crate::gate::listening::certificate::CertificatePair;
use crate::gate::reload;
use crate::gate::reload::Contents;
use crate::gate::reload::PlanFiles;
use crate::gate::reload::file_watch;
use crate::gate::reload::file_watch::FileWatch;
use crate::gate::reload::file_watch::ReadMode;
use crate::gate::steady_clock::SteadyClock;
use crate::gate::stores;
use crate::http::BadCertificate;
use crate::http::Dispatch;
use crate::http::Outbound;
use crate::http::Sessions;
use crate::http::confirm::Site;
use crate::http::confirm::Template;
use crate::http::edge::admission::Policy;
use crate::http::edge::cors::Cors;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::hosts::Hosts;
use crate::http::exchange::dispatch;
use crate::http::exchange::routes::Routes;
use crate::http::message::cookie;
use crate::http::message::cookie::CookieRule;
use crate::session::Roles;
use crate::settings;
use crate::settings::KeyFault;
use crate::settings::PublicOrigin;
use crate::settings::Safety;
use crate::settings::Settings;
use crate::store::Store;
use crate::table::Severity;

/// A gate under construction. [`GateBuilder::open`] loads and checks everything before any port is
/// opened.
#[derive(Debug)]
pub struct GateBuilder {
    settings: Settings,
    table: Option<String>,
    registry: Registry,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl GateBuilder {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: None,
            registry: Registry::default(),
            store: None,
            clock: Arc::new(SteadyClock::new()),
            entropy: Arc::new(OsEntropy::new()),
        }
    }

    /// Uses this text as the table instead of the file that the settings name. It is never
    /// reloaded; class files that exist at the start are.
    #[must_use]
    pub fn table(mut self, text: impl Into<String>) -> Self {
        self.table = Some(text.into());
        self
    }

    /// Adds a class of native handlers.
    #[must_use]
    pub fn singleton<S: Send + Sync + 'static>(mut self, singleton: Singleton<S>) -> Self {
        self.registry.add(singleton);
        self
    }

    /// Uses these classes, in place of those that were added before.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Uses this store instead of the one that the settings name.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Uses this clock.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses this source of random bytes for secrets.
    #[must_use]
    #[cfg(any(test, feature = "testing"))]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Loads and checks everything, and opens the store. All problems of the table are reported
    /// together.
    pub async fn open(mut self) -> Result<Gate, GateError> {
        settle(&self.settings)?;
        let outbound = outbound(&self.settings)?;
        let roles = self.roles()?;
        let plans = self.plan_builder(&outbound, roles.clone());
        let table = reload::content(&self.settings, self.table.as_deref());
        let contents = Contents { table, classes: plans.folder.read(ReadMode::Now) };
        let text = contents.table.clone().map_err(GateError::File)?;
        let text = reload::text(&self.settings, &text)?;
        let BuiltPlan { plan, handlers, warnings } =
            plans.build(&text, contents.classes.clone(), None)?;
        let confirm_page = self.confirm_page()?;
        let acceptors = Acceptors::open(&self.settings, self.clock.now())?;
        let store = self.opened_store().await?;
        let given = (self.clock.now(), &*self.entropy);
        let keyring = stores::keyring(&self.settings, &*store, given).await?;
        let table = table_state(&plan);
        let health = Arc::new(GateHealth::new(Arc::clone(&store), Arc::clone(&self.clock), table));
        let clock = Arc::clone(&self.clock);
        let sessions = Sessions {
            directory: self.directory(&store),
            waiters: Arc::default(),
            watchers: Watchers::default(),
            table: CurrentTable::empty(),
            store,
            clock: self.clock,
            entropy: self.entropy,
            keyring,
            enabled: self.settings.sessions,
            roles,
            unknown_privileges: UnknownNames::default(),
            lifetime: self.settings.lifetime,
            base_path: encoded(self.settings.base_path.as_str()),
            public_origin: known_origin(&self.settings),
            guesses_origin: AtomicBool::new(self.settings.public_origin.is_none()),
            saw_foreign_cookie: AtomicBool::new(false),
            rates: Arc::new(rates(&self.settings)),
            capabilities: Capabilities::default(),
        };
        let config = dispatch_config(&self.settings, confirm_page);
        let site = Site::new(Arc::new(sessions), cookie_rule(&self.settings));
        let dispatch = Dispatch::new(plan, site, config);
        let dispatch =
            Arc::new(dispatch.map_err(|none| GateError::Keys(KeyFault::NoEntropy(none)))?);
        let (reload, entry) = (self.settings.reload, entry(&self.settings));
        let mut watched = watched_certificates(&acceptors, clock)?;
        // A table given as text, without class files, cannot change.
        if self.table.is_none() || plans.folder.exists() {
            let sources = (plans, self.table);
            let used_by = (Arc::clone(&dispatch), Arc::clone(&health));
            let files = PlanFiles::new(sources, used_by, handlers, &contents);
            let files = FileWatch::start(Arc::new(files), &contents);
            watched.push(files.map_err(GateError::Thread)?);
        }
        Ok(Gate(Arc::new(GateParts {
            dispatch,
            health,
            public: Arc::new(acceptors.public),
            internal: Arc::new(acceptors.internal),
            redirect: Arc::new(acceptors.redirect),
            certificates: acceptors.certificates,
            drain: self.settings.limits.drain,
            warnings,
            watched,
            reload,
            entry,
            internal_hosts: self.settings.internal_hosts.clone(),
            outbound,
        })))
    }

    /// What plans are built with.
    fn plan_builder(&mut self, outbound: &Arc<Outbound>, roles: Roles) -> PlanBuilder {
        let grants = self.settings.internal.is_some();
        let forward = Forward::new(Arc::clone(outbound), self.settings.forward, grants);
        PlanBuilder {
            folder: ClassFolder::of(&self.settings, Some(outbound), &self.entropy),
            native: std::mem::take(&mut self.registry),
            roles,
            relays: Arc::new(forward),
            settings: self.settings.clone(),
        }
    }

    async fn opened_store(&mut self) -> Result<Arc<dyn Store>, GateError> {
        let store = match self.store.take() {
            Some(store) => store,
            // The futures of database clients are large while they connect, so this one is boxed.
            None => Box::pin(stores::open_store(&self.settings, self.clock.now())).await?,
        };
        if self.settings.safety == Safety::Strict {
            stores::demand_all(&*store).await?;
        }
        Ok(store)
    }

    fn directory(&self, store: &Arc<dyn Store>) -> Directory {
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Directory::new(Arc::clone(store), clock, entropy, self.settings.accounts)
    }

    fn confirm_page(&self) -> Result<Template, GateError> {
        let Some(path) = &self.settings.confirm_page else { return Ok(Template::default()) };
        let text = read(path).map_err(GateError::File)?;
        Template::read(&text).map_err(|flaws| GateError::Page(path.clone(), flaws))
    }

    fn roles(&self) -> Result<Roles, GateError> {
        let Some(path) = self.settings.roles_file() else { return Ok(Roles::default()) };
        let bytes = file_watch::read(&path, TABLE_BYTES_MAX).map_err(GateError::File)?;
        let read = Roles::of_bytes(&bytes);
        read.map_err(|problems| GateError::Roles(path, problems))
    }
}

/// The state of a table that has just been put into use.
fn table_state(plan: &Routes) -> TableState {
    TableState { rows: plan.table().rows().len(), generation: plan.generation(), refused: None }
}

/// The watch on the certificate files, if there are any.
fn watched_certificates(
    acceptors: &Acceptors,
    clock: Arc<dyn Clock>,
) -> Result<Vec<FileWatch>, GateError> {
    let Some(certificates) = &acceptors.certificates else { return Ok(Vec::new()) };
    let pair = CertificatePair::new(Arc::clone(certificates), clock);
    let contents = pair.contents();
    let watched = FileWatch::start(Arc::new(pair), &contents).map_err(GateError::Thread)?;
    Ok(vec![watched])
}

/// The credential that an operator needs, depending on where the keys are.
fn entry(settings: &Settings) -> OperatorAccess {
    let limited = settings.rate_limits;
    match settings.key_path() {
        // A relative path would be resolved differently by a program with another working
        // directory.
        Some(path) => OperatorAccess::Key { file: std::path::absolute(path).ok(), limited },
        None if settings.keys.is_empty() => OperatorAccess::Closed,
        None => OperatorAccess::Key { file: None, limited },
    }
}

/// The public origin, if it is known before a listener is.
fn known_origin(settings: &Settings) -> OnceLock<String> {
    let origin = settings.public_origin.as_ref();
    origin.map_or_else(OnceLock::new, |origin| OnceLock::from(origin.as_str().to_owned()))
}

/// Refuses settings that contradict each other or the files on disk.
fn settle(settings: &Settings) -> Result<(), GateError> {
    let mut refused = settings.check();
    refused.retain(|problem| problem.severity == Severity::Error);
    if refused.is_empty() { Ok(()) } else { Err(GateError::Settings(refused)) }
}

/// A path as it is written in a URL (RFC 3986 §3.3).
fn encoded(path: &str) -> String {
    const NOT_IN_PATHS: &AsciiSet =
        &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');
    utf8_percent_encode(path, NOT_IN_PATHS).to_string()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn cookie_rule(settings: &Settings) -> CookieRule {
    let same_site = match settings.cookie.same_site {
        settings::SameSite::Lax => cookie::SameSite::Lax,
        settings::SameSite::Strict => cookie::SameSite::Strict,
        settings::SameSite::None => cookie::SameSite::None,
    };
    let prefix =
        if settings.has_host_prefix() { cookie::Prefix::Host } else { cookie::Prefix::None };
    CookieRule::new(prefix, settings.app.as_str(), same_site, settings.is_cookie_secure())
}

fn dispatch_config(settings: &Settings, confirm_page: Template) -> dispatch::Config {
    dispatch::Config {
        base_path: settings.base_path.clone(),
        policy: policy(settings),
        limits: settings.limits.clone(),
        development: settings.development,
        confirm_page,
    }
}

/// The client for requests to upstreams and for `fetch` of classes.
fn outbound(settings: &Settings) -> Result<Arc<Outbound>, GateError> {
    let outbound = Outbound::new(settings.outbound, settings.private_hosts.clone())
        .map_err(BadCertificate::Unavailable);
    Ok(Arc::new(outbound.map_err(GateError::Certificate)?))
}

fn policy(settings: &Settings) -> Policy {
    let own = settings.public_origin.as_ref();
    let mut hosts = settings.hosts.clone();
    hosts.extend(own.map(|own| HostRule::of_origin(own.as_str())));
    Policy {
        hosts: Hosts::new(hosts, own.is_some_and(PublicOrigin::is_https)),
        own_origin: own.map(|own| own.as_str().to_owned()),
        proxies: settings.trusted_proxies.clone(),
        cors: Cors::new(settings.cors.clone()),
        hsts: settings.hsts == settings::Hsts::Auto,
    }
}

fn rates(settings: &Settings) -> Rates {
    if settings.rate_limits { Rates::new(&settings.rates) } else { Rates::off() }
}
