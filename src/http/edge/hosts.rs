//! The hosts of a gate: a request that names another one reaches no row.
//!
//! A name that leads to this machine is not yet a name of this site: an attacker's own name can
//! be made to lead here, in a cache, in a certificate, or in a browser that is told a new address
//! for it (DNS rebinding). Nothing callgate writes is ever made from a request's host, so this is
//! the second lock and not the first (docs/SECURITY.md T32, G28, G34).

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use hyper::Version;
use hyper::header;
use hyper::http::request::Parts as Head;
use hyper::http::uri::Scheme;

use crate::http::message::conn_info::ConnInfo;
use crate::http::message::fault::Fault;

/// Longest name of a host (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// The hosts that requests may name, and the schemes by which they may have come.
///
/// Without any rule every well-formed host is let through; that is the default, for a gate that
/// was never told its own name. With rules, a connection that ends at a loopback address of this
/// machine may also name `localhost`, `*.localhost`, `127.0.0.0/8` and `[::1]`, with any port.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    rules: Vec<HostRule>,
    https: bool,
}

/// One host that requests may name, such as `shop.example`, `shop.example:8443` or
/// `*.shop.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// In lower case.
    name: Box<str>,
    /// Whether it is everything below the name that is meant, and not the name.
    below: bool,
    port: Option<u16>,
}

/// A host as a request names it, proven to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamedHost<'r> {
    pub(crate) name: &'r str,
    pub(crate) port: Option<u16>,
}

impl Hosts {
    /// Lets these hosts through; none stands for all. `https` says that the public comes over
    /// https, so that a proxy which ends TLS may say so in a target of its own (`:scheme`).
    pub fn new(rules: Vec<HostRule>, https: bool) -> Self {
        Self { rules, https }
    }

    /// Whether the public comes over https.
    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// Turns away a request that does not name exactly one host, or not one of ours.
    ///
    /// RFC 9112 §3.2, RFC 9113 §8.3.1: one host, well-formed and without user, and the same one
    /// where the target or `:authority` says it too. Only HTTP/1.0 may leave it out.
    pub(crate) fn admit(&self, head: &Head, conn: Option<&ConnInfo>) -> Result<(), Fault> {
        if let Some(scheme) = head.uri.scheme()
            && !self.serves(scheme, conn)
        {
            return Err(Fault::bad_request("bad_scheme", "This is not an address of this site."));
        }
        let Some(named) = named(head) else {
            return Err(Fault::bad_request("bad_host", "A request must name exactly one host."));
        };
        let ours = self.rules.is_empty()
            || match &named {
                HostClaim::Host(host) => self.covers(host, conn),
                HostClaim::None => is_loopback(conn),
            };
        if ours {
            return Ok(());
        }
        Err(Fault::misdirected_host(match named {
            HostClaim::Host(host) => host.name,
            HostClaim::None => "none",
        }))
    }

    /// Whether a host is one that the settings list, or a name of this machine on a connection that
    /// ends there. Without rules every host is let in, and none is vouched for.
    pub(crate) fn vouches(&self, host: &[u8], conn: Option<&ConnInfo>) -> bool {
        NamedHost::read(host).is_some_and(|host| self.covers(&host, conn))
    }

    fn serves(&self, scheme: &Scheme, conn: Option<&ConnInfo>) -> bool {
        let tls = conn.is_some_and(|conn| conn.tls);
        (*scheme == Scheme::HTTPS && (tls || self.https)) || (*scheme == Scheme::HTTP && !tls)
    }

    fn covers(&self, host: &NamedHost<'_>, conn: Option<&ConnInfo>) -> bool {
        let own = conn.map(|conn| conn.local.port());
        self.rules.iter().any(|rule| rule.covers(host, own))
            || (is_loopback(conn) && host.is_loopback())
    }
}

/// What came over no connection came from this process.
fn is_loopback(conn: Option<&ConnInfo>) -> bool {
    conn.is_none_or(|conn| conn.local.ip().to_canonical().is_loopback())
}

/// What a request says it is for.
enum HostClaim<'r> {
    Host(NamedHost<'r>),
    /// HTTP/1.0 that leaves it open.
    None,
}

fn named(head: &Head) -> Option<HostClaim<'_>> {
    let mut fields = head.headers.get_all(header::HOST).iter();
    let target = head.uri.authority().map(|target| target.as_str().as_bytes());
    let host = match (fields.next(), fields.next()) {
        (_, Some(_)) => return None,
        (Some(field), None) => {
            let field = field.as_bytes();
            target.is_none_or(|target| target.eq_ignore_ascii_case(field)).then_some(field)?
        }
        (None, None) => match (head.version, target) {
            (Version::HTTP_09 | Version::HTTP_10, None) => return Some(HostClaim::None),
            (Version::HTTP_11, _) | (_, None) => return None,
            (_, Some(target)) => target,
        },
    };
    NamedHost::read(host).map(HostClaim::Host)
}

impl HostRule {
    /// Reads `host`, `host:port` or `*.host`; the error ends with the way out.
    ///
    /// Without a port, a request may name none, 80, 443, or the port of the listener that it came
    /// to. A name below another is of any depth: `*.shop.example` covers `a.b.shop.example`, and
    /// not `shop.example` itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FIX: &str = "use host or host:port, such as \"shop.example\" or \"*.shop.example\"";
        if !text.is_ascii() {
            return Err("write the name in ASCII, as browsers send it (xn--…)".to_owned());
        }
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let host = NamedHost::read(rest.as_bytes()).ok_or_else(|| FIX.to_owned())?;
        Ok(Self { name: host.name.to_ascii_lowercase().into(), below, port: host.port })
    }

    /// The host of an origin, which is known to be one: `https://shop.example:8443`.
    pub fn of_origin(origin: &str) -> Self {
        let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
        let named = NamedHost::read(authority.as_bytes());
        // A name that requests cannot bring stands here for nobody, rather than for everybody.
        let named = named.unwrap_or(NamedHost { name: authority, port: None });
        Self { name: named.name.to_ascii_lowercase().into(), below: false, port: named.port }
    }

    /// Whether a request that callgate sends to this host and port is one that the rule means.
    #[cfg(feature = "script")]
    pub(crate) fn reaches(&self, name: &str, port: u16) -> bool {
        self.covers(&NamedHost { name, port: Some(port) }, None)
    }

    fn covers(&self, host: &NamedHost<'_>, own_port: Option<u16>) -> bool {
        let port = match (self.port, host.port) {
            (None, port) => port.is_none_or(|port| {
                matches!(port, 80 | 443) || own_port.is_some_and(|own| own == port)
            }),
            (wanted, port) => wanted == port,
        };
        port && host.is_called(&self.name, self.below)
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl<'r> NamedHost<'r> {
    /// Reads a host with an optional port. Narrower than RFC 3986 §3.2.2, which also allows
    /// percent-encoding and marks that no name of a machine has.
    pub(crate) fn read(bytes: &'r [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let end = if text.starts_with('[') { text.find(']')? + 1 } else { name_end(text) };
        let (name, rest) = text.split_at_checked(end)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            None if rest.is_empty() => None,
            _ => return None,
        };
        is_name(name).then_some(Self { name, port })
    }

    /// Whether this is the host, or lies below it. `name` is in lower case.
    pub(crate) fn is_called(&self, name: &str, below: bool) -> bool {
        if !below {
            return self.name.eq_ignore_ascii_case(name);
        }
        let (own, name) = (self.name.as_bytes(), name.as_bytes());
        let split = own.len().checked_sub(name.len()).and_then(|at| own.split_at_checked(at));
        split.is_some_and(|(above, tail)| {
            above.len() > 1 && above.ends_with(b".") && tail.eq_ignore_ascii_case(name)
        })
    }

    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    /// RFC 6761 §6.3: names below `localhost` never lead away from the machine.
    fn is_loopback(&self) -> bool {
        self.is_called("localhost", false)
            || self.is_called("localhost", true)
            || self.address().is_some_and(|address| address.is_loopback())
    }
}

fn name_end(text: &str) -> usize {
    text.find(':').unwrap_or(text.len())
}

fn is_name(name: &str) -> bool {
    if let Some(inner) = name.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let dots = name.starts_with('.') || name.contains("..");
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits) && !dots
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn conn(local: &str, tls: bool) -> ConnInfo {
        ConnInfo { peer: "203.0.113.9:50000".parse().unwrap(), local: local.parse().unwrap(), tls }
    }

    fn head(version: Version, target: &str, hosts: &[&'static str]) -> Head {
        let (mut head, ()) = hyper::Request::new(()).into_parts();
        (head.version, head.uri) = (version, target.parse().unwrap());
        for host in hosts {
            head.headers.append(header::HOST, HeaderValue::from_static(host));
        }
        head
    }

    fn code(hosts: &Hosts, head: &Head, conn: &ConnInfo) -> &'static str {
        hosts.admit(head, Some(conn)).map_or_else(|fault| fault.code(), |()| "ok")
    }

    fn rules(texts: &[&str]) -> Hosts {
        Hosts::new(texts.iter().map(|text| HostRule::parse(text).unwrap()).collect(), false)
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let public = conn("192.0.2.1:80", false);
        let names = |version, target: &str, hosts: &[&'static str]| {
            code(&Hosts::default(), &head(version, target, hosts), &public) == "ok"
        };
        let one = |host| names(Version::HTTP_11, "/", &[host]);
        assert!(one("a") && one("a.example:80") && one("[::1]:80") && one("a_b") && one("a."));
        for bad in [
            "",
            "a b",
            "u@a",
            "a/b",
            "a,b",
            "a:",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:8 ",
            ":80",
            "[::1",
            "::1",
            "[v1.x]",
            "[::1%lo]",
            "[127.0.0.1]",
            "a%00",
            "a\\b",
            "a#b",
            ".a",
            "a..b",
        ] {
            assert!(!one(bad), "{bad:?}");
        }
        let (v1, v2) = (Version::HTTP_11, Version::HTTP_2);
        assert!(!names(v1, "/", &[]) && names(Version::HTTP_10, "/", &[]));
        assert!(!names(v1, "/", &["a", "a"]));
        assert!(names(v1, "http://a/", &["A"]));
        assert!(!names(v1, "http://a/", &[]) && !names(v1, "http://a/", &["b"]));
        assert!(names(v2, "http://a/", &[]) && names(v2, "http://a/", &["a"]));
        assert!(!names(v2, "/", &[]) && !names(v2, "http://u@a/", &[]));
    }

    #[test]
    fn only_listed_hosts_are_let_through() {
        let hosts = rules(&["shop.example", "api.example:8443", "*.wild.example", "[2001:db8::1]"]);
        let public = conn("192.0.2.1:8044", false);
        let asked =
            |host: &'static str| code(&hosts, &head(Version::HTTP_11, "/", &[host]), &public);
        for host in [
            "shop.example",
            "SHOP.example",
            "shop.example:80",
            "shop.example:443",
            "shop.example:8044",
            "api.example:8443",
            "a.wild.example",
            "a.b.WILD.example",
            "[2001:db8::1]",
        ] {
            assert_eq!(asked(host), "ok", "{host}");
        }
        for host in [
            "shop.example:81",
            "shop.example.",
            "xshop.example",
            "www.shop.example",
            "api.example",
            "api.example:443",
            "wild.example",
            ".wild.example",
            "xwild.example",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "192.0.2.1",
        ] {
            assert!(["misdirected_host", "bad_host"].contains(&asked(host)), "{host}");
        }
        let nameless = head(Version::HTTP_10, "/", &[]);
        assert_eq!(code(&hosts, &nameless, &public), "misdirected_host");
    }

    #[test]
    fn this_machine_may_be_called_by_its_own_names_from_within() {
        let hosts = rules(&["shop.example"]);
        let asked = |host: &'static str, local: &str| {
            code(&hosts, &head(Version::HTTP_11, "/", &[host]), &conn(local, false))
        };
        for local in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            for host in ["localhost", "LocalHost:9", "a.localhost", "127.9.9.9:1", "[::1]:2"] {
                assert_eq!(asked(host, local), "ok", "{host} at {local}");
            }
            for host in ["evil.example", "localhost.evil.example", "128.0.0.1", "127.1", "[::2]"] {
                assert_eq!(asked(host, local), "misdirected_host", "{host} at {local}");
            }
        }
        assert!(hosts.admit(&head(Version::HTTP_11, "/", &["localhost"]), None).is_ok());
        assert!(hosts.admit(&head(Version::HTTP_11, "/", &["evil.example"]), None).is_err());
    }

    #[test]
    fn the_scheme_is_the_listeners() {
        let asked = |https, tls, scheme: &str| {
            let hosts = Hosts::new(Vec::new(), https);
            let head = head(Version::HTTP_2, &format!("{scheme}://a/"), &[]);
            code(&hosts, &head, &conn("192.0.2.1:80", tls))
        };
        assert_eq!(asked(false, false, "http"), "ok");
        assert_eq!(asked(true, false, "http"), "ok");
        assert_eq!(asked(true, false, "https"), "ok", "a proxy has ended TLS");
        assert_eq!(asked(false, true, "https"), "ok");
        for (tls, scheme) in [(false, "https"), (true, "http"), (false, "javascript")] {
            assert_eq!(asked(false, tls, scheme), "bad_scheme", "{scheme}");
        }
    }

    #[test]
    fn a_rule_that_is_no_host_is_refused_with_the_way_out() {
        for text in ["", "*", "http://a", "a/b", "a b", "*a.example", "a:*", "u@a"] {
            assert!(HostRule::parse(text).unwrap_err().starts_with("use host"), "{text:?}");
        }
        assert!(HostRule::parse("bücher.example").unwrap_err().contains("xn--"));
        assert_eq!(HostRule::parse("*.A.example:1").unwrap().to_string(), "*.a.example:1");
        assert_eq!(HostRule::of_origin("https://shop.example").to_string(), "shop.example");
        assert_eq!(HostRule::of_origin("http://[::1]:8044").to_string(), "[::1]:8044");
    }
}
