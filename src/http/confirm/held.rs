//! Requests that wait for a browser to send its cookie, or for a user to consent.
//!
//! A form that another site sends arrives without the `Lax` session cookie, so it is unknown
//! whether the browser is signed in. The request is stored and the browser redirected to a GET of
//! this site, which includes the cookie:
//!
//! ```text
//!   POST /paid  (from another site, with a token)  ─▶ stored, 303 to
//!   GET /paid?$4DHOP=ticket  (with the cookie)     ─▶ other session? the confirmation page
//!                                                  ─▶ otherwise the original POST
//! ```
//!
//! The stored request is encrypted with its ticket, which only the browser has, and can be
//! retrieved once. It is kept in the memory of this node. Behind a balancer the GET must reach the
//! same node within the minute, or the sender is asked to send again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;
use hyper::Method;
use hyper::Uri;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;
use ring::aead;
use ring::aead::Aad;
use ring::aead::LessSafeKey;
use ring::aead::Nonce;
use ring::aead::UnboundKey;

use crate::base::Digest;
use crate::base::Entropy;
use crate::base::Secret;
use crate::base::Timestamp;
use crate::base::limits::CONFIRM_PAGE_SECS;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::flow::rates::network_of;

/// How long a request is stored for a redirected browser.
const HOP_SECS: u64 = 60;
/// Requests of one reason that are stored at once.
const HELD_MAX: usize = 2_048;
/// Maximum bytes of all of them.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Requests of one client among them.
const CLIENT_MAX: usize = HELD_MAX / 2;
/// Maximum bytes of all requests of one client. A single request may take all of them.
const CLIENT_BYTES_MAX: usize = HELD_BYTES_MAX / 2;

/// The stored requests. Each reason has bounds of its own.
///
/// A client at its bound loses its own oldest request. When the requests of all clients reach the
/// bound, the client that stores most loses its oldest one, so that no client can displace the
/// requests of others that store less.
#[derive(Default)]
pub struct HeldRequests {
    cookie: Mutex<HeldTable>,
    consent: Mutex<HeldTable>,
}

/// What a stored request waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeldFor {
    /// The cookie of the redirected browser.
    Cookie,
    /// The form of the confirmation page.
    Consent,
}

/// A request that begins to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) held_for: HeldFor,
    /// The address of the client; `None` for a request that comes over no network.
    pub(crate) client: Option<IpAddr>,
    pub(crate) since: Timestamp,
}

/// Why a request is not stored.
#[derive(Debug)]
pub(crate) enum NotHeld {
    TooLarge,
    /// Its client stores more than any other already.
    Full,
    NoEntropy,
}

#[derive(Default)]
struct HeldTable {
    /// The requests in the order in which they were stored.
    sealed: BTreeMap<u64, Sealed>,
    numbers: HashMap<Digest, u64>,
    clients: HashMap<Option<IpAddr>, Share>,
    bytes: usize,
    next: u64,
}

struct Sealed {
    name: Digest,
    /// The network of the client; `None` for requests that come over no network.
    client: Option<IpAddr>,
    until: Timestamp,
    bytes: Vec<u8>,
}

/// What is stored of one client.
#[derive(Default)]
struct Share {
    numbers: BTreeSet<u64>,
    bytes: usize,
}

/// A stored request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeldRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl HeldRequests {
    /// Stores a request, and returns its ticket.
    pub(crate) fn keep(
        &self,
        request: &HeldRequest,
        waiting: Waiting,
        entropy: &dyn Entropy,
    ) -> Result<String, NotHeld> {
        let ticket: Secret<16> = Secret::random(entropy)?;
        let mut bytes = request.write();
        if bytes.len() > CLIENT_BYTES_MAX - aead::MAX_TAG_LEN {
            return Err(NotHeld::TooLarge);
        }
        // Each ticket encrypts once, so its nonce need not be unique.
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let sealed = key(&ticket)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes);
        sealed.map_err(|ring::error::Unspecified| NoEntropy)?;
        let Waiting { held_for, client, since } = waiting;
        let client = client.map(network_of);
        let (name, until) = (name(&ticket), since.after_secs(held_for.secs()));
        let mut table = self.lock(held_for);
        table.remove_expired(since);
        let is_stored = table.insert(Sealed { name, client, until, bytes });
        if is_stored { Ok(hex::upper(ticket.expose())) } else { Err(NotHeld::Full) }
    }

    /// Retrieves the request of a ticket, once.
    pub(crate) fn take(&self, ticket: &str, now: Timestamp) -> Option<HeldRequest> {
        let ticket: Secret<16> = hex::read(ticket).map(Secret::new).ok()?;
        let name = name(&ticket);
        let mut tables = [HeldFor::Cookie, HeldFor::Consent].into_iter();
        let sealed = tables.find_map(|held_for| self.lock(held_for).take(&name))?;
        if sealed.until <= now {
            return None;
        }
        let mut bytes = sealed.bytes;
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let text = key(&ticket).ok()?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
        HeldRequest::read(text)
    }

    fn lock(&self, held_for: HeldFor) -> MutexGuard<'_, HeldTable> {
        let table = match held_for {
            HeldFor::Cookie => &self.cookie,
            HeldFor::Consent => &self.consent,
        };
        // Nothing under the lock panics.
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<NoEntropy> for NotHeld {
    fn from(NoEntropy: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

impl HeldFor {
    fn secs(self) -> u64 {
        match self {
            Self::Cookie => HOP_SECS,
            Self::Consent => CONFIRM_PAGE_SECS,
        }
    }
}

impl HeldTable {
    /// Stores a request, and removes others beyond the bounds. Whether it is stored.
    fn insert(&mut self, sealed: Sealed) -> bool {
        let (number, client) = (self.next, sealed.client);
        self.next += 1;
        self.bytes += sealed.bytes.len();
        let share = self.clients.entry(client).or_default();
        share.bytes += sealed.bytes.len();
        share.numbers.insert(number);
        self.numbers.insert(sealed.name, number);
        self.sealed.insert(number, sealed);
        while let Some(oldest) = self.oldest_beyond_bounds(client) {
            self.remove(oldest);
        }
        self.sealed.contains_key(&number)
    }

    /// The request that has to make room, after one of `client` was stored.
    fn oldest_beyond_bounds(&self, client: Option<IpAddr>) -> Option<u64> {
        let own = self.clients.get(&client)?;
        if own.numbers.len() > CLIENT_MAX || own.bytes > CLIENT_BYTES_MAX {
            return own.numbers.first().copied();
        }
        let size: fn(&Share) -> usize = if self.bytes > HELD_BYTES_MAX {
            |share| share.bytes
        } else if self.sealed.len() > HELD_MAX {
            |share| share.numbers.len()
        } else {
            return None;
        };
        // Of several with the same size, the one whose oldest request is oldest.
        let largest = self
            .clients
            .values()
            .max_by_key(|share| (size(share), std::cmp::Reverse(share.numbers.first().copied())));
        largest?.numbers.first().copied()
    }

    /// Removes expired requests. All of a table are stored for the same time, so they expire in
    /// the order in which they were stored.
    fn remove_expired(&mut self, now: Timestamp) {
        while let Some((number, oldest)) = self.sealed.first_key_value()
            && oldest.until <= now
        {
            let number = *number;
            self.remove(number);
        }
    }

    fn take(&mut self, name: &Digest) -> Option<Sealed> {
        let number = *self.numbers.get(name)?;
        self.remove(number)
    }

    fn remove(&mut self, number: u64) -> Option<Sealed> {
        let sealed = self.sealed.remove(&number)?;
        self.numbers.remove(&sealed.name);
        self.bytes -= sealed.bytes.len();
        if let Entry::Occupied(mut share) = self.clients.entry(sealed.client) {
            share.get_mut().bytes -= sealed.bytes.len();
            share.get_mut().numbers.remove(&number);
            if share.get().numbers.is_empty() {
                share.remove();
            }
        }
        Some(sealed)
    }
}

impl HeldRequest {
    /// The request from a head and its body, without connection-specific fields.
    pub(crate) fn of(head: &Head, body: &Bytes) -> Self {
        let (method, uri) = (head.method.clone(), head.uri.clone());
        Self { method, uri, headers: head.headers.clone(), body: body.clone() }
    }

    fn write(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.body.len() + 1_024);
        let uri = self.uri.to_string();
        let fields =
            self.headers.iter().flat_map(|(name, value)| [name.as_ref(), value.as_bytes()]);
        let parts = [self.method.as_str().as_bytes(), uri.as_bytes()];
        for part in parts.into_iter().chain(fields) {
            text.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            text.extend(part);
        }
        text.extend(u32::MAX.to_be_bytes());
        text.extend(&self.body);
        text
    }

    fn read(mut text: &[u8]) -> Option<Self> {
        let mut parts = Vec::new();
        loop {
            let (length, rest) = text.split_first_chunk::<4>()?;
            let length = u32::from_be_bytes(*length);
            if length == u32::MAX {
                text = rest;
                break;
            }
            let (part, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            parts.push(part);
            text = rest;
        }
        let ([method, uri], fields) = parts.split_first_chunk::<2>()?;
        let mut headers = hyper::HeaderMap::new();
        for field in fields.chunks_exact(2) {
            let [name, value] = field else { return None };
            let name = HeaderName::from_bytes(name).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(Self {
            method: Method::from_bytes(method).ok()?,
            uri: std::str::from_utf8(uri).ok()?.parse().ok()?,
            headers,
            body: Bytes::copy_from_slice(text),
        })
    }
}

/// The key under which an encrypted request is stored. The ticket cannot be derived from it.
fn name(ticket: &Secret<16>) -> Digest {
    Digest::of("held", "", ticket)
}

fn key(ticket: &Secret<16>) -> Result<LessSafeKey, NoEntropy> {
    let bytes: Secret<32> = ticket.derived("held", &[]);
    // The length of the key is correct.
    let key = UnboundKey::new(&aead::AES_256_GCM, bytes.expose()).map_err(|_| NoEntropy)?;
    Ok(LessSafeKey::new(key))
}

/// Their number only.
impl fmt::Debug for HeldRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cookie, consent] =
            [HeldFor::Cookie, HeldFor::Consent].map(|held_for| self.lock(held_for).sealed.len());
        write!(f, "HeldRequests({cookie} for a cookie, {consent} for consent)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn request(bytes: usize) -> HeldRequest {
        let head = hyper::Request::post("/paid?a=b").header("x-a", "1").header("x-a", "2");
        let head = head.body(()).unwrap().into_parts().0;
        HeldRequest::of(&head, &Bytes::from(vec![7; bytes]))
    }

    fn held() -> HeldRequests {
        HeldRequests::default()
    }

    fn keep_for(
        held: &HeldRequests,
        (held_for, client): (HeldFor, &str),
        bytes: usize,
    ) -> Result<String, NotHeld> {
        // Each ticket has to differ from the others.
        let entropy = SeededEntropy::new(held.lock(held_for).next);
        let waiting = Waiting { held_for, client: client.parse().ok(), since: NOW };
        held.keep(&request(bytes), waiting, &entropy)
    }

    fn keep(held: &HeldRequests, client: &str, bytes: usize) -> String {
        keep_for(held, (HeldFor::Cookie, client), bytes).unwrap()
    }

    fn has(held: &HeldRequests, ticket: &str) -> bool {
        held.take(ticket, NOW).is_some()
    }

    #[test]
    fn a_request_is_returned_once_and_in_time() {
        for (held_for, secs) in [(HeldFor::Cookie, 60), (HeldFor::Consent, 600)] {
            let held = held();
            let keep = || keep_for(&held, (held_for, "192.0.2.1"), 9).unwrap();
            let (ticket, late) = (keep(), keep());
            assert!(held.take(&ticket, NOW.after_secs(secs - 1)).unwrap() == request(9));
            assert!(held.take(&ticket, NOW).is_none());
            assert!(held.take(&late, NOW.after_secs(secs)).is_none());
            assert!(held.take("", NOW).is_none() && held.take(&"0".repeat(32), NOW).is_none());
            let table = held.lock(held_for);
            assert!(table.clients.is_empty() && table.numbers.is_empty() && table.bytes == 0);
        }
    }

    #[test]
    fn nothing_is_stored_in_the_clear() {
        let held = held();
        keep(&held, "192.0.2.1", 100);
        let sealed = held.lock(HeldFor::Cookie).sealed[&0].bytes.clone();
        assert!(!sealed.windows(4).any(|part| part == [7; 4] || part == b"paid"));
    }

    #[test]
    fn expired_requests_are_removed_when_others_are_stored() {
        let (held, entropy) = (held(), SeededEntropy::new(99));
        keep(&held, "192.0.2.1", 1);
        let waiting =
            Waiting { held_for: HeldFor::Cookie, client: None, since: NOW.after_secs(HOP_SECS) };
        held.keep(&request(1), waiting, &entropy).unwrap();
        assert_eq!(held.lock(HeldFor::Cookie).sealed.len(), 1);
    }

    #[test]
    fn a_client_at_its_bound_displaces_its_own_requests_only() {
        let held = held();
        let others = ["192.0.2.2", "2001:db8:0:1::1", ""].map(|client| keep(&held, client, 1));
        let first = keep(&held, "2001:db8::1", 1);
        for host in 0..CLIENT_MAX {
            keep(&held, &format!("2001:db8::{host:x}"), 1);
        }
        assert!(!has(&held, &first), "one network of IPv6 is one client");
        let large = keep(&held, "192.0.2.1", CLIENT_BYTES_MAX - 1_024);
        let next = keep(&held, "192.0.2.1", 2_048);
        assert!(!has(&held, &large) && has(&held, &next));
        assert!(others.iter().all(|other| has(&held, other)));
        let too_large = keep_for(&held, (HeldFor::Cookie, "192.0.2.1"), CLIENT_BYTES_MAX);
        assert!(matches!(too_large, Err(NotHeld::TooLarge)));
    }

    #[test]
    fn beyond_the_bounds_of_all_the_largest_client_makes_room() {
        let held = held();
        let small = keep(&held, "192.0.2.1", 1_024);
        let large = ["192.0.2.2", "192.0.2.3"].map(|it| keep(&held, it, CLIENT_BYTES_MAX - 4_096));
        let next = keep(&held, "192.0.2.4", CLIENT_BYTES_MAX / 2);
        assert!(has(&held, &small) && has(&held, &next));
        assert!(!has(&held, &large[0]) && has(&held, &large[1]));
        // A client that would be the largest gets no room from those that store less.
        let medium = [5, 6, 7].map(|it| keep(&held, &format!("192.0.2.{it}"), HELD_BYTES_MAX / 4));
        let full = keep_for(&held, (HeldFor::Cookie, "192.0.2.8"), HELD_BYTES_MAX / 3);
        assert!(matches!(full, Err(NotHeld::Full)));
        assert!(medium.iter().all(|it| has(&held, it)));
    }

    #[test]
    fn beyond_the_number_of_all_the_client_with_most_makes_room() {
        let held = held();
        let lone = keep(&held, "198.51.100.1", 1);
        let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        for client in clients.iter().cycle().take(HELD_MAX) {
            keep(&held, client, 1);
        }
        assert_eq!(held.lock(HeldFor::Cookie).sealed.len(), HELD_MAX);
        assert!(has(&held, &lone));
    }

    #[test]
    fn requests_that_wait_for_consent_displace_none_that_wait_for_a_cookie() {
        let held = held();
        let ticket = keep(&held, "192.0.2.1", 1);
        for _ in 0..=HELD_MAX {
            keep_for(&held, (HeldFor::Consent, "192.0.2.1"), 1).unwrap();
        }
        assert!(has(&held, &ticket));
        assert_eq!(held.lock(HeldFor::Consent).sealed.len(), CLIENT_MAX);
    }
}
