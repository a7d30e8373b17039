//! What the head of a request says about its client.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Version;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::Caller;
use crate::base::text::masked::misleads;
use crate::http::message::parse::accept;

/// Longest label of a device, from its `User-Agent`.
const LABEL_BYTES_MAX: usize = 120;
const EARLY_DATA: HeaderName = HeaderName::from_static("early-data");

/// Whether the request was taken from early data (RFC 8470 §5.1), which can be replayed on its way,
/// and could do something: any but a reading method, or one whose query may carry a token.
///
/// A proxy or client that sends the header only asks for a 425.
pub(crate) fn is_early(head: &Head) -> bool {
    let harmless = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    head.headers.get(&EARLY_DATA).is_some_and(|early| early == "1")
        && (!harmless || head.uri.query().is_some())
}

/// Whether the client asks to go on in WebSocket frames (RFC 6455 §4.1), and in nothing else: what
/// other protocols would make of the bytes that follow is not known here.
pub(crate) fn asks_for_websocket(head: &Head) -> bool {
    let Head { method, version, headers, .. } = head;
    let mut wanted = headers.get_all(header::UPGRADE).iter();
    let options =
        headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut options = options.flat_map(|value| value.split(',')).map(str::trim);
    *method == Method::GET
        && *version == Version::HTTP_11
        && wanted.next().is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && wanted.next().is_none()
        && options.any(|option| option.eq_ignore_ascii_case("upgrade"))
        && !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

/// Joins cookies that HTTP/2 sent in several fields, as must be done before they are read (RFC 9113
/// §8.2.3).
pub(crate) fn join_cookies(head: &mut Head) {
    if head.version != Version::HTTP_2
        || head.headers.get_all(header::COOKIE).iter().nth(1).is_none()
    {
        return;
    }
    let crumbs: Vec<&[u8]> =
        head.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        head.headers.insert(header::COOKIE, whole);
    }
}

/// Names the host of an HTTP/2 request in the field `Host` too, where handlers look for it. Over
/// HTTP/2 it stands in `:authority` (RFC 9113 §8.3.1).
pub(crate) fn name_host(head: &mut Head) {
    let named = head.uri.authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
    if let Some(host) = named
        && !head.headers.contains_key(header::HOST)
    {
        head.headers.insert(header::HOST, host);
    }
}

/// Whether the client is a browser, which may be given a session cookie, or a program.
///
/// Browsers say so with `Sec-Fetch-*`. Over plain HTTP they leave these fields out, and old ones do
/// not know them; they read HTML and say who they are. Programs whose library asks for HTML by
/// default, such as Java's and PHP's, name neither a language nor Mozilla.
pub(crate) fn caller(headers: &HeaderMap) -> Caller {
    let fetches = headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    if fetches && !is_fetch_of_a_program(headers) {
        return Caller::Browser;
    }
    let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    let is_named = headers.contains_key(header::ACCEPT_LANGUAGE)
        || agent.is_some_and(|agent| agent.starts_with(b"Mozilla/"));
    let reads_html = || accept::weight(headers, "text/html").is_some_and(|weight| weight > 0.0);
    if is_named && reads_html() { Caller::Browser } else { Caller::Server }
}

/// Whether this is what Node's `fetch` sends by itself: a mode without site and destination, which
/// browsers always name with it, and a language that no browser is set to.
fn is_fetch_of_a_program(headers: &HeaderMap) -> bool {
    let says = |name: &str, text: &str| headers.get(name).is_some_and(|value| value == text);
    let others = ["sec-fetch-site", "sec-fetch-dest", "sec-fetch-user"];
    says("sec-fetch-mode", "cors")
        && says("accept-language", "*")
        && !others.iter().any(|name| headers.contains_key(*name))
}

/// Whether a person may be about to see the response as a page of its own. A browser says so when
/// it embeds the response, or when a script asks for it.
pub(crate) fn navigates(headers: &HeaderMap) -> bool {
    let says = |name: &str, wanted: &str| {
        headers.get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes())
    };
    says("sec-fetch-dest", "document") && says("sec-fetch-mode", "navigate")
}

/// Whether the request may redeem a token: not when its response is only to be looked at, stored
/// or shown later.
pub(crate) fn may_redeem(method: &Method, headers: &HeaderMap) -> bool {
    *method != Method::HEAD && *method != Method::OPTIONS && !prefetches(headers)
}

/// Whether the request is made in advance, or by a program that shows what a link leads to.
pub(crate) fn prefetches(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].iter().any(|name| {
        let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        values.into_iter().any(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("prefetch") || value.contains("prerender") || value.contains("preview")
        })
    })
}

/// What a browser says it is (`User-Agent`), short enough to keep: printable characters only.
pub(crate) fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent.unwrap_or_default();
    agent.chars().filter(|c| !misleads(*c)).take(LABEL_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn browsers_are_known_by_what_they_send() {
        let caller = |pairs: &[_]| super::caller(&headers(pairs));
        assert_eq!(caller(&[("sec-fetch-mode", "navigate")]), Caller::Browser);
        let html = ("accept", "text/html,*/*;q=0.8");
        assert_eq!(caller(&[html, ("accept-language", "en")]), Caller::Browser);
        assert_eq!(caller(&[html, ("user-agent", "Mozilla/5.0")]), Caller::Browser);
        assert_eq!(caller(&[html]), Caller::Server);
        let mode = ("sec-fetch-mode", "cors");
        assert_eq!(caller(&[mode, ("accept-language", "*")]), Caller::Server);
        let site = ("sec-fetch-site", "none");
        assert_eq!(caller(&[mode, ("accept-language", "*"), site]), Caller::Browser);
        assert_eq!(caller(&[("accept", "*/*"), ("user-agent", "Stripe/1.0")]), Caller::Server);
        assert_eq!(caller(&[]), Caller::Server);
    }

    #[test]
    fn a_page_of_its_own_is_no_part_of_another() {
        let navigates = |pairs: &[_]| navigates(&headers(pairs));
        let (dest, mode) = ("sec-fetch-dest", "sec-fetch-mode");
        assert!(navigates(&[]) && navigates(&[(dest, "document"), (mode, "navigate")]));
        for embedded in ["iframe", "image", "empty", "script", "object"] {
            assert!(!navigates(&[(dest, embedded), (mode, "navigate")]), "{embedded}");
        }
        assert!(!navigates(&[(dest, "document"), (mode, "cors")]));
    }

    #[test]
    fn whoever_only_looks_redeems_nothing() {
        let may = |method, pairs: &[_]| may_redeem(&method, &headers(pairs));
        assert!(may(Method::GET, &[]) && may(Method::POST, &[]));
        assert!(!may(Method::HEAD, &[]) && !may(Method::OPTIONS, &[]));
        assert!(!may(Method::GET, &[("sec-purpose", "prefetch;prerender")]));
        assert!(!may(Method::GET, &[("purpose", "prefetch")]));
        assert!(!may(Method::GET, &[("purpose", "Preview")]));
    }

    fn head(target: &str, pairs: &[(&'static str, &'static str)]) -> Head {
        let (mut head, ()) = hyper::Request::new(()).into_parts();
        (head.uri, head.headers) = (target.parse().unwrap(), headers(pairs));
        head
    }

    #[test]
    fn early_data_may_only_read() {
        let early = |method, target: &str, value| {
            let mut head = head(target, &[("early-data", value)]);
            head.method = method;
            is_early(&head)
        };
        assert!(early(Method::GET, "/a?$4DSID=x", "1") && early(Method::GET, "/a?state=x", "1"));
        assert!(early(Method::POST, "/a", "1") && early(Method::DELETE, "/a", "1"));
        assert!(!early(Method::GET, "/a", "1") && !early(Method::HEAD, "/a", "1"));
        assert!(!early(Method::POST, "/a", "0"));
    }

    #[test]
    fn crumbs_of_http2_become_one_cookie() {
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
        let mut two = head("/", &crumbs);
        two.version = Version::HTTP_2;
        join_cookies(&mut two);
        let joined: Vec<_> = two.headers.get_all("cookie").iter().collect();
        assert_eq!(joined, ["a=1; b=2; c=3"]);
        let mut one = head("/", &crumbs);
        join_cookies(&mut one);
        assert_eq!(one.headers.get_all("cookie").iter().count(), 3, "HTTP/1.1 has one anyway");
    }
}
