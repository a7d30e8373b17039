//! Admission: what is decided from the head of a request alone, before anything is looked up.
//!
//! ```text
//!   client (its own address, or what a trusted proxy says)
//!      │
//!   well-formed ─▶ one host, and ours ─▶ within its rate ─▶ not in early data ─▶ origin allowed
//!   400 414 431    400 421               429                425                 403, or a preflight
//!   501
//! ```
//!
//! A request that is refused here has reached no row, no session and no token
//! (docs/CONTRACT.md §6.2). What hyper cannot parse, such as a header that never ends or a length
//! that is no number, it has refused before: with a bare 400 or 431 that has no request id and is
//! not in the log, and by closing the connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use hyper::HeaderMap;
use hyper::Response;
use hyper::http::request::Parts as Head;

use crate::base::Timestamp;
use crate::flow::rates::Rates;
use crate::http::edge::cors::CorsGrant;
pub use crate::http::edge::policy::Policy;
use crate::http::edge::proxies;
use crate::http::edge::well_formed;
use crate::http::limits::Limits;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::conn_info::ConnInfo;
use crate::http::message::fault::Fault;
use crate::http::message::head;

/// The policy, applied to requests.
#[derive(Debug)]
pub(crate) struct Admission {
    policy: Policy,
    limits: Limits,
    rates: Arc<Rates>,
    /// Whether the log says already that there is a proxy and no `public_origin`.
    said_proxied: AtomicBool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientAddress {
    pub(crate) conn: Option<ConnInfo>,
    /// The address behind all trusted proxies; `None` where there is no connection.
    pub(crate) address: Option<IpAddr>,
    /// The peer, if it names clients without being trusted to. A proxy that is not listed as one
    /// looks like a single busy client to every limit.
    pub(crate) untrusted_proxy: Option<IpAddr>,
}

/// What admission made of a request.
pub(crate) struct Admitted {
    /// What the response says about origins; `None` where there are no rules for them, or the
    /// request was refused before.
    pub(crate) grant: Option<CorsGrant>,
    /// The response, if the request is a preflight.
    pub(crate) verdict: Result<Option<Response<ResponseBody>>, Fault>,
}

impl Admission {
    pub(crate) fn new(policy: Policy, limits: Limits, rates: Arc<Rates>) -> Self {
        Self { policy, limits, rates, said_proxied: AtomicBool::new(false) }
    }

    /// The client: the peer of the connection, or whom a trusted proxy names.
    pub(crate) fn client(&self, headers: &HeaderMap, conn: Option<ConnInfo>) -> ClientAddress {
        let proxies = &self.policy.proxies;
        let peer = conn.map(|conn| conn.peer.ip());
        let untrusted = |peer: &IpAddr| proxies::are_claimed(headers) && !proxies.trusts(*peer);
        ClientAddress {
            conn,
            address: peer.map(|peer| proxies.client(headers, peer)),
            untrusted_proxy: peer.filter(untrusted),
        }
    }

    /// Whether the response may tell the browser to use https only. For a name of this machine
    /// that would hold for all of its servers, on every port.
    pub(crate) fn may_require_https(&self, conn: Option<ConnInfo>) -> bool {
        let afar = |conn: ConnInfo| conn.tls && !conn.local.ip().to_canonical().is_loopback();
        self.policy.hsts && (conn.is_some_and(afar) || self.policy.hosts.is_https())
    }

    /// Admits a request, refuses it, or responds to it if it is a preflight.
    pub(crate) fn admit(
        &self,
        head: &mut Head,
        client: &ClientAddress,
        now: Timestamp,
    ) -> Admitted {
        if let Err(fault) = self.check(head, client, now) {
            return Admitted { grant: None, verdict: Err(fault) };
        }
        if !self.policy.cors.is_on() {
            return Admitted { grant: None, verdict: Ok(None) };
        }
        match self.policy.cors.judge(head, self.policy.own_origin.as_deref()) {
            Ok(judged) => Admitted { grant: Some(judged.grant), verdict: Ok(judged.preflight) },
            Err(fault) => Admitted { grant: Some(CorsGrant::default()), verdict: Err(fault) },
        }
    }

    fn check(&self, head: &mut Head, client: &ClientAddress, now: Timestamp) -> Result<(), Fault> {
        let policy = &self.policy;
        // Before fields are counted: HTTP/2 sends each cookie in a field of its own.
        head::join_cookies(head);
        // Counted before anything is checked: malformed requests cost too. Refused afterwards: the
        // response to a request that is framed ambiguously must close its connection.
        let in_rate = self.rates.request(client.address, now);
        well_formed::check(head, &self.limits)?;
        policy.hosts.admit(head, client.conn.as_ref())?;
        head::name_host(head);
        if let Err(wait) = in_rate {
            return Err(Fault::rate_limited(wait));
        }
        self.miss_an_origin(&head.headers);
        if head::is_early(head) {
            return Err(Fault::too_early());
        }
        Ok(())
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
