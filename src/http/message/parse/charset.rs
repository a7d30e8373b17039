//! The charset of a body: which encoding its bytes are in, and its text (Encoding Standard).

use std::borrow::Cow;

use encoding_rs::Encoding;
use encoding_rs::UTF_8;

use crate::http::message::parse::accept::split;

/// The encoding that the `charset` of a content type names; `None` where it names none that is
/// known.
pub(crate) fn named(content_type: &str) -> Option<&'static Encoding> {
    let parameters = split(content_type, ';').into_iter().skip(1);
    let label = parameters.into_iter().find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim())
    })?;
    Encoding::for_label(label.trim_matches(['"', '\'']).as_bytes())
}

/// The text of a body that was sent with this content type. A byte order mark counts before the
/// charset and is no part of the text; what cannot be decoded is replaced.
pub(crate) fn text<'b>(content_type: &str, bytes: &'b [u8]) -> Cow<'b, str> {
    if is_json(content_type) {
        return json(content_type, bytes);
    }
    named(content_type).unwrap_or(UTF_8).decode(bytes).0
}

/// The text of a body that holds JSON. JSON is UTF-8 whatever charset is named beside it (RFC 8259
/// §8.1); the charset counts for what is not.
pub(crate) fn json<'b>(content_type: &str, bytes: &'b [u8]) -> Cow<'b, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(_) => named(content_type).unwrap_or(UTF_8).decode(bytes).0,
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_found_however_it_is_written() {
        for kind in [
            "text/plain;charset=windows-1252",
            "text/plain; Charset=\"Windows-1252\"",
            "text/plain; a=\"x;charset=utf-8\"; charset = 'cp1252'",
            "application/x-www-form-urlencoded; charset=ISO-8859-1",
        ] {
            assert_eq!(named(kind).map(Encoding::name), Some("windows-1252"), "{kind}");
        }
        for kind in ["", "text/plain", "text/plain; charset=", "text/plain; charset=martian"] {
            assert_eq!(named(kind), None, "{kind}");
        }
    }

    #[test]
    fn a_text_is_read_in_its_charset() {
        assert_eq!(text("text/plain; charset=windows-1252", b"J\xfcrgen \x80"), "Jürgen €");
        assert_eq!(text("text/plain; charset=shift_jis", b"\x93\xfa\x96\x7b"), "日本");
        assert_eq!(text("text/plain", b"\xff"), "\u{fffd}");
        assert_eq!(text("text/plain; charset=windows-1252", b"\xef\xbb\xbf\xc3\xbc"), "ü");
        assert_eq!(text("text/xml; charset=utf-16", b"\xff\xfea\0"), "a");
    }

    #[test]
    fn json_is_utf8_unless_it_is_not() {
        let kind = "application/json; charset=iso-8859-1";
        assert_eq!(text(kind, "\"ü\"".as_bytes()), "\"ü\"");
        assert_eq!(text(kind, b"\"\xfc\""), "\"ü\"");
        assert_eq!(json("", b"\xef\xbb\xbf{}"), "{}");
        assert_eq!(json("", b"\xff\xfe{\0}\0"), "{}");
        assert_eq!(text("application/problem+json; charset=latin1", "ü".as_bytes()), "ü");
    }
}
