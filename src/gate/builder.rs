//! Putting a gate together: the one place that sees every floor.

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::utf8_percent_encode;

use crate::admin::Health;
use crate::backend::Registry;
use crate::backend::Singleton;
use crate::base::Clock;
use crate::base::Entropy;
use crate::base::Timestamp;
use crate::base::entropy::OsEntropy;
use crate::gate::Gate;
use crate::gate::failure::GateError;
use crate::gate::lint::lint;
use crate::gate::steady::SteadyClock;
use crate::http::Dispatch;
use crate::http::Plan;
use crate::http::Sessions;
use crate::http::cookie;
use crate::http::cookie::CookieRule;
use crate::http::dispatch;
use crate::http::server;
use crate::session::Roles;
use crate::settings;
use crate::settings::KeyFault;
use crate::settings::Settings;
use crate::settings::StoreUrl;
use crate::store::Store;
use crate::store::live;
use crate::store::memory::MemoryStore;
use crate::table::Problem;
use crate::table::Severity;
use crate::table::Table;

/// A gate that is being put together. Everything is loaded and checked by [`Builder::open`],
/// before any port is opened.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    table: Option<String>,
    registry: Registry,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Builder {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: None,
            registry: Registry::default(),
            store: None,
            clock: Arc::new(SteadyClock::new()),
            entropy: Arc::new(OsEntropy::new()),
        }
    }

    /// Takes this text for the table instead of the file that the settings name.
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

    /// Takes these classes; those that were added before are gone.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Keeps sessions in this store instead of the one that the settings name.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Reads the time from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes secrets from this source.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Loads everything, checks everything, opens the store. What is wrong with the table is
    /// reported as a whole.
    pub async fn open(mut self) -> Result<Gate, GateError> {
        let refused: Vec<_> = self
            .settings
            .check()
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        if !refused.is_empty() {
            return Err(GateError::Settings(refused));
        }
        let (plan, warnings) = self.plan()?;
        let roles = self.roles()?;
        let store = match self.store.take() {
            Some(store) => store,
            None => open_store(&self.settings, self.clock.now()).await?,
        };
        let keyring = self.settings.keyring(&*self.entropy).map_err(GateError::Keys)?;
        let origin = self.settings.public_origin.as_ref();
        let health =
            Health::new(Arc::clone(&store), Arc::clone(&self.clock), plan.table().rows().len());
        let sessions = Sessions {
            store,
            clock: self.clock,
            entropy: self.entropy,
            keyring,
            roles,
            lifetime: self.settings.lifetime,
            cookie: cookie_rule(&self.settings),
            base_path: encoded(self.settings.base_path.as_str()),
            public_origin: origin
                .map_or_else(OnceLock::new, |origin| OnceLock::from(origin.as_str().to_owned())),
        };
        let config = dispatch_config(&self.settings);
        let dispatch = Dispatch::new(plan, Arc::new(sessions), config)
            .map_err(|none| GateError::Keys(KeyFault::NoEntropy(none)))?;
        Ok(Gate {
            dispatch: Arc::new(dispatch),
            health: Arc::new(health),
            server: Arc::new(server_config(&self.settings)),
            warnings,
        })
    }

    fn plan(&self) -> Result<(Plan, Vec<Problem>), GateError> {
        let file = &self.settings.handlers;
        let text = match &self.table {
            Some(text) => text.clone(),
            None => read(file).map_err(GateError::File)?,
        };
        let checked = Table::read(&file.display().to_string(), &text).map_err(GateError::Table)?;
        let plan = Plan::new(checked.table, &self.registry);
        let mut warnings = checked.warnings;
        warnings.extend(lint(plan.table(), &self.settings, &self.registry));
        if self.settings.strict && !warnings.is_empty() {
            return Err(GateError::Table(warnings));
        }
        Ok((plan, warnings))
    }

    fn roles(&self) -> Result<Roles, GateError> {
        let Some(path) = self.settings.roles_file() else { return Ok(Roles::default()) };
        let text = read(&path).map_err(GateError::File)?;
        Roles::read(&text).map_err(|problems| GateError::Roles(path, problems))
    }
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

/// Opens the store that the settings name. Replaying a log takes a while, so it is kept off the
/// threads that serve.
async fn open_store(settings: &Settings, now: Timestamp) -> Result<Arc<dyn Store>, GateError> {
    let config = live::Config { sessions_max: settings.sessions_max };
    match &settings.store {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::with(config))),
        StoreUrl::Embedded(folder) => open_embedded(folder, config, now).await,
    }
}

#[cfg(feature = "embedded")]
async fn open_embedded(
    folder: &Path,
    config: live::Config,
    now: Timestamp,
) -> Result<Arc<dyn Store>, GateError> {
    use crate::store::embedded::EmbeddedStore;

    let dir = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open_with(&dir, config));
    let opened = opening.await.map_err(|error| {
        let store = folder.display();
        GateError::NoStore(format!("store {store}: opening it failed within callgate: {error}"))
    })?;
    let store = opened.map_err(GateError::Store)?;
    store.compare_clock(now);
    Ok(Arc::new(store))
}

#[cfg(not(feature = "embedded"))]
async fn open_embedded(
    folder: &Path,
    _: live::Config,
    _: Timestamp,
) -> Result<Arc<dyn Store>, GateError> {
    Err(GateError::NoStore(format!(
        "store {}: this callgate was built without the embedded store; build it with the feature \
         \"embedded\", or choose another store",
        folder.display()
    )))
}

fn cookie_rule(settings: &Settings) -> CookieRule {
    let same_site = match settings.same_site {
        settings::SameSite::Lax => cookie::SameSite::Lax,
        settings::SameSite::Strict => cookie::SameSite::Strict,
        settings::SameSite::None => cookie::SameSite::None,
    };
    CookieRule::new(settings.cookie_name(), same_site, settings.is_cookie_secure())
}

fn dispatch_config(settings: &Settings) -> dispatch::Config {
    let limits = &settings.limits;
    dispatch::Config {
        base_path: settings.base_path.clone(),
        target_bytes_max: limits.target_bytes,
        body_bytes_max: limits.body_bytes,
        body_timeout: limits.body,
        handler_timeout: limits.handler,
        development: settings.development,
    }
}

fn server_config(settings: &Settings) -> server::Config {
    let limits = &settings.limits;
    server::Config {
        connections_max: limits.connections,
        first_byte_timeout: limits.first_byte,
        header_timeout: limits.header,
        header_bytes_max: limits.header_bytes,
        headers_max: limits.headers,
        requests_max: limits.requests_per_connection as u64,
        age_max: limits.connection_age,
        streams_max: limits.streams,
        write_stall_timeout: limits.write_stall,
        drain_timeout: limits.drain,
    }
}
