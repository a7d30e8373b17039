//! The cases of HTTP/2: docs/SECURITY.md F.2.

use crate::support::peer::Said;

pub(super) type Fields = Vec<(String, String)>;

/// `PROTOCOL_ERROR`, `COMPRESSION_ERROR` (RFC 9113 §7).
const PROTOCOL: u32 = 1;

/// A request that is fine.
pub(super) fn plain() -> Fields {
    with(&[])
}

fn with(more: &[(&str, &str)]) -> Fields {
    let own = [(":method", "GET"), (":scheme", "http"), (":path", "/whoami"), (":authority", "x")];
    owned(own.iter().chain(more))
}

/// The plain request with one field replaced, or left out.
fn but(name: &str, value: Option<&str>, more: &[(&str, &str)]) -> Fields {
    let mut fields = with(&[]);
    fields.retain(|(own, _)| own != name || value.is_some());
    for (own, text) in &mut fields {
        if let Some(value) = value.filter(|_| own == name) {
            value.clone_into(text);
        }
    }
    fields.extend(owned(more.iter()));
    fields
}

fn owned<'t>(fields: impl Iterator<Item = &'t (&'t str, &'t str)>) -> Fields {
    fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn cases() -> Vec<(&'static str, Fields, Said)> {
    let many = |count| {
        let mut fields = plain();
        fields.extend((0..count).map(|_| ("x-a".to_owned(), "1".to_owned())));
        fields
    };
    vec![
        ("plain", plain(), Said::Status(200)),
        ("host like authority", with(&[("host", "x")]), Said::Status(200)),
        ("cookies in crumbs", with(&[("cookie", "a=1"), ("cookie", "b=2")]), Said::Status(200)),
        ("host without authority", but(":authority", None, &[("host", "x")]), Said::Status(200)),
        // What h2 lets through and callgate does not.
        ("other host", with(&[("host", "y")]), Said::Status(400)),
        ("two hosts", with(&[("host", "x"), ("host", "x")]), Said::Status(400)),
        ("no host at all", but(":authority", None, &[]), Said::Status(400)),
        ("user in authority", but(":authority", Some("u@x"), &[]), Said::Status(400)),
        ("scheme javascript", but(":scheme", Some("javascript"), &[]), Said::Status(400)),
        ("scheme https without TLS", but(":scheme", Some("https"), &[]), Said::Status(400)),
        ("blank in front of a value", with(&[("x-a", " 1")]), Said::Status(400)),
        ("blank behind a value", with(&[("x-a", "1 ")]), Said::Status(400)),
        ("tab in front of a value", with(&[("x-a", "\t1")]), Said::Status(400)),
        ("95 small fields", many(95), Said::Status(200)),
        ("300 small fields", many(300), Said::Status(431)),
        ("460 small fields", many(460), Said::Status(431)),
        ("value of 9 kB", with(&[("x-a", &"v".repeat(9_000))]), Said::Status(431)),
        ("lower-case method", but(":method", Some("get"), &[]), Said::Status(501)),
        ("TRACE", but(":method", Some("TRACE"), &[]), Said::Status(501)),
        ("dots in the path", but(":path", Some("/a/../whoami"), &[]), Said::Status(400)),
        ("NUL in the path", but(":path", Some("/%00"), &[]), Said::Status(400)),
        (
            "two content lengths",
            with(&[("content-length", "0"), ("content-length", "0")]),
            Said::Status(400),
        ),
        // What h2 turns away itself.
        ("two paths", with(&[(":path", "/whoami")]), Said::Reset(PROTOCOL)),
        ("connection", with(&[("connection", "close")]), Said::Reset(PROTOCOL)),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), Said::Reset(PROTOCOL)),
        ("te: gzip", with(&[("te", "gzip")]), Said::Reset(PROTOCOL)),
        ("path without slash", but(":path", Some("whoami"), &[]), Said::Reset(PROTOCOL)),
        ("empty path", but(":path", Some(""), &[]), Said::Reset(PROTOCOL)),
        ("blank in the path", but(":path", Some("/a b"), &[]), Said::Reset(PROTOCOL)),
        ("content length without content", with(&[("content-length", "5")]), Said::Reset(PROTOCOL)),
        ("upper-case name", with(&[("X-A", "1")]), Said::GoAway(PROTOCOL)),
        ("line end in a value", with(&[("x-a", "1\r\nx-b: 2")]), Said::GoAway(PROTOCOL)),
        ("NUL in a value", with(&[("x-a", "1\0")]), Said::GoAway(PROTOCOL)),
        ("colon in a name", with(&[("x:a", "1")]), Said::GoAway(PROTOCOL)),
        ("blank in a method", but(":method", Some("GET /x"), &[]), Said::GoAway(PROTOCOL)),
    ]
}
