//! What the head of a request says about its caller, before anything is looked up.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Version;
use hyper::header;
use hyper::http::request::Parts as Head;
use hyper::http::uri::Authority;

use crate::base::Caller;
use crate::http::fault::Fault;

/// Turns away requests that no row may see: methods of the connection itself, targets that are
/// too long, and requests that do not name exactly one host.
pub(crate) fn check(head: &Head, target_bytes_max: usize) -> Result<(), Fault> {
    let Head { method, uri, .. } = head;
    let shouted = method.as_str().bytes().all(|byte| !byte.is_ascii_lowercase());
    if !shouted || *method == Method::TRACE || *method == Method::CONNECT {
        return Err(Fault::method_unknown());
    }
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > target_bytes_max {
        return Err(Fault::target_too_long());
    }
    if !is_framed_plainly(head) {
        return Err(Fault::bad_framing());
    }
    if names_one_host(head) {
        Ok(())
    } else {
        Err(Fault::bad_request("bad_host", "A request must name exactly one host."))
    }
}

/// RFC 9112 §6.1: a body is `chunked` or has a length. hyper understands more than that, and so
/// might a proxy in front of it, in another way: what follows on the connection could be taken
/// for a request by one and for a body by the other.
fn is_framed_plainly(head: &Head) -> bool {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let lengths = head.headers.get_all(header::CONTENT_LENGTH).iter().count();
    let is_plain =
        codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    is_plain && codings.next().is_none() && lengths <= 1
}

/// RFC 9112 §3.2, RFC 9113 §8.3.1: one host, well-formed and without user, and the same one where
/// the target or `:authority` says it too. Only HTTP/1.0 may leave it out.
fn names_one_host(head: &Head) -> bool {
    let mut fields = head.headers.get_all(header::HOST).iter();
    let target = head.uri.authority();
    match (fields.next(), fields.next()) {
        (_, Some(_)) => false,
        (Some(field), None) => {
            let host = field.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
            host.is_some_and(|host| is_plain(&host) && target.is_none_or(|target| *target == host))
        }
        (None, None) => match head.version {
            Version::HTTP_10 => true,
            Version::HTTP_11 => false,
            _ => target.is_some_and(is_plain),
        },
    }
}

fn is_plain(host: &Authority) -> bool {
    !host.as_str().contains('@')
}

/// Who asks: a browser sends `Sec-Fetch-*`, or asks for HTML.
pub(crate) fn caller(headers: &HeaderMap) -> Caller {
    let fetches = headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let reads_html = accept.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
    });
    if fetches || reads_html { Caller::Browser } else { Caller::Server }
}

/// Whether a person may be about to see the answer as a page of its own. A browser says so when
/// it embeds the answer, or when a script asks for it.
pub(crate) fn navigates(headers: &HeaderMap) -> bool {
    let says = |name: &str, wanted: &str| {
        headers.get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes())
    };
    says("sec-fetch-dest", "document") && says("sec-fetch-mode", "navigate")
}

/// Whether the request may redeem a token: not when its answer is only to be looked at, stored
/// or shown later.
pub(crate) fn may_redeem(method: &Method, headers: &HeaderMap) -> bool {
    let prefetches = ["sec-purpose", "purpose", "x-moz", "x-purpose"].iter().any(|name| {
        let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        values.into_iter().any(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("prefetch") || value.contains("prerender") || value.contains("preview")
        })
    });
    *method != Method::HEAD && *method != Method::OPTIONS && !prefetches
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;
    use hyper::header::HeaderValue;

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
        assert_eq!(caller(&[("accept", "text/html,*/*;q=0.8")]), Caller::Browser);
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

    #[test]
    fn a_request_names_exactly_one_host() {
        let names = |version, target: &str, pairs: &[_]| {
            let (mut head, ()) = hyper::Request::new(()).into_parts();
            (head.version, head.headers) = (version, headers(pairs));
            head.uri = target.parse().unwrap();
            names_one_host(&head)
        };
        let one = |host| names(Version::HTTP_11, "/", &[("host", host)]);
        assert!(one("a") && one("a.example:80") && one("[::1]:80"));
        assert!(!one("") && !one("a b") && !one("u@a") && !one("a/b") && !one("a,b/"));
        let (v1, v2) = (Version::HTTP_11, Version::HTTP_2);
        assert!(!names(v1, "/", &[]) && names(Version::HTTP_10, "/", &[]));
        assert!(!names(v1, "/", &[("host", "a"), ("host", "a")]));
        assert!(names(v1, "http://a/", &[("host", "A")]));
        assert!(!names(v1, "http://a/", &[]) && !names(v1, "http://a/", &[("host", "b")]));
        assert!(names(v2, "http://a/", &[]) && names(v2, "http://a/", &[("host", "a")]));
        assert!(!names(v2, "/", &[]) && !names(v2, "http://u@a/", &[]));
    }
}
