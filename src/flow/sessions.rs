//! What all requests share that work with sessions.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwapOption;

use crate::base::Clock;
use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::Entropy;
use crate::base::Timestamp;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::masked::masked;
use crate::flow::directory::Directory;
use crate::flow::mint::capability::Capabilities;
use crate::flow::rates::Rates;
use crate::flow::session::Watchers;
use crate::flow::waiters::Waiters;
use crate::session::Device;
use crate::session::Keyring;
use crate::session::Lifetime;
use crate::session::Roles;
use crate::store::Store;
use crate::table::Table;

/// Most names that are logged, because a handler may take the names to grant from a request.
const UNKNOWN_NAMES_MAX: usize = 256;
/// Longest part of such a name that is logged.
const UNKNOWN_NAME_BYTES_MAX: usize = 80;

/// Names of privileges that `roles.json` does not define. Each is logged once, however often it is
/// granted.
#[derive(Debug, Default)]
pub struct UnknownNames(Mutex<BTreeSet<String>>);

impl UnknownNames {
    /// Logs that a name was ignored, unless it was logged before.
    pub(crate) fn tell(&self, kind: &'static str, name: &str) {
        let name = masked(name.trim(), UNKNOWN_NAME_BYTES_MAX).into_owned();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if name.is_empty() || told.len() >= UNKNOWN_NAMES_MAX || !told.insert(name.clone()) {
            return;
        }
        tracing::warn!(
            event = "privilege.unknown",
            kind,
            name,
            "roles.json does not define it, so that it was not granted"
        );
    }
}

/// The table in use; none until there is one.
pub type CurrentTable = ArcSwapOption<Table>;

/// The store, the clock, the keys and the rules that every session shares.
pub struct Sessions {
    /// Where sessions and tokens are kept.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of secrets.
    pub entropy: Arc<dyn Entropy>,
    /// The keys that seal cookies.
    pub keyring: Keyring,
    /// Whether there are sessions at all (setting `sessions`).
    pub enabled: bool,
    /// Which privileges exist.
    pub roles: Roles,
    /// Names that were granted and that `roles.json` does not define.
    pub unknown_privileges: UnknownNames,
    /// How long new sessions live.
    pub lifetime: Lifetime,
    /// The mount prefix that callback URLs begin with, such as `/tools`; may be empty.
    pub base_path: String,
    /// Scheme and host of callback URLs. Set from `public_origin`, or once the listener's own
    /// address is known; never from a request (docs/SECURITY.md T32).
    pub public_origin: OnceLock<String>,
    /// Whether that is the listener's own address, and it was not logged yet that a link leads
    /// there for a browser that requested another host.
    pub guesses_origin: AtomicBool,
    /// Whether it was logged that browsers send session cookies of another callgate.
    pub saw_foreign_cookie: AtomicBool,
    /// The accounts.
    pub directory: Directory,
    /// The rate limits.
    pub rates: Arc<Rates>,
    /// The capabilities by which upstreams work in the sessions of their requests.
    pub capabilities: Capabilities,
    /// Requests that run a callback or wait for its response.
    pub waiters: Arc<Waiters>,
    /// Requests that watch their right to a session.
    pub watchers: Watchers,
    /// The table in use, so that no token is minted for a path without a row.
    pub table: CurrentTable,
}

impl Sessions {
    /// The application's name.
    pub fn app(&self) -> &str {
        self.keyring.app()
    }

    /// Describes a browser that joins a session with the credential of this digest.
    pub(crate) fn device(
        &self,
        digest: Digest,
        label: &str,
        now: Timestamp,
    ) -> Result<Device, NoEntropy> {
        let id = DeviceId::random(&*self.entropy)?;
        Ok(Device { id, digest, since: now, label: label.to_owned() })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &self.store)
            .field("keyring", &self.keyring)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
