//! Access control of the internal listener: programs may use it, browsers may not
//! (docs/SECURITY.md T52).
//!
//! The session API requires its capability, the operator's API a credential made with the key of
//! the gate. A process that can read the first key of the gate may operate it: with that key it
//! could make a cookie for any session anyway. Pages in a browser on the same machine can reach the
//! listener too, by its address or by a DNS name that resolves to it. So requests with headers that
//! only browsers send are refused, and every path, health included, is served under IP addresses,
//! `localhost` and the names of `internal_hosts` only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::Version;
use hyper::header;
use hyper::http::request::Parts as Head;
use hyper::http::uri::Authority;
use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::percent_encode;

use crate::base::Timestamp;
use crate::http::ConnInfo;
use crate::http::Sessions;

/// Wrong credentials of one peer within [`WINDOW`] before further ones get 429
/// (docs/SECURITY.md D.6).
const FAILURES_MAX: u32 = 10;
/// The period over which wrong credentials are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// Peers that are counted; further ones are treated as if they had reached the limit.
const PEERS_MAX: usize = 1_024;

/// The credential that an operator needs.
#[derive(Debug, Clone)]
pub enum OperatorAccess {
    /// The result of [`Keyring::operator`](crate::session::Keyring::operator) with the first key.
    Key {
        /// The file that holds the key, if there is one. Its name is sent to clients on this
        /// machine, so that the operator need not know where the gate keeps it; reading the file
        /// requires its permissions.
        file: Option<PathBuf>,
        /// Whether wrong credentials are rate-limited (`rate_limits`).
        limited: bool,
    },
    /// No credential is accepted: the keys exist in this process only, so no credential can be
    /// made, and without one every program on this machine could end sessions.
    Closed,
}

/// The guard of one listener.
pub(super) struct Guard {
    sessions: Arc<Sessions>,
    entry: OperatorAccess,
    hosts: Arc<InternalHosts>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    since: Timestamp,
    of: HashMap<IpAddr, u32>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessDenied {
    /// The request names a host that is not this listener.
    WrongHost,
    /// A browser sent it.
    Browser,
    /// No credential is accepted.
    Closed,
    /// No credential was sent: the first request of a client that has to learn which one is
    /// required.
    NoCredential,
    /// A wrong credential.
    Credential,
    /// Too many wrong credentials.
    TooMany,
}

impl Guard {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        entry: OperatorAccess,
        hosts: Arc<InternalHosts>,
    ) -> Self {
        Self { sessions, entry, hosts, failures: Mutex::default() }
    }

    /// Admits a request, or returns why not.
    pub(super) fn admit(&self, head: &Head, conn: ConnInfo) -> Result<(), AccessDenied> {
        self.hosts.admit_program(head)?;
        match &self.entry {
            OperatorAccess::Closed => Err(AccessDenied::Closed),
            OperatorAccess::Key { limited, .. } => match shown(&head.headers) {
                // A correct credential always passes: 256 bits cannot be guessed, and otherwise any
                // program on this machine could lock the operator out.
                Some(shown) if self.is_right(head, shown) => Ok(()),
                Some(_) if *limited => Err(self.failed(conn.peer.ip())),
                Some(_) => Err(AccessDenied::Credential),
                None => Err(AccessDenied::NoCredential),
            },
        }
    }

    fn is_right(&self, head: &Head, shown: &str) -> bool {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let asked = (head.method.as_str(), target);
        self.sessions.keyring.admits_operator(asked, self.sessions.clock.now(), shown)
    }

    /// The required credential, as the value of `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub(super) fn challenge(&self, conn: ConnInfo) -> String {
        // A quoted string must be visible ASCII without quotes and backslashes.
        const NOT_PRINTABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\').add(b'%');
        let app = format!("Callgate app=\"{}\"", self.sessions.app());
        match &self.entry {
            OperatorAccess::Key { file: Some(file), .. }
                if conn.peer.ip().to_canonical().is_loopback() =>
            {
                let file = percent_encode(file.as_os_str().as_encoded_bytes(), NOT_PRINTABLE);
                format!("{app}, key-file=\"{file}\"")
            }
            _ => app,
        }
    }

    /// Counts a wrong credential.
    fn failed(&self, peer: IpAddr) -> AccessDenied {
        let now = self.sessions.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if now < failures.since || now.since(failures.since) >= WINDOW {
            *failures = Failures { since: now, of: HashMap::new() };
        }
        if failures.of.len() >= PEERS_MAX && !failures.of.contains_key(&peer) {
            return AccessDenied::TooMany;
        }
        let count = failures.of.entry(peer).or_default();
        *count = count.saturating_add(1);
        if *count > FAILURES_MAX { AccessDenied::TooMany } else { AccessDenied::Credential }
    }
}

impl AccessDenied {
    /// The status, a stable code, and a hint for the client.
    pub(super) fn answer(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::WrongHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_host",
                "The internal listener answers to IP addresses, to localhost and to the names of \
                 the setting internal_hosts only.",
            ),
            Self::Browser => {
                (StatusCode::FORBIDDEN, "browser", "The operator's view answers no browser.")
            }
            Self::Closed => (
                StatusCode::FORBIDDEN,
                "closed",
                "The keys of this gate live in its process only, so that nobody can show one; set \
                 keys or keys_file to see its sessions and tokens.",
            ),
            Self::NoCredential | Self::Credential => (
                StatusCode::UNAUTHORIZED,
                "credential",
                "Show the operator's credential, which the first key of the gate makes.",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failures",
                "Too many wrong credentials; wait a minute.",
            ),
        }
    }

    /// The `Retry-After`, in seconds.
    pub(super) fn retry_after(self) -> Option<u64> {
        (self == Self::TooMany).then_some(WINDOW.as_secs())
    }
}

/// The host names of the internal listener.
#[derive(Debug, Default)]
pub struct InternalHosts(Vec<String>);

impl InternalHosts {
    /// These names, besides `localhost` and IP addresses.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Admits requests for this listener that no browser sent.
    pub(super) fn admit_program(&self, head: &Head) -> Result<(), AccessDenied> {
        self.admit(head)?;
        let sent_by_browser = |name: &str| head.headers.contains_key(name);
        if [header::ORIGIN.as_str(), "sec-fetch-site"].into_iter().any(sent_by_browser) {
            return Err(AccessDenied::Browser);
        }
        Ok(())
    }

    /// Admits requests that name this listener by an IP address, or by a name that an outsider
    /// cannot resolve to it. A page of a rebound DNS name still sends its own name. Only HTTP/1.0
    /// may omit the host, which no browser speaks.
    pub(super) fn admit(&self, head: &Head) -> Result<(), AccessDenied> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let authority = match (head.uri.authority(), hosts.next(), hosts.next()) {
            (Some(authority), _, None) => Some(authority.clone()),
            (None, Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
            (None, None, None) if head.version == Version::HTTP_10 => return Ok(()),
            _ => None,
        };
        let Some(authority) = authority else { return Err(AccessDenied::WrongHost) };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_ours = host.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|name| host.eq_ignore_ascii_case(name));
        if is_ours { Ok(()) } else { Err(AccessDenied::WrongHost) }
    }
}

/// The bearer credential of a request, if there is exactly one (RFC 6750 §2.1).
fn shown(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("callgate").then(|| shown.trim())
}
