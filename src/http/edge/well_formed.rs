//! Requests that no row may see: ambiguous, too long, or with too many fields.

use hyper::HeaderMap;
use hyper::Version;
use hyper::header;
use hyper::http::request::Parts as Head;

use crate::base::limits::HEADER_NAME_BYTES_MAX;
use crate::base::limits::HEADER_VALUE_BYTES_MAX;
use crate::http::limits::Limits;
use crate::http::message::fault::Fault;
use crate::table;

/// Turns away requests that no row may see: methods of the connection itself, and whatever is
/// too long, too much, or framed ambiguously.
///
/// Which other methods there are is for the table to say: verbs of rows are any names
/// (docs/CONTRACT.md §3).
pub(crate) fn check(head: &Head, limits: &Limits) -> Result<(), Fault> {
    let Head { method, uri, headers, .. } = head;
    if !table::is_implemented(method.as_str()) {
        return Err(Fault::method_unknown());
    }
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > limits.target_bytes {
        return Err(Fault::target_too_long());
    }
    if !is_framed_plainly(head) {
        return Err(Fault::bad_framing());
    }
    // HTTP/2 knows no such number: its fields are counted here.
    if headers.len() > limits.headers
        || (head.version == Version::HTTP_2 && list_bytes(headers) > limits.list_bytes())
    {
        return Err(Fault::header_too_large());
    }
    headers.iter().try_for_each(|(name, value)| check_field(name.as_str(), value.as_bytes()))
}

/// The size of a header as HTTP/2 counts it (RFC 9113 §6.5.2), without cookies: browsers send each
/// in a field of its own, and the connection limits them together with all others.
fn list_bytes(headers: &HeaderMap) -> usize {
    let fields = headers.iter().filter(|(name, _)| **name != header::COOKIE);
    fields.map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

fn check_field(name: &str, value: &[u8]) -> Result<(), Fault> {
    let is_long = value.len() > HEADER_VALUE_BYTES_MAX && name != header::COOKIE;
    if name.len() > HEADER_NAME_BYTES_MAX || is_long {
        return Err(Fault::header_too_large());
    }
    // RFC 9113 §8.2.1: HTTP/2 must not have them, and HTTP/1.1 has had them taken off.
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        return Err(Fault::bad_request(
            "bad_header",
            "A header field begins or ends with a blank.",
        ));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;
    use hyper::header::HeaderValue;

    fn head() -> Head {
        hyper::Request::new(()).into_parts().0
    }

    #[test]
    fn one_field_must_not_be_too_long_nor_begin_or_end_with_a_blank() {
        let code = |name: &str, value: &[u8]| {
            let mut head = head();
            let value = HeaderValue::from_bytes(value).unwrap();
            head.headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            check(&head, &Limits::default()).map_or_else(|fault| fault.code(), |()| "ok")
        };
        assert_eq!(code("x-a", &[b'a'; HEADER_VALUE_BYTES_MAX]), "ok");
        assert_eq!(code("x-a", &[b'a'; HEADER_VALUE_BYTES_MAX + 1]), "header_too_large");
        assert_eq!(code(&"x".repeat(HEADER_NAME_BYTES_MAX), b""), "ok");
        assert_eq!(code(&"x".repeat(HEADER_NAME_BYTES_MAX + 1), b""), "header_too_large");
        for value in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
            assert_eq!(code("x-a", value), "bad_header", "{value:?}");
        }
        assert_eq!(code("x-a", b"a b\tc"), "ok");
    }

    #[test]
    fn so_many_fields_and_no_more() {
        let mut head = head();
        for _ in 0..100 {
            head.headers.append("x-a", HeaderValue::from_static(""));
        }
        let with = |headers| Limits { headers, ..Limits::default() };
        assert!(check(&head, &with(100)).is_ok());
        assert_eq!(check(&head, &with(99)).unwrap_err().code(), "header_too_large");
    }
}
