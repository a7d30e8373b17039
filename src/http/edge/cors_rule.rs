//! One rule of CORS: the origins it covers and the methods it allows, in the form of 4D's CORS
//! settings (developer.4d.com/docs/WebServer/webServerConfig).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::http::edge::hosts::NamedHost;

/// Methods that 4D knows. One of them in the place of a host is a slip of the separator.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"];

/// Origins that may read responses, and by which methods: `https://app.example get;post`.
///
/// The host is written as in 4D: `app.example`, `*.app.example`, `192.168.5.17`, `192.168.*`,
/// each with a port or without, with `http://` or `https://` in front or for both, or `*` for
/// every origin. Without a port, the usual one of the scheme is meant. Methods stand behind a
/// space and are separated by `;`; none stands for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsRule {
    /// `None` for both.
    https: Option<bool>,
    host: OriginHost,
    port: Option<u16>,
    /// In upper case; empty for all.
    methods: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OriginHost {
    /// Every host, and origins that are none.
    Any,
    /// This one, in lower case.
    One(Box<str>),
    /// Those below this one.
    Below(Box<str>),
    /// IPv4 addresses; `None` is any octet.
    Octets([Option<u8>; 4]),
}

/// An origin as a browser writes it (RFC 6454 §6.2).
#[derive(Debug, Clone, Copy)]
pub(crate) enum CorsOrigin<'r> {
    Web {
        https: bool,
        host: NamedHost<'r>,
    },
    /// `null`, an extension of the browser, or nonsense: nothing that a rule could name.
    Other,
}

impl CorsRule {
    pub(crate) fn covers(&self, origin: CorsOrigin<'_>) -> bool {
        let CorsOrigin::Web { https, host } = origin else {
            return self.host == OriginHost::Any && self.https.is_none();
        };
        let usual = if https { 443 } else { 80 };
        let port = host.port.unwrap_or(usual);
        let fits = match &self.host {
            // Without a host, a missing port does not stand for the default one.
            OriginHost::Any => {
                return self.fits(https) && self.port.is_none_or(|wanted| wanted == port);
            }
            OriginHost::One(name) => host.is_called(name, false),
            OriginHost::Below(name) => host.is_called(name, true),
            OriginHost::Octets(octets) => match host.address() {
                Some(IpAddr::V4(address)) => {
                    let mut pairs = octets.iter().zip(address.octets());
                    pairs.all(|(wanted, octet)| wanted.is_none_or(|wanted| wanted == octet))
                }
                _ => false,
            },
        };
        fits && self.fits(https) && self.port.unwrap_or(usual) == port
    }

    pub(crate) fn allows(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method)
    }

    /// The methods by name; none for all.
    pub(crate) fn methods(&self) -> &[String] {
        &self.methods
    }

    /// Whether one origin is named in full.
    pub(crate) fn is_one_origin(&self) -> bool {
        self.https.is_some() && matches!(self.host, OriginHost::One(_))
    }

    fn fits(&self, https: bool) -> bool {
        self.https.is_none_or(|wanted| wanted == https)
    }
}

impl FromStr for CorsRule {
    type Err = String;

    /// The error ends with the way out.
    fn from_str(text: &str) -> Result<Self, String> {
        const FIX: &str = "use an origin and its methods, such as \"https://app.example get;post\"";
        let (origin, methods) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let (https, rest) = if let Some(rest) = origin.strip_prefix("https://") {
            (Some(true), rest)
        } else if let Some(rest) = origin.strip_prefix("http://") {
            (Some(false), rest)
        } else {
            (None, origin)
        };
        if METHODS.iter().any(|method| method.eq_ignore_ascii_case(rest)) {
            return Err("separate methods with \";\", such as \"app.example get;post\"".to_owned());
        }
        let (host, port) = host(rest).ok_or_else(|| FIX.to_owned())?;
        let methods: Vec<String> = methods
            .split(';')
            .map(|method| method.trim().to_ascii_uppercase())
            .filter(|method| !method.is_empty())
            .collect();
        let is_token = |method: &String| hyper::Method::from_bytes(method.as_bytes()).is_ok();
        if !methods.iter().all(is_token) {
            return Err(FIX.to_owned());
        }
        Ok(Self { https, host, port, methods })
    }
}

impl fmt::Display for CorsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.https {
            None => "",
            Some(true) => "https://",
            Some(false) => "http://",
        })?;
        match &self.host {
            OriginHost::Any => f.write_str("*")?,
            OriginHost::One(name) => f.write_str(name)?,
            OriginHost::Below(name) => write!(f, "*.{name}")?,
            OriginHost::Octets(octets) => {
                let text = |octet: &Option<u8>| octet.map_or("*".to_owned(), |o| o.to_string());
                f.write_str(&octets.each_ref().map(text).join("."))?;
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        if self.methods.is_empty() { Ok(()) } else { write!(f, " {}", self.methods.join(";")) }
    }
}

impl<'r> CorsOrigin<'r> {
    pub(crate) fn read(bytes: &'r [u8]) -> Self {
        let https = bytes.strip_prefix(b"https://").map(|rest| (true, rest));
        let found = https.or_else(|| bytes.strip_prefix(b"http://").map(|rest| (false, rest)));
        let named = found.and_then(|(https, rest)| Some((https, NamedHost::read(rest)?)));
        named.map_or(Self::Other, |(https, host)| Self::Web { https, host })
    }
}

/// The host of a rule and its port.
fn host(text: &str) -> Option<(OriginHost, Option<u16>)> {
    // A star is no letter of a name, so it is taken off before the rest is read.
    if let Some(below) = text.strip_prefix("*.")
        && !below.contains('*')
    {
        let named = NamedHost::read(below.as_bytes())?;
        return Some((OriginHost::Below(named.name.to_ascii_lowercase().into()), named.port));
    }
    if !text.contains('*') {
        let named = NamedHost::read(text.as_bytes())?;
        return Some((OriginHost::One(named.name.to_ascii_lowercase().into()), named.port));
    }
    let (stars, port) = match text.split_once(':') {
        Some((stars, port)) => (stars, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let host = if stars == "*" { OriginHost::Any } else { OriginHost::Octets(octets(stars)?) };
    Some((host, port))
}

/// `192.168.*` and `10.*.0.1`: what a star at the end leaves out is any octet too.
fn octets(text: &str) -> Option<[Option<u8>; 4]> {
    let mut octets = [None; 4];
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > octets.len() || (parts.len() < octets.len() && parts.last() != Some(&"*")) {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(&parts) {
        *octet = if *part == "*" { None } else { Some(part.parse().ok()?) };
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, origin: &str) -> bool {
        rule.parse::<CorsRule>().unwrap().covers(CorsOrigin::read(origin.as_bytes()))
    }

    #[test]
    fn every_form_of_4d_covers_what_it_says_and_no_more() {
        for (rule, inside, outside) in [
            ("192.168.5.17:8081", "http://192.168.5.17:8081", "http://192.168.5.17"),
            ("192.168.5.17", "https://192.168.5.17", "https://192.168.5.17:8081"),
            ("192.168.*", "http://192.168.200.3", "http://192.169.0.1"),
            ("192.168.*:8081", "http://192.168.1.2:8081", "http://192.168.1.2"),
            ("10.*.0.1", "http://10.77.0.1", "http://10.77.0.2"),
            ("http://192.168.5.17:8081", "http://192.168.5.17:8081", "https://192.168.5.17:8081"),
            ("http://*.dom.example", "http://a.b.dom.example", "http://dom.example"),
            ("*.dom.example", "https://a.dom.example", "https://a.dom.example.evil.test"),
            ("sub.dom.example", "https://SUB.dom.example", "https://a.sub.dom.example"),
            ("https://a.example:443", "https://a.example", "https://a.example:444"),
            ("https://*", "https://anything.example:9", "http://anything.example"),
            ("*", "https://anything.example:9", ""),
            ("*", "null", ""),
            ("[::1]:8080", "http://[::1]:8080", "http://[::2]:8080"),
            ("192.168.*", "http://192.168.0.1", "http://192.168.0.1.evil.test"),
            ("*.dom.example", "http://x.dom.example", "null"),
        ] {
            assert!(covers(rule, inside), "{rule} covers {inside}");
            assert!(outside.is_empty() || !covers(rule, outside), "{rule} covers {outside}");
        }
    }

    #[test]
    fn what_only_looks_like_an_origin_is_none() {
        for text in [
            "https://a.example/",
            "https://u@a.example",
            "HTTPS://a.example",
            "a.example",
            "https://a.example:",
            "ftp://a.example",
            "https://",
            "",
        ] {
            assert!(matches!(CorsOrigin::read(text.as_bytes()), CorsOrigin::Other), "{text}");
        }
    }

    #[test]
    fn methods_are_separated_by_semicolons() {
        let rule: CorsRule = "a.example post; get;".parse().unwrap();
        assert_eq!(rule.to_string(), "a.example POST;GET");
        assert!(rule.allows("GET") && rule.allows("POST") && !rule.allows("PUT"));
        assert!("*".parse::<CorsRule>().unwrap().allows("PURGE"));
        let slip = "post".parse::<CorsRule>().unwrap_err();
        assert!(slip.contains("\";\""), "{slip}");
    }

    #[test]
    fn a_rule_that_is_none_is_refused_with_the_way_out() {
        for text in [
            "",
            "https://",
            "a b c/",
            "https://a.example/x",
            "a*.example",
            "192.*.3",
            "1.2.*.4.*",
            "*.*.example",
            "300.*",
            "u@a.example",
            "a.example get,post",
        ] {
            let refused = text.parse::<CorsRule>();
            assert!(refused.is_err(), "{text:?} reads as {refused:?}");
        }
    }
}
