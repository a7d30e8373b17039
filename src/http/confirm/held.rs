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

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
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
use crate::base::entropy::NoEntropy;
use crate::base::hex;

/// How long a request is stored for a redirected browser.
pub(crate) const HOP_SECS: u64 = 60;
/// Requests stored at once; beyond that the oldest is evicted.
const HELD_MAX: usize = 4_096;
/// Maximum bytes of all of them.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The stored requests.
#[derive(Default)]
pub struct HeldRequests(Mutex<HeldTable>);

#[derive(Default)]
struct HeldTable {
    sealed: HashMap<Digest, Sealed>,
    order: VecDeque<Digest>,
    bytes: usize,
}

struct Sealed {
    until: Timestamp,
    bytes: Vec<u8>,
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
    /// Stores a request until then, and returns its ticket. `None` if it is too large.
    pub(crate) fn keep(
        &self,
        request: &HeldRequest,
        entropy: &dyn Entropy,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<String>, NoEntropy> {
        let ticket: Secret<16> = Secret::random(entropy)?;
        let mut bytes = request.write();
        if bytes.len() > HELD_BYTES_MAX / 4 {
            return Ok(None);
        }
        // Each ticket encrypts once, so its nonce need not be unique.
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let sealed = key(&ticket)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes);
        sealed.map_err(|ring::error::Unspecified| NoEntropy)?;
        let mut ledger = self.lock();
        ledger.make_room(bytes.len(), now);
        ledger.bytes += bytes.len();
        let name = name(&ticket);
        ledger.order.push_back(name);
        ledger.sealed.insert(name, Sealed { until, bytes });
        Ok(Some(hex::upper(ticket.expose())))
    }

    /// Retrieves the request of a ticket, once.
    pub(crate) fn take(&self, ticket: &str, now: Timestamp) -> Option<HeldRequest> {
        let ticket: Secret<16> = hex::read(ticket).map(Secret::new).ok()?;
        let sealed = self.lock().remove(&name(&ticket))?;
        if sealed.until <= now {
            return None;
        }
        let mut bytes = sealed.bytes;
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let text = key(&ticket).ok()?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
        HeldRequest::read(text)
    }

    fn lock(&self) -> MutexGuard<'_, HeldTable> {
        // A panic under the lock has changed one entry or none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldTable {
    /// Removes expired requests, and beyond the bounds the oldest ones.
    fn make_room(&mut self, bytes: usize, now: Timestamp) {
        while let Some(oldest) = self.order.front().copied() {
            let is_over = self.sealed.get(&oldest).is_none_or(|sealed| sealed.until <= now);
            let is_full = self.sealed.len() >= HELD_MAX || self.bytes + bytes > HELD_BYTES_MAX;
            if !is_over && !is_full {
                break;
            }
            self.order.pop_front();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, name: &Digest) -> Option<Sealed> {
        let sealed = self.sealed.remove(name)?;
        self.bytes -= sealed.bytes.len();
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
        write!(f, "HeldRequests({} requests)", self.lock().sealed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::entropy::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn request(bytes: usize) -> HeldRequest {
        let head = hyper::Request::post("/paid?a=b").header("x-a", "1").header("x-a", "2");
        let head = head.body(()).unwrap().into_parts().0;
        HeldRequest::of(&head, &Bytes::from(vec![7; bytes]))
    }

    #[test]
    fn a_request_is_given_out_once_and_in_time() {
        let (held, entropy) = (HeldRequests::default(), SeededEntropy::new(1));
        let keep = || held.keep(&request(9), &entropy, (NOW, NOW.after_secs(60))).unwrap().unwrap();
        let (ticket, late) = (keep(), keep());
        assert!(held.take(&ticket, NOW.after_secs(59)).unwrap() == request(9));
        assert!(held.take(&ticket, NOW).is_none());
        assert!(held.take(&late, NOW.after_secs(60)).is_none());
        assert!(held.take("", NOW).is_none() && held.take(&"0".repeat(32), NOW).is_none());
    }

    #[test]
    fn memory_is_bounded_and_holds_nothing_in_the_clear() {
        let (held, entropy) = (HeldRequests::default(), SeededEntropy::new(1));
        let keep = |bytes| held.keep(&request(bytes), &entropy, (NOW, NOW.after_secs(60))).unwrap();
        let first = keep(100).unwrap();
        let sealed = held.lock().sealed.values().next().unwrap().bytes.clone();
        assert!(!sealed.windows(4).any(|part| part == [7; 4] || part == b"paid"));
        for _ in 0..HELD_MAX {
            assert!(keep(1).is_some());
        }
        assert!(held.take(&first, NOW).is_none(), "the oldest made room");
        for _ in 0..20 {
            assert!(keep(HELD_BYTES_MAX / 5).is_some());
        }
        assert!(held.lock().bytes <= HELD_BYTES_MAX && held.lock().sealed.len() <= 5);
        assert!(keep(HELD_BYTES_MAX / 4).is_none());
    }
}
