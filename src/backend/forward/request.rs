//! Creates the request for an upstream.

use std::net::IpAddr;

use hyper::{
    HeaderMap, Request, Uri,
    body::Body as _,
    header::{self, HeaderName, HeaderValue},
    http::uri::{Authority, Scheme},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::backend::forward::fields;
use crate::flow::mint::capability::{CAPABILITY_HEADER, Granted};
use crate::http::exchange::routes::proxy::ClientOrigin;
use crate::http::outbound::OnlyOnce;
use crate::http::{Fault, ProxyRequest, ResponseBody};

const SESSION: HeaderName = HeaderName::from_static("x-callgate-session");
const USER: HeaderName = HeaderName::from_static("x-callgate-user");
const PRIVILEGES: HeaderName = HeaderName::from_static("x-callgate-privileges");
const OTP: HeaderName = HeaderName::from_static("x-callgate-otp");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-callgate-request-id");
const CAPABILITY: HeaderName = HeaderName::from_static(CAPABILITY_HEADER);
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// Characters that are not encoded in paths: unreserved characters, sub-delimiters, `:`, `@` and
/// `/` (RFC 3986 §3.3). A `;` is encoded, because the matched path has it as data. An upstream that
/// strips path parameters would otherwise see the path of another row.
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');
/// Characters that are not encoded in names: those of a token (RFC 9110 §5.6.2) except `%`, which
/// starts an escape.
const IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The fixed part of an upstream's URL. No part of a request changes it.
#[derive(Debug)]
pub(super) struct Base {
    scheme: Scheme,
    /// Host and port; `None` if they are invalid in a request, which a checked table rules out.
    authority: Option<Authority>,
    /// The path prefix, without a trailing slash.
    path: String,
}

impl Base {
    pub(super) fn of(upstream: &Url) -> Self {
        let scheme = if upstream.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = upstream.authority().parse().ok();
        Self { scheme, authority, path: upstream.path().trim_end_matches('/').to_owned() }
    }

    /// Creates the upstream request.
    pub(super) fn request(
        &self,
        proxied: ProxyRequest,
        granted: Option<&Granted>,
    ) -> Result<Request<ResponseBody>, Fault> {
        let uri = self.uri(proxied.path.as_str(), &proxied.query)?;
        let mut headers = upstream_headers(&proxied);
        let capability = granted.and_then(|granted| HeaderValue::from_str(&granted.expose()).ok());
        if let Some(mut capability) = capability {
            // Keeps it out of `Debug` output.
            capability.set_sensitive(true);
            headers.insert(CAPABILITY, capability);
        }
        let mut request = Request::new(ResponseBody::stream(proxied.body));
        *request.method_mut() = proxied.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if proxied.otp.is_restored() {
            // The token is spent, so a retry could have another meaning.
            request.extensions_mut().insert(OnlyOnce);
        }
        Ok(request)
    }

    fn uri(&self, path: &str, query: &str) -> Result<Uri, Fault> {
        let path = utf8_percent_encode(path, IN_PATHS);
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("{}{path}{mark}{query}", self.path);
        let mut uri = Uri::builder().scheme(self.scheme.clone()).path_and_query(target);
        if let Some(authority) = &self.authority {
            uri = uri.authority(authority.clone());
        }
        uri.build().map_err(Fault::internal)
    }
}

/// The header for the upstream: the client's fields that may be forwarded, then callgate's own.
fn upstream_headers(proxied: &ProxyRequest) -> HeaderMap {
    let mut headers = proxied.headers.clone();
    fields::strip_connection(&mut headers);
    fields::strip_claims(&mut headers);
    // The length is set again from the actual body.
    let measured = headers.remove(header::CONTENT_LENGTH).is_some();
    if measured && proxied.body.is_end_stream() {
        // Some servers reject a POST without a length, and an empty body would be sent without one.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // `Host` is set from the upstream's URL. `Expect` is handled by callgate, which sends `100
    // Continue` as soon as the body is read.
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
    set_identity(&mut headers, proxied);
    set_forwarded(&mut headers, &proxied.origin);
    if proxied.upgrade.is_some() {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
    }
    headers
}

/// Adds the fields that describe the request and its session, if there are sessions. Empty values
/// are left out.
fn set_identity(headers: &mut HeaderMap, proxied: &ProxyRequest) {
    insert(headers, REQUEST_ID, &proxied.id.to_string());
    let session = &proxied.session;
    if session.is_off() {
        return;
    }
    let name = |text: &str| utf8_percent_encode(text, IN_NAMES).to_string();
    let privileges: Vec<String> = session.privileges().iter().map(|each| name(each)).collect();
    for (field, value) in [
        (SESSION, session.id().to_string()),
        (USER, name(&session.user_name())),
        (PRIVILEGES, privileges.join(",")),
        (OTP, proxied.otp.name().to_owned()),
    ] {
        insert(headers, field, &value);
    }
}

/// Adds the fields that describe the origin of the request (RFC 7239).
fn set_forwarded(headers: &mut HeaderMap, origin: &ClientOrigin) {
    let proto = if origin.is_https { "https" } else { "http" };
    let mut forwarded = Vec::new();
    if let Some(address) = origin.address.map(|address| address.to_canonical()) {
        insert(headers, FORWARDED_FOR, &address.to_string());
        forwarded.push(match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        });
    }
    // An admitted host contains no quotes.
    if let Some(host) = origin.host.as_ref().and_then(|host| host.to_str().ok()) {
        insert(headers, FORWARDED_HOST, host);
        forwarded.push(format!("host=\"{host}\""));
    }
    insert(headers, FORWARDED_PROTO, proto);
    forwarded.push(format!("proto={proto}"));
    insert(headers, header::FORWARDED, &forwarded.join(";"));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{BasePath, CanonicalPath};
    use percent_encoding::percent_decode_str;

    fn uri(base: &str, raw_path: &str, query: &str) -> String {
        let path = CanonicalPath::of(raw_path, &BasePath::none()).unwrap();
        let uri = Base::of(&Url::parse(base).unwrap()).uri(path.as_str(), query).unwrap();
        let sent = CanonicalPath::of(uri.path(), &BasePath::none()).unwrap();
        assert!(sent.as_str().ends_with(path.as_str()), "the upstream reads {sent}, not {path}");
        uri.to_string()
    }

    #[test]
    fn the_path_that_was_matched_is_the_path_that_is_sent() {
        let plain = "http://127.0.0.1:3000";
        assert_eq!(uri(plain, "/a//b/", ""), "http://127.0.0.1:3000/a/b/");
        assert_eq!(
            uri(plain, "/%61%2562%3f%23", "x=%20y"),
            "http://127.0.0.1:3000/a%2562%3F%23?x=%20y"
        );
        assert_eq!(
            uri(plain, "/caf%C3%A9 x".replace(' ', "%20").as_str(), ""),
            "http://127.0.0.1:3000/caf%C3%A9%20x"
        );
        assert_eq!(
            uri(plain, "/a;b=c,d@e:f!$&'()*+/x", ""),
            "http://127.0.0.1:3000/a%3Bb=c,d@e:f!$&'()*+/x"
        );
        assert_eq!(uri(plain, "/a;jsessionid=1A", ""), "http://127.0.0.1:3000/a");
        assert_eq!(uri(plain, "/a%3Bb", ""), "http://127.0.0.1:3000/a%3Bb");
        assert_eq!(uri("https://app.example/base/", "/x", "a"), "https://app.example/base/x?a");
        assert_eq!(uri("http://[::1]:8/base%20x", "/", ""), "http://[::1]:8/base%20x/");
    }

    #[test]
    fn names_are_lists_of_tokens() {
        let name = |text: &str| utf8_percent_encode(text, IN_NAMES).to_string();
        assert_eq!(name("admin"), "admin");
        for text in ["a,b", "Jürgen Müller", "a%2Cb", "x\r\ny", "\"q\""] {
            let sent = name(text);
            assert!(sent.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','), "{sent}");
            assert_eq!(percent_decode_str(&sent).decode_utf8().unwrap(), text);
        }
    }

    #[test]
    fn the_origin_of_a_request_is_forwarded_as_callgate_knows_it() {
        let said = |address: &str, is_https| {
            let host = Some(HeaderValue::from_static("shop.example:8443"));
            let mut headers = HeaderMap::new();
            set_forwarded(
                &mut headers,
                &ClientOrigin { address: address.parse().ok(), host, is_https },
            );
            headers["forwarded"].to_str().unwrap().to_owned()
        };
        assert_eq!(
            said("203.0.113.5", true),
            "for=203.0.113.5;host=\"shop.example:8443\";proto=https"
        );
        assert_eq!(said("::ffff:203.0.113.5", false), said("203.0.113.5", false));
        assert_eq!(
            said("2001:db8::1", false),
            "for=\"[2001:db8::1]\";host=\"shop.example:8443\";proto=http"
        );
        assert_eq!(said("", false), "host=\"shop.example:8443\";proto=http");
    }
}
