//! HTTP/2 peers that no library would be: floods, silence, and answers that nobody takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use callgate::http::ResponseBody;
use callgate::http::answer::CutShort;
use http_body_util::channel::Channel;
use http_body_util::channel::Sender;
use hyper::Response;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::frames;
use crate::support::frames::Frame;
use crate::support::frames::frame;
use crate::support::frames::get;
use crate::support::frames::hello;
use crate::support::frames::post;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;
use crate::support::wire::limited;
use crate::support::wire::soon;

/// Short enough for a test to wait for, long enough for a busy machine to answer within.
const SHORT: Duration = Duration::from_millis(150);
/// What a stream may send by default (RFC 9113 §6.9.2).
const WINDOW: u32 = 65_535;
const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A peer that sends what a test writes, and answers pings and settings like anybody.
struct Peer {
    stream: TcpStream,
    ahead: Vec<u8>,
    /// The codes and reasons of every goodbye so far.
    said: Vec<(u32, String)>,
}

impl Peer {
    async fn greet(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = Self { stream, ahead: Vec::new(), said: Vec::new() };
        peer.send(&hello(window)).await;
        peer
    }

    /// Sends; a server that has hung up already is no failure.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = soon(self.stream.write_all(bytes)).await;
    }

    /// The next frame; `None` once the server has closed.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frames::take(&mut self.ahead) {
                if frame.kind == frames::GOAWAY {
                    let code = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
                    let reason = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
                    self.said.push((code, reason));
                }
                return Some(frame);
            }
            match soon(self.stream.read_buf(&mut self.ahead)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The frames up to and with the one that ends a stream, as a well-behaved peer sees them.
    async fn until_end_of(&mut self, stream: u32) -> Vec<Frame> {
        let mut seen = Vec::new();
        while let Some(frame) = self.next().await {
            self.be_polite(&frame).await;
            let carries = matches!(frame.kind, frames::DATA | frames::HEADERS);
            let ends = carries && frame.flags & frames::END_STREAM != 0;
            let ends = frame.stream == stream && (ends || frame.kind == frames::RST_STREAM);
            seen.push(frame);
            if ends {
                return seen;
            }
        }
        panic!("the connection ended before stream {stream}: {seen:?}");
    }

    /// Waits until the server closes; the codes and reasons that it gave for that. On a machine
    /// that stands still for a moment, it may have said goodbye before its last answer.
    async fn goodbyes(&mut self) -> &[(u32, String)] {
        while let Some(frame) = self.next().await {
            self.be_polite(&frame).await;
        }
        &self.said
    }

    async fn be_polite(&mut self, seen: &Frame) {
        if matches!(seen.kind, frames::PING | frames::SETTINGS) && seen.flags & frames::ACK == 0 {
            let payload = if seen.kind == frames::PING { &*seen.payload } else { &[] };
            self.send(&frame(seen.kind, frames::ACK, 0, payload)).await;
        }
    }
}

#[tokio::test]
async fn a_head_gets_no_body_on_any_listener() {
    let served = Served::start(settings()).await;
    let told =
        [(served.public, "/whoami"), (served.public, "/none/such"), (served.internal, "/livez")];
    for (address, path) in told {
        let mut peer = Peer::greet(address, WINDOW).await;
        let block = frames::block("HEAD", path);
        let ends = frames::END_HEADERS | frames::END_STREAM;
        peer.send(&frame(frames::HEADERS, ends, 1, &block)).await;
        let seen = peer.until_end_of(1).await;
        let last = seen.last().unwrap();
        assert_ne!(last.kind, frames::RST_STREAM, "{path}");
        let body = seen.iter().filter(|it| it.kind == frames::DATA).map(|it| it.payload.len());
        assert_eq!(body.sum::<usize>(), 0, "{path}: clients reset a HEAD that has a body");
    }
}

#[tokio::test]
async fn a_flood_of_any_kind_ends_its_connection_and_no_other() {
    const CALM: u32 = ENHANCE_YOUR_CALM;
    let served = Served::start(settings()).await;
    let mut neighbour = served.connect().await;
    let block = frames::block("GET", "/whoami");
    let opened = |stream: usize| get(u32::try_from(2 * stream + 1).unwrap(), "/whoami");
    let reset = |stream: usize| {
        let stream = u32::try_from(2 * stream + 1).unwrap();
        frame(frames::RST_STREAM, 0, stream, &[0, 0, 0, 8])
    };
    let begun = frame(frames::HEADERS, frames::END_STREAM, 1, &block);
    let many = |start: Vec<u8>, each: Vec<u8>| [start, each.repeat(1_100)].concat();
    let rapid: Vec<u8> = (0..500).flat_map(|at| [opened(at), reset(at)].concat()).collect();
    let continued = |payload| frame(frames::CONTINUATION, 0, 1, payload);
    // The reasons are those of h2; another one would mean that it defends itself otherwise now.
    for (name, bytes, goodbye) in [
        ("rapid reset", rapid, Some((CALM, "too_many_resets"))),
        (
            "continuations",
            many(begun.clone(), continued(b"\x00\x01a\x01b")),
            Some((CALM, "too_many_continuations")),
        ),
        (
            "empty continuations",
            many(begun, continued(b"")),
            Some((CALM, "too_many_continuations")),
        ),
        (
            "empty data",
            many(post(1, "/echo"), frame(frames::DATA, 0, 1, b"")),
            Some((CALM, "too_many_data_frames")),
        ),
        ("pings", many(vec![], frame(frames::PING, 0, 0, &[7; 8])), None),
        ("pings answered", many(vec![], frame(frames::PING, frames::ACK, 0, &[7; 8])), None),
        ("settings", many(vec![], frame(frames::SETTINGS, 0, 0, &[])), None),
        ("priorities", many(vec![], frame(frames::PRIORITY, 0, 1, &[0, 0, 0, 3, 9])), None),
        ("windows", many(vec![], frame(frames::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])), None),
        ("unknown frames", many(vec![], frame(0xEE, 0, 0, b"")), None),
    ] {
        let mut peer = Peer::greet(served.public, WINDOW).await;
        peer.send(&bytes).await;
        let said = peer.goodbyes().await;
        let wanted = goodbye.map(|(code, reason): (u32, &str)| (code, reason.to_owned()));
        assert_eq!(said, Vec::from_iter(wanted), "{name}");
        assert_eq!(neighbour.get("/whoami").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn what_requests_and_answers_explain_is_no_flood() {
    let served = Served::start(settings()).await;
    let mut peer = Peer::greet(served.public, WINDOW).await;
    for at in 0..400 {
        let stream = 2 * at + 1;
        let window = |stream| frame(frames::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 5]);
        peer.send(&get(stream, "/say?body=hello")).await;
        let seen = peer.until_end_of(stream).await;
        assert!(seen.iter().any(|frame| frame.payload == b"hello"), "{seen:?}");
        peer.send(&[window(0), window(stream), window(0)].concat()).await;
    }
    peer.send(&frame(frames::PING, 0, 0, &[1; 8]).repeat(900)).await;
    peer.send(&get(801, "/whoami")).await;
    peer.until_end_of(801).await;
}

#[tokio::test]
async fn a_connection_ends_after_its_number_of_streams() {
    let served = Served::start(limited(|limits| limits.requests_per_connection = 3)).await;
    let mut peer = Peer::greet(served.public, WINDOW).await;
    for at in 0..30 {
        peer.send(&get(2 * at + 1, "/whoami")).await;
        let seen = peer.until_end_of(2 * at + 1).await;
        assert!(at == 29 || seen.iter().all(|frame| frame.kind != frames::GOAWAY), "{seen:?}");
    }
    assert!(peer.goodbyes().await.iter().all(|(code, _)| *code == NO_ERROR));
    assert_eq!(served.house.probe.runs(), 30);
}

#[tokio::test]
async fn a_connection_without_a_request_is_not_kept() {
    let served = Served::start(limited(|limits| limits.header = SHORT)).await;
    for asks in [false, true] {
        let mut peer = Peer::greet(served.public, WINDOW).await;
        if asks {
            peer.send(&get(1, "/whoami")).await;
            peer.until_end_of(1).await;
        }
        let said = peer.goodbyes().await;
        assert!(!said.is_empty() && said.iter().all(|(code, _)| *code == NO_ERROR), "{said:?}");
    }
}

#[tokio::test]
async fn a_request_under_way_keeps_its_connection() {
    let served = Served::start(limited(|limits| {
        limits.header = Duration::from_millis(1);
        limits.write_stall = Duration::from_millis(1);
    }))
    .await;
    let mut peer = Peer::greet(served.public, WINDOW).await;
    peer.send(&get(1, "/linger?value=done")).await;
    served.house.probe.arrival().await;
    // Longer than both limits, by any clock: another connection comes and goes meanwhile.
    let mut idle = Peer::greet(served.public, WINDOW).await;
    idle.goodbyes().await;
    served.house.probe.door.add_permits(1);
    let seen = peer.until_end_of(1).await;
    assert!(seen.iter().any(|frame| frame.kind == frames::DATA), "{seen:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_not_kept() {
    let served = Served::start(limited(|limits| limits.write_stall = SHORT)).await;
    for window in [0, 1] {
        let mut peer = Peer::greet(served.public, window).await;
        peer.send(&get(1, "/say?body=hello")).await;
        // It answers whatever the server asks, so it looks alive.
        let said = peer.goodbyes().await;
        assert!(said.iter().all(|(code, _)| *code == NO_ERROR), "{said:?}");
    }
    let mut slow = Peer::greet(served.public, 1).await;
    slow.send(&get(1, "/say?body=hello")).await;
    for _ in 0..4 {
        slow.send(&frame(frames::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await;
    }
    slow.until_end_of(1).await;
}

/// An upstream whose answer is written part by part by the test.
async fn told() -> (Upstream, Sender<Bytes, CutShort>) {
    let (sender, body) = Channel::<Bytes, CutShort>::new(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let upstream = Upstream::with(move |_, _| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Response::new(ResponseBody::stream(body)) }
    })
    .await;
    (upstream, sender)
}

/// A gate that gives a peer little time, with a row that forwards.
async fn before(upstream: &Upstream) -> Served {
    let rows = format!(r#"{{ "forward": "http://{}", "pattern": "up" }}"#, upstream.address);
    Served::with_rows(limited(|limits| limits.write_stall = SHORT), &rows).await
}

#[tokio::test]
async fn an_upstream_that_says_nothing_for_long_is_waited_for() {
    let (upstream, mut sender) = told().await;
    let served = before(&upstream).await;
    let mut peer = Peer::greet(served.public, WINDOW).await;
    peer.send(&get(1, "/up")).await;
    for part in ["first", "other"] {
        // As long as it takes until somebody else was cut off for taking nothing.
        let mut slow = Peer::greet(served.public, 0).await;
        slow.send(&get(1, "/say?body=hello")).await;
        slow.goodbyes().await;
        sender.send_data(Bytes::from(part)).await.unwrap();
        loop {
            let frame = peer.next().await.expect("a connection that is still there");
            peer.be_polite(&frame).await;
            if frame.kind == frames::DATA {
                assert_eq!(frame.payload, part.as_bytes());
                break;
            }
        }
    }
    drop(sender);
    peer.until_end_of(1).await;
}

#[tokio::test]
async fn behind_a_quiet_upstream_nobody_can_hide() {
    let (upstream, mut sender) = told().await;
    let served = before(&upstream).await;
    let mut peer = Peer::greet(served.public, 5).await;
    peer.send(&get(1, "/up")).await;
    peer.send(&frame(frames::WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0])).await;
    sender.send_data(Bytes::from("first")).await.unwrap();
    // Half of this answer has no room in the window, and never gets any.
    peer.send(&get(3, "/say?body=hellohello")).await;
    peer.goodbyes().await;
}

#[tokio::test]
async fn an_answer_from_upstream_that_nobody_takes_is_not_kept() {
    let (upstream, mut sender) = told().await;
    let served = before(&upstream).await;
    let mut peer = Peer::greet(served.public, 5).await;
    peer.send(&get(1, "/up")).await;
    sender.send_data(Bytes::from("firstother")).await.unwrap();
    peer.goodbyes().await;
}

#[tokio::test]
async fn a_stream_whose_body_does_not_end_is_answered_408() {
    for gap in [true, false] {
        let served = Served::start(limited(|limits| {
            *(if gap { &mut limits.body_gap } else { &mut limits.body }) = SHORT;
        }))
        .await;
        let mut peer = Peer::greet(served.public, WINDOW).await;
        peer.send(&[post(1, "/echo"), frame(frames::DATA, 0, 1, b"12345")].concat()).await;
        let seen = peer.until_end_of(1).await;
        let data = seen.iter().find(|frame| frame.kind == frames::DATA).unwrap();
        let said: Value = serde_json::from_slice(&data.payload).unwrap();
        assert_eq!((&said["status"], &said["code"]), (&json!(408), &json!("body_too_slow")));
        peer.send(&get(3, "/whoami")).await;
        peer.until_end_of(3).await;
    }
}
