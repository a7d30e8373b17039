//! What is decided from the head of a request alone, before anything is looked up.
//!
//! ```text
//!   client (its own address, or what a trusted proxy says)
//!      │
//!   well-formed ─▶ one host, and ours ─▶ within its rate ─▶ not in early data ─▶ origin allowed
//!   400 414 431    400 421               429                425                 403, or a preflight
//!   501
//! ```
//!
//! Whoever is turned away here has reached no row, no session and no token (docs/CONTRACT.md §6.2).
//! What is no request at all, such as a header that never ends or a length that is no number, has
//! been turned away before by hyper: with a bare 400 or 431 that carries no request id and is not
//! in the log, and by closing the connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use hyper::HeaderMap;
use hyper::Response;
use hyper::Uri;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::Timestamp;
use crate::http::answer::AnswerBody;
use crate::http::arrival::Arrival;
use crate::http::cors::Cors;
use crate::http::cors::Grant;
use crate::http::fault::Fault;
use crate::http::head;
use crate::http::hosts::Hosts;
use crate::http::manner::Manner;
use crate::http::proxies;
use crate::http::proxies::TrustedProxies;
use crate::http::rates::Rates;
use crate::table::BasePath;
use crate::table::CanonicalPath;

/// What a gate asks of every request. The default asks for nothing but good form.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// The address the public knows, such as `https://shop.example`, if it was set.
    pub own_origin: Option<String>,
    /// The peers whose word about their clients is taken.
    pub proxies: TrustedProxies,
    /// The foreign origins whose pages may read answers.
    pub cors: Cors,
    /// Whether browsers are told to come over https only, where they do already (RFC 6797).
    pub hsts: bool,
    /// Longest request target. Default 8,192 bytes.
    pub target_bytes_max: usize,
    /// Header fields of a request. Default 100; HTTP/1.1 counts them while it reads.
    pub headers_max: usize,
    /// Bytes of the header fields of an HTTP/2 request as RFC 9113 §6.5.2 counts them, cookies left
    /// aside. Default 16 KiB.
    pub list_bytes_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hosts: Hosts::default(),
            own_origin: None,
            proxies: TrustedProxies::default(),
            cors: Cors::default(),
            hsts: false,
            target_bytes_max: 8_192,
            headers_max: 100,
            list_bytes_max: 16 * 1024,
        }
    }
}

impl Policy {
    /// The host that upstreams are told their clients have asked for: that of the address the
    /// public knows, or else one that the settings vouch for, as a trusted proxy names it or the
    /// request itself. What anybody can write is not passed on as callgate's word.
    pub(crate) fn told_host(
        &self,
        (uri, headers): (&Uri, &HeaderMap),
        arrival: Option<&Arrival>,
    ) -> Option<HeaderValue> {
        if let Some(origin) = &self.own_origin {
            let host = origin.split_once("://").map_or(&**origin, |(_, host)| host);
            return HeaderValue::from_str(host).ok();
        }
        let is_proxied = arrival.is_some_and(|arrival| self.proxies.trusts(arrival.peer.ip()));
        let by_proxy = proxies::claimed_host(headers).filter(|_| is_proxied);
        let own = uri.authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
        let own = own.or_else(|| headers.get(header::HOST).cloned());
        let vouched = |host: &HeaderValue| self.hosts.vouches(host.as_bytes(), arrival);
        by_proxy.filter(vouched).or_else(|| own.filter(vouched))
    }
}

/// The policy at work.
#[derive(Debug)]
pub(crate) struct Front {
    policy: Policy,
    base_path: BasePath,
    rates: Arc<Rates>,
    /// Whether the log says already that there is a proxy and no `public_origin`.
    said_proxied: AtomicBool,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) arrival: Option<Arrival>,
    /// The address behind all proxies of ours; `None` where there is no connection.
    pub(crate) address: Option<IpAddr>,
    pub(crate) now: Timestamp,
}

impl Front {
    pub(crate) fn new(policy: Policy, base_path: BasePath, rates: Arc<Rates>) -> Self {
        Self { policy, base_path, rates, said_proxied: AtomicBool::new(false) }
    }

    /// Who asks: the peer of the connection, or the client whom a proxy of ours names.
    pub(crate) fn caller(
        &self,
        headers: &HeaderMap,
        arrival: Option<Arrival>,
        now: Timestamp,
    ) -> Caller {
        let client = |arrival: Arrival| self.policy.proxies.client(headers, arrival.peer.ip());
        Caller { arrival, address: arrival.map(client), now }
    }

    /// Lets a request in, turns it away, or answers it if it is a preflight.
    pub(crate) fn admit(
        &self,
        head: &mut Head,
        caller: &Caller,
        manner: &mut Manner,
    ) -> Result<Option<Response<AnswerBody>>, Fault> {
        // For a name of this machine the word would hold for each of its servers, on every port.
        let afar =
            |arrival: Arrival| arrival.tls && !arrival.local.ip().to_canonical().is_loopback();
        let is_https = caller.arrival.is_some_and(afar) || self.policy.hosts.is_https();
        manner.hsts = self.policy.hsts && is_https;
        let admitted = self.judge(head, caller, manner);
        if admitted.is_err() {
            // Which parameter of it might be a token is for its row to say, and nobody asks.
            manner.saw_token = true;
            let path = CanonicalPath::of(head.uri.path(), &self.base_path).ok();
            if let Some(reserved) = path.and_then(|path| path.reserved()) {
                manner.speak_to(reserved);
            }
        }
        admitted
    }

    fn judge(
        &self,
        head: &mut Head,
        caller: &Caller,
        manner: &mut Manner,
    ) -> Result<Option<Response<AnswerBody>>, Fault> {
        let policy = &self.policy;
        // Before fields are counted: HTTP/2 sends each cookie in a field of its own.
        head::join_cookies(head);
        // Counted before it is looked at: nonsense costs too. Told afterwards: the answer to a
        // request that is framed ambiguously must close its connection.
        let in_rate = self.rates.request(caller.address, caller.now);
        head::check(head, policy)?;
        policy.hosts.admit(head, caller.arrival.as_ref())?;
        head::name_host(head);
        if let Err(wait) = in_rate {
            return Err(Fault::rate_limited(wait));
        }
        self.miss_an_origin(&head.headers);
        if head::is_early(head) {
            return Err(Fault::too_early());
        }
        if !policy.cors.is_on() {
            return Ok(None);
        }
        let grant = manner.grant.insert(Grant::default());
        let judged = policy.cors.judge(head, policy.own_origin.as_deref())?;
        *grant = judged.grant;
        Ok(judged.preflight)
    }

    /// The peer, if it speaks for others without being trusted: a proxy that nobody named as one is
    /// held for a single busy client, by whatever limit.
    pub(crate) fn untrusted_proxy(
        &self,
        headers: &HeaderMap,
        arrival: Option<Arrival>,
    ) -> Option<IpAddr> {
        let peer = arrival.filter(|_| proxies::are_claimed(headers))?.peer.ip();
        (!self.policy.proxies.trusts(peer)).then_some(peer)
    }

    /// Behind a proxy, links are made for the address of this process and cookies are not Secure
    /// unless `public_origin` is set. The log says so once.
    fn miss_an_origin(&self, headers: &HeaderMap) {
        if self.policy.own_origin.is_none()
            && proxies::are_claimed(headers)
            && !self.said_proxied.swap(true, Ordering::Relaxed)
        {
            let advice = "requests come through a proxy and public_origin is not set: links lead to \
                          the address of this process, and cookies are not Secure; set \
                          public_origin to the address that the public knows";
            tracing::warn!(event = "proxy.no_public_origin", "{advice}");
        }
    }
}
