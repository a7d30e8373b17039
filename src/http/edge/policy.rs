//! What a gate requires of every request, as its settings say.

use hyper::HeaderMap;
use hyper::Uri;
use hyper::header;
use hyper::header::HeaderValue;

use crate::http::edge::cors::Cors;
use crate::http::edge::hosts::Hosts;
use crate::http::edge::proxies;
use crate::http::edge::proxies::TrustedProxies;
use crate::http::message::conn_info::ConnInfo;

/// What a gate requires of every request. The default requires only that it is well-formed.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// The address the public knows, such as `https://shop.example`, if it was set.
    pub own_origin: Option<String>,
    /// The peers that may name their clients.
    pub proxies: TrustedProxies,
    /// The foreign origins whose pages may read responses.
    pub cors: Cors,
    /// Whether browsers that use https are told to use nothing else (RFC 6797).
    pub hsts: bool,
}

impl Policy {
    /// The host that upstreams are given as the one that the client asked for: that of
    /// `public_origin`, or else one that the settings list, as a trusted proxy or the request
    /// itself names it. What any client can write is not passed on.
    pub(crate) fn told_host(
        &self,
        (uri, headers): (&Uri, &HeaderMap),
        conn: Option<&ConnInfo>,
    ) -> Option<HeaderValue> {
        if let Some(origin) = &self.own_origin {
            let host = origin.split_once("://").map_or(&**origin, |(_, host)| host);
            return HeaderValue::from_str(host).ok();
        }
        let is_proxied = conn.is_some_and(|conn| self.proxies.trusts(conn.peer.ip()));
        let by_proxy = proxies::claimed_host(headers).filter(|_| is_proxied);
        let own = uri.authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
        let own = own.or_else(|| headers.get(header::HOST).cloned());
        let vouched = |host: &HeaderValue| self.hosts.vouches(host.as_bytes(), conn);
        by_proxy.filter(vouched).or_else(|| own.filter(vouched))
    }
}
