//! Tunnels through callgate for the `WebSocket` protocol, and what must not pass for one.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use callgate::http::server::Drained;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::forward::failures::head;
use crate::forward::served;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Wire;
use crate::support::wire::limited;

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \
                        websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A masked text frame, as a browser sends it, and the frame that a server answers it with.
const HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
const HELLO_BACK: &[u8] = &[0x81, 0x05, b'H', b'e', b'l', b'l', b'o'];

/// Everything that an upstream was sent, and how it answers: with this text, then, if it switches,
/// by echoing frames.
async fn socket(answer: &'static str) -> (Upstream, Arc<Mutex<Vec<u8>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let upstream = Upstream::on_connections(move |mut stream| {
        let seen = Arc::clone(&noted);
        async move {
            let Some(asked) = head(&mut stream).await else { return };
            seen.lock().unwrap().extend(asked.into_bytes());
            let _ = stream.write_all(answer.as_bytes()).await;
            let mut frame = [0; 11];
            while stream.read_exact(&mut frame).await.is_ok() {
                seen.lock().unwrap().extend(frame);
                let (key, text) = (&frame[2..6], &frame[6..]);
                let text: Vec<u8> =
                    text.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
                let _ = stream.write_all(&[&[0x81, 5], &*text].concat()).await;
            }
        }
    })
    .await;
    (upstream, seen)
}

fn asks(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: \
         websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {more}\r\n"
    )
}

async fn open(wire: &mut Wire, target: &str) -> callgate::gate::Answer {
    wire.send(asks(target, "")).await;
    wire.answer_without_body().await
}

#[tokio::test]
async fn frames_pass_both_ways_in_the_session_of_the_browser() {
    let (upstream, seen) = socket(SWITCHED).await;
    let served = served(&upstream, settings()).await;
    let owner = served.house.visitor();
    let id = owner.write("step", "one").await;
    let token = owner.mint("").await;
    let mut wire = served.connect().await;
    wire.send(asks(&format!("/up-share/chat?$4DSID={token}&room=1"), "")).await;
    let answer = wire.answer_to(true).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), "websocket");
    assert_eq!(answer.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for _ in 0..3 {
        wire.send(HELLO).await;
        wire.expect(HELLO_BACK).await;
    }
    let asked = String::from_utf8_lossy(&seen.lock().unwrap()).to_ascii_lowercase();
    assert!(asked.starts_with("get /base/up-share/chat?room=1 http/1.1\r\n"), "{asked}");
    let session = format!("x-callgate-session: {}", id.to_ascii_lowercase());
    for field in
        [&*session, "upgrade: websocket", "connection: upgrade", "x-callgate-otp: restored"]
    {
        assert!(asked.contains(&format!("\r\n{field}\r\n")), "{field} in {asked}");
    }
}

#[tokio::test]
async fn what_is_sent_before_the_upstream_switches_waits() {
    let (upstream, _) = socket(SWITCHED).await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    wire.send([asks("/up", "").as_bytes(), HELLO].concat()).await;
    assert_eq!(wire.answer_without_body().await.status, 101);
    wire.expect(HELLO_BACK).await;
}

#[tokio::test]
async fn a_request_behind_a_wish_that_is_not_granted_is_no_request() {
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    for answer in [PLAIN, other, "no answer"] {
        let (upstream, seen) = socket(answer).await;
        let served = served(&upstream, settings()).await;
        let mut wire = served.connect().await;
        let smuggled = "GET /up/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        wire.send(format!("{}{smuggled}", asks("/up", ""))).await;
        let said = wire.rest().await;
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
        assert!(said.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{said}");
        let seen = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
        let count = seen.matches("HTTP/1.1").count();
        assert_eq!((count, seen.contains("smuggled")), (1, false), "{seen}");
        assert_eq!(upstream.connections(), 1);
    }
}

#[tokio::test]
async fn nothing_but_a_websocket_is_a_wish() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    for (method, fields) in [
        ("GET", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket, h2c"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c"),
        ("GET", "Upgrade: websocket"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0"),
        ("POST", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0"),
    ] {
        wire.send(format!("{method} /up HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n")).await;
        assert_eq!(wire.answer().await.status, 200, "{fields}");
        let asked = upstream.asked().pop().unwrap();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(!asked.headers.contains_key(name), "{name} of {fields}");
        }
    }
    assert_eq!(open(&mut wire, "/whoami").await.status, 200, "a handler has no tunnels");
}

#[tokio::test]
async fn an_upstream_that_switches_to_something_else_is_502() {
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let (upstream, _) = socket(other).await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    assert_eq!(open(&mut wire, "/up").await.status, 502);
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_and_gives_its_seat_back() {
    let (upstream, _) = socket(SWITCHED).await;
    let settings = limited(|limits| limits.tunnel_idle = Duration::from_millis(150));
    let served = served(&upstream, settings).await;
    let mut wire = served.connect().await;
    assert_eq!(open(&mut wire, "/up").await.status, 101);
    assert_eq!(served.house.gate.crowding().open, 1);
    wire.send(HELLO).await;
    wire.expect(HELLO_BACK).await;
    assert_eq!(wire.rest().await, "");
    while served.house.gate.crowding().open > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tunnel_goes_on_while_the_server_drains_and_ends_with_it() {
    let (upstream, _) = socket(SWITCHED).await;
    let mut served =
        served(&upstream, limited(|limits| limits.drain = Duration::from_secs(2))).await;
    let mut wire = served.connect().await;
    assert_eq!(open(&mut wire, "/up").await.status, 101);
    served.stop();
    wire.send(HELLO).await;
    wire.expect(HELLO_BACK).await;
    assert_eq!(wire.rest().await, "");
    assert_eq!(served.ended().await, Drained::Clean);
}
