//! Tunnels through callgate for the `WebSocket` protocol, and what must not pass for one.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use callgate::base::Clock;
use callgate::http::server::Drained;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::forward::failures::head;
use crate::forward::served;
use crate::support::log::Log;
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

/// How the right ends under which a tunnel was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    SignIn,
    Transfer,
    Logout,
    /// On another node, of which this one hears by asking.
    Elsewhere,
}

#[tokio::test]
async fn a_tunnel_and_its_capability_end_with_the_right_that_opened_it() {
    let (log, _capture) = Log::capture();
    for way in [Way::SignIn, Way::Transfer, Way::Logout, Way::Elsewhere] {
        let (upstream, seen) = socket(SWITCHED).await;
        let served = served(&upstream, settings()).await;
        let (owner, other) = (served.house.visitor(), served.house.visitor());
        let id = owner.write("n", "1").await;
        let link = owner.mint("").await;
        let (name, cookie) = (served.house.cookie_name(), owner.cookie().unwrap());
        let mut wire = served.connect().await;
        wire.send(asks("/up", &format!("Cookie: {name}={cookie}\r\n"))).await;
        assert_eq!(wire.answer_without_body().await.status, 101);
        wire.send(HELLO).await;
        wire.expect(HELLO_BACK).await;
        let asked = String::from_utf8_lossy(&seen.lock().unwrap()).to_ascii_lowercase();
        let capability = asked.split("x-callgate-capability: ").nth(1).unwrap()[..64].to_owned();
        let call = async |line: &str, body: &str| {
            let mut inside = served.connect_inside().await;
            let head = format!("Host: localhost\r\nX-Callgate-Capability: {capability}\r\n");
            let length = body.len();
            let kind = "Content-Type: application/json\r\n";
            let rest = format!("{kind}Content-Length: {length}\r\n\r\n{body}");
            inside.send(format!("{line} HTTP/1.1\r\n{head}{rest}")).await;
            inside.answer().await.status
        };
        assert_eq!(call("PATCH /session/storage", "{\"k\":1}").await, 204);
        match way {
            Way::SignIn => {
                other.follow("/share", &link).await;
                other.get("/login?privileges=admin&user=Ann").send().await;
            }
            Way::Transfer => drop(other.follow("/transfer", &link).await),
            Way::Logout => drop(owner.get("/logout").send().await),
            Way::Elsewhere => {
                let (now, id) = (served.house.clock.now(), id.parse().unwrap());
                let store = served.house.store.inner();
                store.end(now, id, callgate::session::Right::Operator).await.unwrap();
            }
        }
        wire.rest().await;
        for (line, body) in [
            ("GET /session", ""),
            ("GET /session/storage", ""),
            ("PATCH /session/storage", "{\"k\":2}"),
            ("POST /session/otp", "{}"),
            ("PUT /session/privileges", "{\"privileges\":\"admin\",\"keepDevices\":true}"),
            ("DELETE /session", ""),
        ] {
            assert_eq!(call(line, body).await, 410, "{line} after {way:?}");
        }
        if matches!(way, Way::SignIn | Way::Transfer) {
            let session = other.session().await;
            assert_eq!((&session["id"], &session["storage"]["k"]), (&id.into(), &1.into()));
        }
    }
    log.has(&["forward.right_ended"]);
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
    let mut settings = settings();
    settings.forward.tunnel_idle = Duration::from_millis(150);
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
