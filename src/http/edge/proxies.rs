//! Whose word is taken for where a request comes from.
//!
//! A proxy hides the address of its clients and passes it on in a header; any client can write that
//! header, too. It is believed from peers that the settings name, and read from the right, because
//! what stands to the left of a proxy's own entry came from outside (docs/SECURITY.md D.1, ASVS
//! 4.1.3). The address is for logs, limits and handlers: neither these headers nor
//! `X-Forwarded-Host` and `X-Forwarded-Proto` ever become part of an address that callgate writes.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The networks whose peers are proxies of ours; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// A network in CIDR form (RFC 4632, RFC 4291), such as `10.0.0.0/8` or `2001:db8::/32`; a single
/// address stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// IPv4 as IPv4-mapped IPv6, so that both spellings of an address are one.
    base: u128,
    /// Of the 128 bits of `base`.
    bits: u32,
}

/// Bits in front of a mapped IPv4 address.
const MAPPED_BITS: u32 = 96;

impl TrustedProxies {
    /// Trusts the peers in these networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// The networks.
    pub fn networks(&self) -> &[Network] {
        &self.0
    }

    /// Whether a peer with this address is a proxy of ours.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The address of the client behind a connection from `peer`.
    ///
    /// It is the right-most address in `Forwarded` (RFC 7239) or `X-Forwarded-For` that is no
    /// proxy of ours, or the left-most if all are. Where both headers stand they must name the
    /// same client: a proxy writes one of them and lets the other pass as it came. Whatever does
    /// not add up counts for nothing, and the request is the peer's own.
    pub(crate) fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let told = |name: &HeaderName, read: fn(&str) -> Option<IpAddr>| {
            headers.contains_key(name).then(|| self.outermost(headers, name, read))
        };
        let forwarded = told(&header::FORWARDED, forwarded_for);
        let plain = told(&X_FORWARDED_FOR, node);
        match (forwarded, plain) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(told), _) | (None, Some(told)) => told.unwrap_or(peer),
            (None, None) => peer,
        }
    }

    /// The first hop from the right that is not trusted; `None` where a hop cannot be read.
    fn outermost(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        read: fn(&str) -> Option<IpAddr>,
    ) -> Option<IpAddr> {
        let mut outermost = None;
        for value in headers.get_all(name).iter().rev() {
            for hop in value.to_str().ok()?.rsplit(',') {
                let address = read(hop.trim())?.to_canonical();
                outermost = Some(address);
                if !self.trusts(address) {
                    return outermost;
                }
            }
        }
        outermost
    }
}

/// Whether a request brings the word of a proxy, trusted or not.
pub(crate) fn are_claimed(headers: &HeaderMap) -> bool {
    [header::FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// The host that the last proxy says its client has asked for. `Forwarded` is left aside: what a
/// proxy quotes there cannot be told from what it says.
pub(crate) fn claimed_host(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut hosts = headers.get_all(X_FORWARDED_HOST).iter();
    let (Some(host), None) = (hosts.next_back(), hosts.next_back()) else { return None };
    let last = host.to_str().ok()?.rsplit(',').next()?.trim();
    HeaderValue::from_str(last).ok()
}

impl Network {
    /// Whether this is a whole address family, so that everybody is in it.
    pub fn is_everybody(&self) -> bool {
        self.bits == 0 || (self.bits == MAPPED_BITS && self.is_v4())
    }

    /// Whether so much of an address family is in it that it cannot be a network of one owner: the
    /// widest private ones are `10.0.0.0/8` and `fc00::/7`.
    pub fn is_too_wide(&self) -> bool {
        let widest = if self.is_v4() { MAPPED_BITS + 8 } else { 7 };
        self.is_everybody() || self.bits < widest
    }

    fn contains(&self, address: IpAddr) -> bool {
        let differs = number(address) ^ self.base;
        differs.checked_shr(u128::BITS - self.bits).is_none_or(|rest| rest == 0)
    }

    fn is_v4(&self) -> bool {
        Ipv6Addr::from_bits(self.base).to_ipv4_mapped().is_some()
    }
}

impl FromStr for Network {
    type Err = String;

    /// The error ends with the way out.
    fn from_str(text: &str) -> Result<Self, String> {
        const FIX: &str = "use an address or a network, such as \"10.0.0.0/8\" or \"::1\"";
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| FIX.to_owned())?;
        let (front, width) = if address.is_ipv4() { (MAPPED_BITS, 32) } else { (0, 128) };
        let length: u32 = match length {
            Some(digits) => digits.parse().map_err(|_| FIX.to_owned())?,
            None => width,
        };
        if length > width {
            return Err(format!("use at most {width} bits"));
        }
        let network = Self { base: number(address), bits: front + length };
        let mask = u128::MAX.checked_shl(u128::BITS - network.bits).unwrap_or(0);
        let base = network.base & mask;
        if base != network.base {
            return Err(format!("use {}", Self { base, ..network }));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.base);
        match address.to_ipv4_mapped() {
            Some(address) if self.bits >= MAPPED_BITS => {
                write!(f, "{address}/{}", self.bits - MAPPED_BITS)
            }
            _ => write!(f, "{address}/{}", self.bits),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The `for` of one element of `Forwarded`.
///
/// Elements were split at every comma, inside quotes too. What is left of a quoted text has a
/// quote where none may be, and everything in an element must be well-formed: a client that
/// smuggles a comma into some parameter of the proxy's own element makes no address of it.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim().split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => value,
        };
        if value.contains(['"', '\\']) || name.contains(['"', '\\', ' ']) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && found.replace(node(value)?).is_some() {
            return None;
        }
    }
    found
}

/// One address, with a port or without: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`. Names such as `unknown` are none.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(texts: &[&str]) -> TrustedProxies {
        TrustedProxies::new(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn client(fields: &[(&'static str, &str)], peer: &str) -> String {
        let ours = proxies(&["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"]);
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        ours.client(&fields.iter().map(field).collect(), peer.parse().unwrap()).to_string()
    }

    #[test]
    fn networks_hold_what_they_say() {
        let ours = proxies(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "172.16.0.0/12"]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.0.2.7",
            "::ffff:10.1.2.3",
            "2001:db8::9",
            "172.31.255.255",
        ] {
            assert!(ours.trusts(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.0", "9.255.255.255", "192.0.2.8", "::1", "2001:db9::", "172.32.0.0"]
        {
            assert!(!ours.trusts(outside.parse().unwrap()), "{outside}");
        }
        assert!(!TrustedProxies::default().trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_that_is_none_is_refused_with_the_way_out() {
        let refused = |text: &str| text.parse::<Network>().unwrap_err();
        for text in ["", "a", "10.0.0.0/", "10.0.0.0/x", "10.0/8", "/8", "10.0.0.0/-1"] {
            assert!(refused(text).starts_with("use an address"), "{text}");
        }
        assert_eq!(refused("10.0.0.0/33"), "use at most 32 bits");
        assert_eq!(refused("10.0.0.1/8"), "use 10.0.0.0/8");
        assert_eq!(refused("2001:db8::1/32"), "use 2001:db8::/32");
        for text in ["0.0.0.0/0", "::/0"] {
            assert!(text.parse::<Network>().unwrap().is_everybody(), "{text}");
        }
        assert!(!"0.0.0.0/1".parse::<Network>().unwrap().is_everybody());
        let too_wide = |text: &str| text.parse::<Network>().unwrap().is_too_wide();
        for text in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/7", "::/0", "2000::/3"] {
            assert!(too_wide(text), "{text}");
        }
        for text in ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7", "fe80::/10", "::1"] {
            assert!(!too_wide(text), "{text}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("9.9.9.9".parse().unwrap()));
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_of_ours_is_the_client() {
        let forwarded = |value| client(&[("x-forwarded-for", value)], "10.0.0.1");
        assert_eq!(forwarded("6.6.6.6, 203.0.113.5"), "203.0.113.5");
        assert_eq!(forwarded("6.6.6.6, 203.0.113.5, 10.9.9.9"), "203.0.113.5");
        assert_eq!(forwarded("10.1.1.1,10.2.2.2"), "10.1.1.1", "all are ours");
        assert_eq!(forwarded("203.0.113.5:4711"), "203.0.113.5");
        assert_eq!(forwarded("[2001:db9::1]:4711"), "2001:db9::1");
        assert_eq!(forwarded("::ffff:203.0.113.5"), "203.0.113.5");
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.5, 10.0.0.2")];
        assert_eq!(client(&lines, "::ffff:10.0.0.1"), "203.0.113.5");
        let value = "for=6.6.6.6, for=203.0.113.5;proto=https;by=10.0.0.9, For=\"[2001:db8::5]:1\"";
        assert_eq!(client(&[("forwarded", value)], "127.0.0.1"), "203.0.113.5");
    }

    #[test]
    fn nobody_else_is_believed() {
        let claim = [("x-forwarded-for", "203.0.113.5"), ("forwarded", "for=203.0.113.5")];
        assert_eq!(client(&claim, "198.51.100.1"), "198.51.100.1");
        assert_eq!(client(&claim, "::ffff:198.51.100.1"), "198.51.100.1");
        assert_eq!(client(&claim, "10.0.0.1"), "203.0.113.5", "both agree");
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
    }

    /// What might be made of something else within an element.
    const PIECES: [&str; 10] =
        [",", ";", "=", " ", "for", "for=6.6.6.6", "x=", "\\\"", "\\\\", "[::6]"];

    proptest! {
        /// What a client puts in front of a proxy's own entry changes nothing about it.
        #[test]
        fn nothing_in_front_of_a_proxys_own_entry_counts(text in "[ -~]{0,60}") {
            let forwarded = format!("{text}, for=203.0.113.5;proto=https");
            assert_eq!(client(&[("forwarded", &forwarded)], "10.0.0.1"), "203.0.113.5");
            let plain = format!("{text}, 203.0.113.5");
            assert_eq!(client(&[("x-forwarded-for", &plain)], "10.0.0.1"), "203.0.113.5");
        }

        /// A proxy that quotes the client's words within its own entry is not talked into naming
        /// somebody else; at worst it is itself taken for the client.
        #[test]
        fn nothing_quoted_within_a_proxys_own_entry_counts(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..9)
        ) {
            let entry = format!("for=203.0.113.5;host=\"{}\"", pieces.concat());
            let named = client(&[("forwarded", &entry)], "10.0.0.1");
            assert!(["203.0.113.5", "10.0.0.1"].contains(&named.as_str()), "{entry} names {named}");
        }
    }

    #[test]
    fn what_does_not_add_up_counts_for_nothing() {
        for value in ["", "unknown", "203.0.113.5, ", "203.0.113.5, evil", "1.2.3", "203.0.113.5 x"]
        {
            assert_eq!(client(&[("x-forwarded-for", value)], "10.0.0.1"), "10.0.0.1", "{value:?}");
        }
        for value in [
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for=6.6.6.6;for=7.7.7.7",
            "for=9.9.9.9;host=\"a, for=6.6.6.6\"",
            "for=9.9.9.9;host=\"a, for=6.6.6.6;x=\"",
            "for=9.9.9.9;host=\"a, for=6.6.6.6;x=\\\"y\"",
            "for=\"6.6.6.6",
            "for=6.6.6.6 , for",
        ] {
            assert_eq!(client(&[("forwarded", value)], "10.0.0.1"), "10.0.0.1", "{value:?}");
        }
        let quarrel = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.5")];
        assert_eq!(client(&quarrel, "10.0.0.1"), "10.0.0.1", "one of them passed as it came");
        let garbled = [("forwarded", "for=x"), ("x-forwarded-for", "203.0.113.5")];
        assert_eq!(client(&garbled, "10.0.0.1"), "10.0.0.1");
    }
}
