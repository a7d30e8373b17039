//! Requests that two readers could read in two ways: what becomes of each, byte for byte.
//!
//! The cases are those of docs/SECURITY.md F.1 and F.2. Behind each stands a second request, the
//! canary: where it is unclear at which byte the first one ends, the canary must not be answered,
//! because a proxy in front may have taken it for somebody else's body (docs/SECURITY.md T39, G30).

mod http1;
mod http2;

use crate::support::peer::Peer;
use crate::support::peer::Said;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;

/// What becomes of a request over HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is answered so, and the connection goes on: the canary is answered too.
    GoesOn(u16),
    /// It is answered so, and the connection ends before the canary.
    Ends(u16),
}

use Verdict::Ends;
use Verdict::GoesOn;

/// Answered only where the connection goes on; then it ends.
const CANARY: &[u8] = b"GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn every_ambiguous_request_gets_its_verdict_and_nothing_behind_it_is_read() {
    let served = Served::start(settings()).await;
    let mut wrong = Vec::new();
    for (name, request, verdict) in http1::cases() {
        let before = served.house.probe.runs();
        let mut wire = served.connect().await;
        wire.send([&request, CANARY].concat()).await;
        let said = wire.rest().await;
        let first = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let canaries = served.house.probe.runs() - before;
        let answers = said.matches("HTTP/1.1 ").count() + said.matches("HTTP/1.0 ").count();
        let found = match canaries {
            0 => Ends(first),
            _ => GoesOn(first),
        };
        if found != verdict || canaries > 1 || answers != 1 + canaries {
            wrong.push(format!("{name}: {found:?}, not {verdict:?}; {answers} answers"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(http1::cases().len() >= 124, "only {} cases", http1::cases().len());
}

/// Between a client and an upstream there must be one opinion about where requests end: what the
/// client has sent as one request is one request upstream, its canary is another or none, and
/// nothing comes out in between.
#[tokio::test]
async fn an_upstream_sees_each_request_once_and_never_a_part_of_one() {
    let upstream = Upstream::echo().await;
    let row = |pattern: &str| {
        format!(r#"{{ "forward": "http://{}", "pattern": "{pattern}" }}"#, upstream.address)
    };
    let rows = ["say", "echo", "whoami"].map(row).join(",");
    let served = Served::with_rows(settings(), &rows).await;
    let (mut wrong, mut forwarded) = (Vec::new(), 0);
    for (name, request, verdict) in http1::cases() {
        let before = upstream.asked().len();
        let mut wire = served.connect().await;
        wire.send([&request, CANARY].concat()).await;
        let said = wire.rest().await;
        let seen: Vec<String> = upstream.asked().drain(before..).map(|it| it.target).collect();
        let canaries = seen.iter().filter(|target| *target == "/whoami").count();
        let expected = match verdict {
            GoesOn(200) if name.contains("websocket") || name == "upgrade" => (1, 0),
            GoesOn(200) => (2, 1),
            GoesOn(_) => (1, 1),
            Ends(200) => (1, 0),
            Ends(_) => (0, 0),
        };
        forwarded += seen.len();
        if (seen.len(), canaries) != expected {
            wrong.push(format!("{name}: {seen:?} upstream, {verdict:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(forwarded >= 80, "only {forwarded} requests came through");
    for asked in upstream.asked() {
        let framed = [asked.header("content-length"), asked.header("transfer-encoding")];
        assert!(framed.contains(&""), "{asked:?} has two lengths");
    }
}

#[tokio::test]
async fn every_malformed_request_of_http2_is_answered_or_reset_and_reaches_no_row() {
    let served = Served::start(settings()).await;
    let mut wrong = Vec::new();
    for (name, fields, verdict) in http2::cases() {
        let before = served.house.probe.runs();
        let mut peer = Peer::connect(served.public).await;
        peer.ask(1, &fields).await;
        let found = peer.answer_to(1).await;
        let reached = served.house.probe.runs() - before;
        let expected = usize::from(verdict == Said::Status(200));
        if found != verdict || reached != expected {
            wrong.push(format!("{name}: {found:?}, not {verdict:?}; {reached} reached the row"));
        }
        // A stream that is refused is no reason to end the others.
        if !matches!(found, Said::GoAway(_)) {
            peer.ask(3, &http2::plain()).await;
            let canary = peer.answer_to(3).await;
            assert_eq!(canary, Said::Status(200), "{name}: the next request");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(http2::cases().len() >= 35, "only {} cases", http2::cases().len());
}

#[tokio::test]
async fn http2_takes_a_header_in_pieces_up_to_its_limit() {
    let served = Served::start(settings()).await;
    for (fields, bytes, verdict) in [
        (15, 1_000, Said::Status(200)),
        (20, 1_000, Said::Status(431)),
        (28, 1_000, Said::Status(431)),
        (70, 1_000, Said::Status(431)),
        (140, 1_000, Said::GoAway(11)),
    ] {
        let mut peer = Peer::connect(served.public).await;
        let value = "v".repeat(bytes);
        let mut all = http2::plain();
        all.extend((0..fields).map(|_| ("x-a".to_owned(), value.clone())));
        peer.ask_in_pieces(1, &all).await;
        assert_eq!(peer.answer_to(1).await, verdict, "{fields} fields of {bytes} bytes");
    }
}

#[tokio::test]
async fn one_frame_of_http2_has_its_size() {
    let served = Served::start(settings()).await;
    let mut peer = Peer::connect(served.public).await;
    let mut fields = http2::plain();
    fields.extend((0..20).map(|_| ("x-a".to_owned(), "v".repeat(1_000))));
    peer.ask(1, &fields).await;
    assert_eq!(peer.answer_to(1).await, Said::GoAway(6), "FRAME_SIZE_ERROR");
}
