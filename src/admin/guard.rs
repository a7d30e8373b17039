//! Who may use the internal listener for more than health: programs, and no browser
//! (docs/SECURITY.md T52).
//!
//! The session API opens by its capability, the operator's view by the key of the gate. Whoever may
//! read the first key of the gate may operate it: he could make himself a cookie for any session
//! anyway. Pages of a browser on the same machine reach the listener too, by its address or by a
//! name that they let point to it. So what only browsers send is refused, and every path, health
//! included, is answered under addresses, `localhost` and the names of `internal_hosts` only.

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

/// Wrong credentials of one peer within [`WINDOW`] before he is told to wait
/// (docs/SECURITY.md D.6).
const FAILURES_MAX: u32 = 10;
/// How long wrong credentials are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// Peers that are counted; those beyond are treated as if they had used up their share.
const PEERS_MAX: usize = 1_024;

/// What an operator must show.
#[derive(Debug, Clone)]
pub enum Entry {
    /// What [`Keyring::operator`](crate::session::Keyring::operator) makes of the first key.
    Key {
        /// The file that holds the key, if one does. Whoever comes from this machine is told its
        /// name, so that he need not know where the gate keeps it; to read it is another matter.
        file: Option<PathBuf>,
        /// Whether who shows too many wrong ones is told to wait (`rate_limits`).
        limited: bool,
    },
    /// Nothing lets anybody in: the keys live and end with the process, so nobody can make a
    /// credential, and without one every program of this machine could end sessions.
    Closed,
}

/// The guard of one listener.
pub(super) struct Guard {
    sessions: Arc<Sessions>,
    entry: Entry,
    hosts: Arc<InternalHosts>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    since: Timestamp,
    of: HashMap<IpAddr, u32>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The request names a host that this listener is not.
    WrongHost,
    /// A browser sent it.
    Browser,
    /// There is no credential that could let anybody in.
    Closed,
    /// No credential: the first step of whoever has to learn which one.
    Unshown,
    /// A wrong credential.
    Credential,
    /// Too many wrong ones.
    TooMany,
}

impl Guard {
    pub(super) fn new(sessions: Arc<Sessions>, entry: Entry, hosts: Arc<InternalHosts>) -> Self {
        Self { sessions, entry, hosts, failures: Mutex::default() }
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, head: &Head, conn: ConnInfo) -> Result<(), Refused> {
        self.hosts.admit_program(head)?;
        match &self.entry {
            Entry::Closed => Err(Refused::Closed),
            Entry::Key { limited, .. } => match shown(&head.headers) {
                // A right one always passes: 256 bits are not found by trying, and otherwise any
                // program on this machine could keep the operator out.
                Some(shown) if self.is_right(head, shown) => Ok(()),
                Some(_) if *limited => Err(self.failed(conn.peer.ip())),
                Some(_) => Err(Refused::Credential),
                None => Err(Refused::Unshown),
            },
        }
    }

    fn is_right(&self, head: &Head, shown: &str) -> bool {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let asked = (head.method.as_str(), target);
        self.sessions.keyring.admits_operator(asked, self.sessions.clock.now(), shown)
    }

    /// What to show, as the value of `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub(super) fn challenge(&self, conn: ConnInfo) -> String {
        // What stands in quotes must be visible and may be neither quote nor backslash.
        const UNSEEN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'\\').add(b'%');
        let app = format!("Callgate app=\"{}\"", self.sessions.app());
        match &self.entry {
            Entry::Key { file: Some(file), .. } if conn.peer.ip().to_canonical().is_loopback() => {
                let file = percent_encode(file.as_os_str().as_encoded_bytes(), UNSEEN);
                format!("{app}, key-file=\"{file}\"")
            }
            _ => app,
        }
    }

    /// Counts a wrong credential.
    fn failed(&self, peer: IpAddr) -> Refused {
        let now = self.sessions.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if now < failures.since || now.since(failures.since) >= WINDOW {
            *failures = Failures { since: now, of: HashMap::new() };
        }
        if failures.of.len() >= PEERS_MAX && !failures.of.contains_key(&peer) {
            return Refused::TooMany;
        }
        let count = failures.of.entry(peer).or_default();
        *count = count.saturating_add(1);
        if *count > FAILURES_MAX { Refused::TooMany } else { Refused::Credential }
    }
}

impl Refused {
    /// The status, a stable code, and what to do about it.
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
            Self::Unshown | Self::Credential => (
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

    /// How long to wait before another attempt.
    pub(super) fn retry_after(self) -> Option<u64> {
        (self == Self::TooMany).then_some(WINDOW.as_secs())
    }
}

/// The names under which the internal listener answers.
#[derive(Debug, Default)]
pub struct InternalHosts(Vec<String>);

impl InternalHosts {
    /// These names, besides `localhost` and IP addresses.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Lets in what is for this listener, and no browser's.
    pub(super) fn admit_program(&self, head: &Head) -> Result<(), Refused> {
        self.admit(head)?;
        let sent_by_browser = |name: &str| head.headers.contains_key(name);
        if [header::ORIGIN.as_str(), "sec-fetch-site"].into_iter().any(sent_by_browser) {
            return Err(Refused::Browser);
        }
        Ok(())
    }

    /// Lets in what names this listener by an address, or by a name that no outsider can let point
    /// here. A page of a rebound name still says its own. Only HTTP/1.0 may name none, which no
    /// browser speaks.
    pub(super) fn admit(&self, head: &Head) -> Result<(), Refused> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let authority = match (head.uri.authority(), hosts.next(), hosts.next()) {
            (Some(authority), _, None) => Some(authority.clone()),
            (None, Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
            (None, None, None) if head.version == Version::HTTP_10 => return Ok(()),
            _ => None,
        };
        let Some(authority) = authority else { return Err(Refused::WrongHost) };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_ours = host.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|name| host.eq_ignore_ascii_case(name));
        if is_ours { Ok(()) } else { Err(Refused::WrongHost) }
    }
}

/// The one bearer credential of a request (RFC 6750 §2.1).
fn shown(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("callgate").then(|| shown.trim())
}
