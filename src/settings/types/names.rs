//! Settings that are a name or an address with a syntax of their own.

use std::fmt;

use url::Host;
use url::Url;

/// The name of the application, part of the cookie's name: 1 to 32 of `A-Z a-z 0-9 _ -`
/// (docs/SECURITY.md D.4). Default: `callgate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppName(String);

impl AppName {
    /// Parses a name. The error ends with how to fix it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const BYTES_MAX: usize = 32;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > BYTES_MAX || !text.bytes().all(fits) {
            return Err("use 1 to 32 letters, digits, - and _".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AppName {
    fn default() -> Self {
        Self("callgate".to_owned())
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public address: scheme, host and port, nothing else (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicOrigin {
    text: String,
    https: bool,
    local: bool,
}

impl PublicOrigin {
    /// Parses an origin and writes it as browsers do: lower case, without the default port. The
    /// error ends with how to fix it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FIX: &str = "use scheme://host[:port], such as \"https://shop.example\"";
        let url = Url::parse(text).map_err(|_| FIX.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("take the user name and the password out".to_owned());
        }
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(FIX.to_owned()),
        };
        let origin = url.origin().ascii_serialization();
        // A path would be dropped silently from every link, so it is refused.
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("leave only the origin: {origin:?}"));
        }
        if text.ends_with('/') {
            return Err(format!("leave out the slash at the end: {origin:?}"));
        }
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(FIX.to_owned()),
        };
        Ok(Self { text: origin, https, local })
    }

    /// The origin as text, such as `https://shop.example`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether clients use https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it is this machine's own name or address (RFC 6761 §6.3).
    pub fn is_local(&self) -> bool {
        self.local
    }
}

impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_name_fits_into_a_cookie_name() {
        assert_eq!(AppName::parse("My_shop-1").unwrap().as_str(), "My_shop-1");
        for text in ["", "a b", "a=b", "ä", &"x".repeat(33)] {
            assert!(AppName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_public_origin_is_written_as_browsers_write_it() {
        let origin = PublicOrigin::parse("HTTPS://Shop.Example:443").unwrap();
        assert_eq!(origin.as_str(), "https://shop.example");
        assert!(origin.is_https() && !origin.is_local());
        let local = PublicOrigin::parse("http://[::1]:8044").unwrap();
        assert!(local.is_local() && !local.is_https());
    }

    #[test]
    fn a_public_origin_is_nothing_but_an_origin() {
        for (text, fix) in [
            ("shop.example", "use scheme://host[:port]"),
            ("ftp://shop.example", "use scheme://host[:port]"),
            ("https://", "use scheme://host[:port]"),
            ("https://shop.example/", "leave out the slash at the end: \"https://shop.example\""),
            ("https://shop.example/a", "leave only the origin: \"https://shop.example\""),
            ("https://shop.example?a", "leave only the origin: \"https://shop.example\""),
            ("https://me:pw@shop.example", "take the user name and the password out"),
        ] {
            assert!(PublicOrigin::parse(text).unwrap_err().contains(fix), "{text}");
        }
    }
}
