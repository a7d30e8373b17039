//! What all requests need in order to work with sessions, and how a request gets its own.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::base::Caller;
use crate::base::Clock;
use crate::base::Confirm;
use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::Entropy;
use crate::base::RestoreMode;
use crate::base::Timestamp;
use crate::base::entropy::NoEntropy;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::masked::masked;
use crate::base::masked::misleads;
use crate::http::binding::Binding;
use crate::http::capability::Capabilities;
use crate::http::confirm::Agreement;
use crate::http::cookie::Authentic;
use crate::http::cookie::CookieRule;
use crate::http::fault::Fault;
use crate::http::held::Held;
use crate::http::plan::CurrentPlan;
use crate::http::rates::Rates;
use crate::http::runs::Runs;
use crate::http::session::Entry;
use crate::http::session::Gives;
use crate::http::session::Session;
use crate::http::session::Standing;
use crate::http::session::Watchers;
use crate::session::Credential;
use crate::session::Device;
use crate::session::Keyring;
use crate::session::Lifetime;
use crate::session::Roles;
use crate::session::credential::SEALED_LETTERS;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::port::Resumed;

/// Longest label of a device, from its `User-Agent`.
const LABEL_BYTES_MAX: usize = 120;
/// How long after a sign-in a request may still arrive with the credential that the sign-in ended:
/// as long as the slowest request to sign in may take to be answered, and some more.
const OVERTAKEN_WITHIN: Duration = Duration::from_mins(2);

/// Most names that are told; handlers may grant what a request says.
const UNKNOWN_NAMES_MAX: usize = 256;
/// Longest part of such a name that is told.
const UNKNOWN_NAME_BYTES_MAX: usize = 80;

/// Names of privileges that nobody knows. Each is logged once, however often it is granted.
#[derive(Debug, Default)]
pub struct UnknownNames(Mutex<BTreeSet<String>>);

impl UnknownNames {
    /// Logs that a name was left out, unless that was said before.
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

/// The store, the clock, the keys and the rules that every session shares.
pub struct Sessions {
    /// Where sessions and tokens are kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where secrets come from.
    pub entropy: Arc<dyn Entropy>,
    /// What seals cookies.
    pub keyring: Keyring,
    /// Which privileges exist.
    pub roles: Roles,
    /// Names that were granted and that `roles.json` does not know, each told once.
    pub unknown_privileges: UnknownNames,
    /// How long new sessions live.
    pub lifetime: Lifetime,
    /// How the session cookie is named and guarded.
    pub cookie: CookieRule,
    /// The mount prefix that callback URLs begin with, such as `/tools`; may be empty.
    pub base_path: String,
    /// Scheme and host of callback URLs. Set from `public_origin`, or once the listener's own
    /// address is known; never from a request (docs/SECURITY.md T32).
    pub public_origin: OnceLock<String>,
    /// Whether that is the listener's own address, and the log has not said yet that a link leads
    /// there whose browser knows this site by another name.
    pub guesses_origin: AtomicBool,
    /// Whether the log says already that browsers bring session cookies of another callgate.
    pub saw_foreign_cookie: AtomicBool,
    /// How often what may be done.
    pub rates: Arc<Rates>,
    /// What lets upstreams work in the sessions of their requests.
    pub capabilities: Capabilities,
    /// Who runs a callback and who waits for its answer.
    pub runs: Arc<Runs>,
    /// Who watches over a right to a session.
    pub watchers: Watchers,
    /// Requests that wait for a browser to show its cookie, or for a person to agree.
    pub held: Held,
    /// The table in use, so that no token is minted for what no row answers; none until there is
    /// one.
    pub plan: CurrentPlan,
}

/// What the row and the request say about a redemption.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    /// The handler that is about to answer, as `Class.method`.
    pub(crate) handler: Arc<str>,
    /// What the row wants the bearer of a token to get.
    pub(crate) row_mode: RestoreMode,
    /// Who asks.
    pub(crate) caller: Caller,
    /// Whether the request may redeem at all; one that only looks may not.
    pub(crate) may_redeem: bool,
    /// What the browser says it is.
    pub(crate) label: String,
    /// Whether the row asks before a link counts.
    pub(crate) row_confirm: Confirm,
    /// How far the request shows that somebody means to redeem.
    pub(crate) agreement: Agreement,
    /// Whether the answer may be a page of its own.
    pub(crate) navigates: bool,
    /// What this browser was given when it minted a token, if it was and brings it.
    pub(crate) binding: Option<Binding>,
    /// Whether it brings several, of which none counts and none is overwritten.
    pub(crate) binding_doubled: bool,
    /// The host that the request names.
    pub(crate) host: Option<HeaderValue>,
    /// The address of the client, if there is one.
    pub(crate) client: Option<IpAddr>,
}

impl Sessions {
    /// The application's name.
    pub fn app(&self) -> &str {
        self.keyring.app()
    }

    /// Whether the public comes over https, so that its browsers may be given Secure cookies.
    pub(crate) fn is_https(&self) -> bool {
        let told = self.public_origin.get().is_some_and(|origin| origin.starts_with("https:"));
        told || self.cookie.is_secure()
    }

    /// Opens the session that a request's cookie names, or makes its caller a guest.
    ///
    /// Of several cookies the authentic one counts; forged and damaged ones are turned away here,
    /// before any store is asked.
    pub(crate) async fn open(
        self: &Arc<Self>,
        headers: &HeaderMap,
        mut errand: Errand,
    ) -> Result<Session, Fault> {
        let now = self.clock.now();
        let cookies = self.cookie.read(headers);
        let same =
            |one: &Binding, other: &Binding| one.digest(self.app()) == other.digest(self.app());
        match cookies.binding.authentic(|value| Binding::read(value, now), same) {
            Authentic::One(binding) => errand.binding = Some(binding),
            Authentic::Missing => {}
            Authentic::Several => errand.binding_doubled = true,
        }
        let same = |one: &Credential, other: &Credential| {
            one.digest(self.app()) == other.digest(self.app())
        };
        let credential = match cookies.session.authentic(|value| self.keyring.open(value), same) {
            Authentic::One(credential) => credential,
            Authentic::Missing => {
                self.suspect_another(cookies.session.values());
                return self.guest(now, errand, Gives::NewGuest);
            }
            Authentic::Several => {
                tracing::warn!(
                    event = "session.cookie_doubled",
                    "several authentic session cookies; none counts"
                );
                return self.guest(now, errand, Gives::Nothing);
            }
        };
        if errand.binding.is_none() && !errand.binding_doubled {
            // The browser does not hold it as a cookie: the next mint gives it one.
            errand.binding = Some(Binding::of(&credential, now));
        }
        let digest = credential.digest(self.app());
        failpoint::reached(Place::Resume).map_err(StoreError::from)?;
        match self.store.resume(now, credential.session(), digest).await? {
            Resumed::Open(opened) => {
                let standing = Standing::Open { opened, entry: Entry::Credential(credential) };
                Ok(Session::new(Arc::clone(self), errand, standing, Gives::Newer))
            }
            Resumed::Unheard if credential.may_found(now) => {
                let renewed = credential.renewed(now);
                let gives = if renewed.is_some() { Gives::Renewed } else { Gives::Newer };
                let standing = Standing::Guest(renewed.unwrap_or(credential));
                Ok(Session::new(Arc::clone(self), errand, standing, gives))
            }
            Resumed::Unheard | Resumed::Closed => self.guest(now, errand, Gives::GuestOnceWritten),
            Resumed::Replaced { joined_last } => {
                let gives = left_to_give(now, joined_last);
                self.guest(now, errand, gives)
            }
        }
    }

    /// Two callgates on one host that have the same `app` overwrite each other's cookies, whatever
    /// their ports. What has the form of a credential and was sealed with other keys is a sign of it.
    fn suspect_another(&self, values: &[&str]) {
        let is_sealed = |value: &&str| {
            value.len() == SEALED_LETTERS
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if values.iter().any(is_sealed) && !self.saw_foreign_cookie.swap(true, Ordering::Relaxed) {
            let advice = "a session cookie of this name was sealed with other keys: keys were \
                          changed, or another callgate on this host has the same app; give each \
                          its own with the setting app";
            tracing::warn!(
                event = "session.cookie_foreign",
                cookie = self.cookie.name(),
                "{advice}"
            );
        }
    }

    /// Describes a browser that joins a session with the secret `nonce`.
    pub(crate) fn device(
        &self,
        digest: Digest,
        label: &str,
        now: Timestamp,
    ) -> Result<Device, NoEntropy> {
        let id = DeviceId::random(&*self.entropy)?;
        Ok(Device { id, digest, since: now, label: label.to_owned() })
    }

    fn guest(
        self: &Arc<Self>,
        now: Timestamp,
        errand: Errand,
        gives: Gives,
    ) -> Result<Session, Fault> {
        let guest = Credential::guest(&*self.entropy, now).map_err(Fault::internal)?;
        Ok(Session::new(Arc::clone(self), errand, Standing::Guest(guest), gives))
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

/// What a browser says it is, short enough to keep: printable characters only.
pub(crate) fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(hyper::header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent.unwrap_or_default();
    agent.chars().filter(|c| !misleads(*c)).take(LABEL_BYTES_MAX).collect()
}

/// What a browser may still be given whose credential opens a session no more that lives on, and
/// whose newest browser joined then.
///
/// Where somebody has just signed in to the session, the response with the fresh credential may have
/// overtaken this request, and a guest's cookie would throw that credential away. A browser that
/// still brings the old one much later was put out, and begins anew.
fn left_to_give(now: Timestamp, joined_last: Option<Timestamp>) -> Gives {
    match joined_last {
        Some(since) if now.since(since) < OVERTAKEN_WITHIN => Gives::Newer,
        _ => Gives::GuestOnceWritten,
    }
}
