//! The request that goes to an upstream.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::Request;
use hyper::Uri;
use hyper::body::Body as _;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use hyper::http::uri::Scheme;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use url::Url;

use crate::backend::forward::fields;
use crate::flow::capability::CAPABILITY_HEADER;
use crate::flow::capability::Granted;
use crate::http::AnswerBody;
use crate::http::Fault;
use crate::http::ProxyRequest;
use crate::http::exchange::routes::proxy::Origin;
use crate::http::outbound::OnlyOnce;

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

/// What a path keeps as it is: unreserved characters, sub-delimiters, `:`, `@` and the slashes
/// (RFC 3986 §3.3). A `;` is encoded: what was matched has it as data, and an upstream that cuts
/// parameters off would see the path of another row.
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
/// What a name keeps as it is: the characters of a token (RFC 9110 §5.6.2) but `%`, which begins
/// an escape.
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

/// Where an upstream is: nothing of a request becomes part of it.
#[derive(Debug)]
pub(super) struct Base {
    scheme: Scheme,
    /// Host and port; `None` if they could not be part of a request, which no checked table has.
    authority: Option<Authority>,
    /// The path in front of every request's own, without a slash at its end.
    path: String,
}

impl Base {
    pub(super) fn of(upstream: &Url) -> Self {
        let scheme = if upstream.scheme() == "https" { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = upstream.authority().parse().ok();
        Self { scheme, authority, path: upstream.path().trim_end_matches('/').to_owned() }
    }

    /// The request that passes a passage on.
    pub(super) fn request(
        &self,
        passage: ProxyRequest,
        granted: Option<&Granted>,
    ) -> Result<Request<AnswerBody>, Fault> {
        let uri = self.uri(passage.path.as_str(), &passage.query)?;
        let mut headers = fields_of(&passage);
        let capability = granted.and_then(|granted| HeaderValue::from_str(&granted.expose()).ok());
        if let Some(mut capability) = capability {
            // Keeps it out of `Debug`.
            capability.set_sensitive(true);
            headers.insert(CAPABILITY, capability);
        }
        let mut request = Request::new(AnswerBody::stream(passage.body));
        *request.method_mut() = passage.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if passage.otp.is_restored() {
            // The token is spent, so that the request could mean something else the second time.
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

/// The header: what the client said and callgate lets pass, then what callgate says itself.
fn fields_of(passage: &ProxyRequest) -> HeaderMap {
    let mut headers = passage.headers.clone();
    fields::strip_connection(&mut headers);
    fields::strip_claims(&mut headers);
    // The length is made anew from what comes.
    let measured = headers.remove(header::CONTENT_LENGTH).is_some();
    if measured && passage.body.is_end_stream() {
        // Some servers take no POST without a length, and an empty body would be sent without one.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // So is the host, from where the request goes. And whoever waits to be told to go on is told so
    // by callgate, as soon as the body is wanted.
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
    identify(&mut headers, passage);
    introduce(&mut headers, &passage.origin);
    if passage.upgrade.is_some() {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
    }
    headers
}

/// Says whose session it is. What is empty is left out.
fn identify(headers: &mut HeaderMap, passage: &ProxyRequest) {
    let session = &passage.session;
    let name = |text: &str| utf8_percent_encode(text, IN_NAMES).to_string();
    let privileges: Vec<String> = session.privileges().iter().map(|each| name(each)).collect();
    for (field, value) in [
        (SESSION, session.id().to_string()),
        (USER, name(&session.user_name())),
        (PRIVILEGES, privileges.join(",")),
        (OTP, passage.otp.name().to_owned()),
        (REQUEST_ID, passage.id.to_string()),
    ] {
        insert(headers, field, &value);
    }
}

/// Says where the request came from, as callgate knows it (RFC 7239).
fn introduce(headers: &mut HeaderMap, origin: &Origin) {
    let proto = if origin.is_https { "https" } else { "http" };
    let mut forwarded = Vec::new();
    if let Some(address) = origin.address.map(|address| address.to_canonical()) {
        insert(headers, FORWARDED_FOR, &address.to_string());
        forwarded.push(match address {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        });
    }
    // A host that was let in has no quotes in it.
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
    use crate::table::BasePath;
    use crate::table::CanonicalPath;
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
    fn where_a_request_came_from_is_what_callgate_knows() {
        let said = |address: &str, is_https| {
            let host = Some(HeaderValue::from_static("shop.example:8443"));
            let mut headers = HeaderMap::new();
            introduce(&mut headers, &Origin { address: address.parse().ok(), host, is_https });
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
