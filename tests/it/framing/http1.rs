//! The cases of HTTP/1.1: docs/SECURITY.md F.1.

use super::Ends;
use super::GoesOn;
use super::Verdict;

type Case = (String, Vec<u8>, Verdict);

pub(super) fn cases() -> Vec<Case> {
    [hosts(), lengths(), codings(), chunks(), lines(), methods(), targets(), sizes()].concat()
}

fn case(name: impl Into<String>, request: impl AsRef<[u8]>, verdict: Verdict) -> Case {
    (name.into(), request.as_ref().to_vec(), verdict)
}

/// Who is asked is plain enough to refuse, and where the request ends is plain as well.
fn hosts() -> Vec<Case> {
    let with = |hosts: &str, verdict| {
        case(format!("{hosts:?}"), format!("GET /say HTTP/1.1\r\n{hosts}\r\n"), verdict)
    };
    let absolute = |target: &str, host: &str, verdict| {
        let request = format!("GET {target}/say HTTP/1.1\r\nHost: {host}\r\n\r\n");
        case(format!("{target} for {host}"), request, verdict)
    };
    vec![
        with("Host: x\r\n", GoesOn(200)),
        with("Host: x:8044\r\n", GoesOn(200)),
        with("", GoesOn(400)),
        with("Host: x\r\nHost: x\r\n", GoesOn(400)),
        with("Host: x\r\nHost: y\r\n", GoesOn(400)),
        with("Host:\r\n", GoesOn(400)),
        with("Host: a b\r\n", GoesOn(400)),
        with("Host: a/b\r\n", GoesOn(400)),
        with("Host: a,b\r\n", GoesOn(400)),
        with("Host: a:b\r\n", GoesOn(400)),
        with("Host: user@x\r\n", GoesOn(400)),
        with("Host: user:pw@x\r\n", GoesOn(400)),
        with("Host: x\\@y\r\n", GoesOn(400)),
        with("Host: [::1\r\n", GoesOn(400)),
        with("Host: b\u{fc}cher.example\r\n", GoesOn(400)),
        absolute("http://x", "x", GoesOn(200)),
        absolute("http://x", "y", GoesOn(400)),
        absolute("http://u@x", "x", GoesOn(400)),
        absolute("http://u@x", "u@x", GoesOn(400)),
        absolute("https://x", "x", GoesOn(400)),
        absolute("javascript://x", "x", GoesOn(400)),
    ]
}

fn post(framing: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}")
}

fn lengths() -> Vec<Case> {
    let with = |framing: &str, verdict| case(framing, post(framing, "abc"), verdict);
    vec![
        with("Content-Length: 3", GoesOn(200)),
        with("Content-Length: 003", GoesOn(200)),
        // hyper makes one of two that agree, as RFC 9112 §6.3 allows.
        with("Content-Length: 3\r\nContent-Length: 3", GoesOn(200)),
        with("Content-Length: 3\r\nContent-Length: 4", Ends(400)),
        with("Content-Length: 3, 3", Ends(400)),
        with("Content-Length: 3, 4", Ends(400)),
        with("Content-Length: +3", Ends(400)),
        with("Content-Length: -3", Ends(400)),
        with("Content-Length: 0x3", Ends(400)),
        with("Content-Length: 3a", Ends(400)),
        with("Content-Length:", Ends(400)),
        with("Content-Length: 18446744073709551619", Ends(400)),
        with("Content-Length: 3 3", Ends(400)),
        with("Content-Length: \"3\"", Ends(400)),
        with("Content-Length : 3", Ends(400)),
        with(" Content-Length: 3", Ends(400)),
        with("Content-Length: 3\r\nTransfer-Encoding: gzip", Ends(400)),
    ]
}

fn codings() -> Vec<Case> {
    let with =
        |framing: &str, verdict| case(framing, post(framing, "3\r\nabc\r\n0\r\n\r\n"), verdict);
    let old = "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    vec![
        with("Transfer-Encoding: chunked", GoesOn(200)),
        with("Transfer-Encoding: Chunked", GoesOn(200)),
        with("Transfer-Encoding: xchunked", Ends(400)),
        with("Transfer-Encoding: chunked, identity", Ends(400)),
        with("Transfer-Encoding: chunked;q=1", Ends(400)),
        with("Transfer-Encoding: \x0bchunked", Ends(400)),
        with("Transfer-Encoding: \"chunked\"", Ends(400)),
        with("Transfer-Encoding:\r\n chunked", Ends(400)),
        with("Transfer-Encoding : chunked", Ends(400)),
        with("Transfer-Encoding: identity, chunked", Ends(400)),
        with("Transfer-Encoding: gzip, chunked", Ends(400)),
        with("Transfer-Encoding: chunked, chunked", Ends(400)),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Ends(400)),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Ends(400)),
        with("Transfer-Encoding: identity", Ends(400)),
        // hyper drops the length and closes afterwards, one of the two ways of RFC 9112 §6.3.
        with("Transfer-Encoding: chunked\r\nContent-Length: 3", Ends(200)),
        with("Content-Length: 3\r\nTransfer-Encoding: chunked", Ends(200)),
        case("chunked over HTTP/1.0", old, Ends(400)),
    ]
}

fn chunks() -> Vec<Case> {
    let with = |name: &str, body: &str, verdict| {
        case(name, post("Transfer-Encoding: chunked", body), verdict)
    };
    vec![
        with("blank behind the size", "3 \r\nabc\r\n0\r\n\r\n", GoesOn(200)),
        with("extension", "3;a=b\r\nabc\r\n0\r\n\r\n", GoesOn(200)),
        with("trailer", "3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n", GoesOn(200)),
        with("bad size", "z\r\nabc\r\n0\r\n\r\n", Ends(400)),
        with("size with a sign", "+3\r\nabc\r\n0\r\n\r\n", Ends(400)),
        with("size with 0x", "0x3\r\nabc\r\n0\r\n\r\n", Ends(400)),
        with("no size", "\r\nabc\r\n0\r\n\r\n", Ends(400)),
        with("bare LF behind the size", "3\nabc\r\n0\r\n\r\n", Ends(400)),
        with("bare LF behind the data", "3\r\nabc\n0\r\n\r\n", Ends(400)),
        with("no line end behind the data", "3\r\nabc0\r\n\r\n", Ends(400)),
        with("too much data", "3\r\nabcd\r\n0\r\n\r\n", Ends(400)),
        with("size beyond 64 bits", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", Ends(400)),
        with(
            "extension beyond 16 KiB",
            &format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(20_000)),
            Ends(400),
        ),
    ]
}

fn lines() -> Vec<Case> {
    let get = |rest: &str| format!("GET /say HTTP/1.1\r\nHost: x\r\n{rest}\r\n");
    vec![
        // RFC 9112 §2.2 lets a reader take a bare LF for a line end, and skip an empty line.
        case("bare LF", "GET /say HTTP/1.1\nHost: x\n\n", GoesOn(200)),
        case("empty line in front", "\r\nGET /say HTTP/1.1\r\nHost: x\r\n\r\n", GoesOn(200)),
        case("bare CR", get("X-A: a\rb\r\n"), Ends(400)),
        case("NUL", get("X-A: a\0b\r\n"), Ends(400)),
        case("folded line", get("X-A: a\r\n b\r\n"), Ends(400)),
        case("no colon", get("X-A\r\n"), Ends(400)),
        case("no name", get(": a\r\n"), Ends(400)),
        case("blank in front of a name", get(" X-A: a\r\n"), Ends(400)),
        case("blank within a name", get("X A: a\r\n"), Ends(400)),
        case("HTTP/1.2", "GET /say HTTP/1.2\r\nHost: x\r\n\r\n", Ends(400)),
        case("HTTP/9.9", "GET /say HTTP/9.9\r\nHost: x\r\n\r\n", Ends(400)),
        case("no version", "GET /say\r\n\r\n", Ends(400)),
        case("two blanks", "GET  /say HTTP/1.1\r\nHost: x\r\n\r\n", Ends(400)),
        case("HTTP/1.0", "GET /say HTTP/1.0\r\n\r\n", Ends(200)),
        case("upgrade", get("Connection: upgrade\r\nUpgrade: websocket\r\n"), GoesOn(200)),
        case(
            "upgrade to h2c",
            get(
                "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
            GoesOn(200),
        ),
        case(
            "early data",
            "POST /echo HTTP/1.1\r\nHost: x\r\nEarly-Data: 1\r\nContent-Length: 3\r\n\r\nabc",
            GoesOn(425),
        ),
    ]
}

fn methods() -> Vec<Case> {
    let with =
        |line: &str, verdict| case(line, format!("{line} HTTP/1.1\r\nHost: a:80\r\n\r\n"), verdict);
    vec![
        with("PURGE /say", GoesOn(200)),
        with("get /say", GoesOn(501)),
        with("Get /say", GoesOn(501)),
        with("TRACE /say", GoesOn(501)),
        with("CONNECT a:80", GoesOn(501)),
        with("OPTIONS *", GoesOn(204)),
        with("GET *", GoesOn(400)),
        with("G@T /say", Ends(400)),
        with("G\u{e9}T /say", Ends(400)),
    ]
}

fn targets() -> Vec<Case> {
    let with = |target: &[u8], verdict| {
        let request = [b"GET ", target, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
        case(String::from_utf8_lossy(target), request, verdict)
    };
    vec![
        with(b"//say", GoesOn(200)),
        // hyper drops a fragment before anybody sees it.
        with(b"/say#frag", GoesOn(200)),
        with(b"/a/../say", GoesOn(400)),
        with(b"/./say", GoesOn(400)),
        with(b"/%2e%2e/say", GoesOn(400)),
        with(b"/%00", GoesOn(400)),
        with(b"/%zz", GoesOn(400)),
        with(b"/a%2fb", GoesOn(400)),
        with(b"/a\\b", GoesOn(400)),
        with(b"/caf\xc3\xa9", GoesOn(400)),
        with(b"/\xff", Ends(400)),
        with(b"say", GoesOn(400)),
        with(b"@evil", GoesOn(400)),
        with(b"/a<b", Ends(400)),
        with(b"/a>b", Ends(400)),
        // No URL, but one meaning: the table decides.
        with(b"/a|b", GoesOn(404)),
        with(b"/a^b", GoesOn(404)),
        with(b"/a\"b", GoesOn(404)),
        with(b"/a{b}", GoesOn(404)),
        with(b"", Ends(400)),
    ]
}

fn sizes() -> Vec<Case> {
    let many = |count: usize| {
        format!("GET /say HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(count - 1))
    };
    let long = |name: usize, value: usize| {
        format!(
            "GET /say HTTP/1.1\r\nHost: x\r\n{}: {}\r\n\r\n",
            "n".repeat(name),
            "v".repeat(value)
        )
    };
    let target =
        |bytes: usize| format!("GET /say?{} HTTP/1.1\r\nHost: x\r\n\r\n", "a=".repeat(bytes / 2));
    vec![
        case("100 fields", many(100), GoesOn(200)),
        case("101 fields", many(101), Ends(431)),
        case("8 KiB of one value", long(3, 8_192), GoesOn(200)),
        case("more of one value", long(3, 8_193), GoesOn(431)),
        case("256 bytes of one name", long(256, 1), GoesOn(200)),
        case("more of one name", long(257, 1), GoesOn(431)),
        case(
            "450 kB of header",
            format!(
                "GET /say HTTP/1.1\r\nHost: x\r\n{}\r\n",
                format!("X-A: {}\r\n", "v".repeat(5_000)).repeat(90)
            ),
            Ends(431),
        ),
        case("9,000 bytes of target", target(9_000), GoesOn(414)),
        case("70,000 bytes of target", target(70_000), Ends(431)),
    ]
}
