//! Upstreams that are not there, say nothing, break off, or say what no answer is.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::http::ResponseBody;
use hyper::Response;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::forward::house;
use crate::forward::rows;
use crate::forward::served;
use crate::support::House;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;
use crate::support::wire::soon;

/// An answer after which the connection is kept.
const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads a request up to the end of its header.
pub(super) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(read).ok()
}

/// An upstream that answers each request on a connection with these bytes in turn, then closes.
pub(super) async fn says(answers: &'static [&'static str]) -> Upstream {
    Upstream::on_connections(move |mut stream| async move {
        for answer in answers {
            if head(&mut stream).await.is_none() {
                return;
            }
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        let _ = stream.shutdown().await;
        while stream.read_u8().await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rows = format!(r#"{{ "forward": "http://{gone}", "pattern": "up" }}"#);
    let house = House::with_rows(settings(), &rows).await;
    let answer = house.visitor().get("/up").send().await;
    assert_eq!((answer.status, &answer.json()["code"]), (502, &"upstream_down".into()));
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
}

#[tokio::test]
async fn an_upstream_that_says_no_answer_is_502() {
    for broken in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "220 smtp.test ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let upstream = says(vec![broken].leak()).await;
        let house = house(&upstream, settings()).await;
        let answer = house.visitor().get("/up").send().await;
        assert_eq!((answer.status, &answer.json()["code"]), (502, &"upstream_down".into()));
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_504() {
    let upstream = Upstream::with(async |_, _| std::future::pending().await).await;
    let house = house(&upstream, settings()).await;
    for method in ["GET", "POST"] {
        let answer = house.visitor().call(method, "/up-hasty").body("x").send().await;
        assert_eq!((answer.status, &answer.json()["code"]), (504, &"upstream_too_slow".into()));
    }
}

#[tokio::test]
async fn a_token_is_spent_even_if_the_upstream_is_down() {
    let upstream = says(&[""]).await;
    let house = house(&upstream, settings()).await;
    let owner = house.visitor();
    let (id, token) = (owner.write("a", "b").await, owner.mint("").await);
    let browser = house.visitor();
    assert_eq!(browser.follow("/up", &token).await.status, 502);
    assert!(house.unspent().await.is_empty());
    assert_eq!(browser.id().await, id, "who has lost the token must not lose the session too");
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_ends_well() {
    for (answer, seen) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", "12345"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "12345\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n", "12345\r\n"),
    ] {
        let upstream = says(vec![answer].leak()).await;
        let served = served(&upstream, settings()).await;
        let mut wire = served.connect().await;
        wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\nGET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
            .await;
        let said = wire.rest().await;
        assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with(seen), "{said}");
    }
}

#[tokio::test]
async fn who_knows_no_lengths_learns_of_a_broken_answer_too() {
    let upstream =
        says(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"]).await;
    let served = served(&upstream, settings()).await;
    let mut stream = TcpStream::connect(served.public).await.unwrap();
    stream.write_all(b"GET /up HTTP/1.0\r\nHost: x\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let ended = soon(stream.read_to_end(&mut said)).await;
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_answer_that_pauses_for_too_long_is_broken_off() {
    let upstream = Upstream::on_connections(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await;
        // It says nothing more, and does not hang up.
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    let mut settings = settings();
    settings.forward.upstream_gap = Duration::from_millis(100);
    let served = served(&upstream, settings).await;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(wire.rest().await.ends_with("12345"));
}

#[tokio::test]
async fn connections_are_kept_and_requests_not_doubled() {
    let upstream = Upstream::echo().await;
    let house = house(&upstream, settings()).await;
    let visitor = house.visitor();
    for at in 0..20 {
        let answer = visitor.post("/up").body(format!("{at}")).send().await;
        assert_eq!(answer.json()["body"], format!("{at}"));
    }
    assert_eq!((upstream.connections(), upstream.asked().len()), (1, 20));
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_loses_no_reading_and_repeats_no_deed() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    // It answers once, reads the next request, and hangs up without a word.
    let upstream = says(&[OK, ""]).await;
    let house = house(&upstream, settings()).await;
    let visitor = house.visitor();
    // What one answer leaves behind is a connection that looks good.
    let ask = async |method: &str| visitor.call(method, "/up").send().await.status;
    assert_eq!(ask("GET").await, 200);
    assert_eq!((ask("GET").await, upstream.connections()), (200, 2), "sent again elsewhere");
    assert_eq!((ask("POST").await, upstream.connections()), (502, 2), "perhaps it was done");
    assert_eq!((ask("GET").await, upstream.connections()), (200, 3));
    let owner = house.visitor();
    owner.write("a", "b").await;
    let token = owner.mint("").await;
    let connections = upstream.connections();
    // What comes once only is not left to a connection that looks good.
    assert_eq!(house.visitor().call_back("/up", &token).await.status, 200);
    assert_eq!(upstream.connections(), connections + 1);
}

#[tokio::test]
async fn a_redeemed_get_is_sent_once_even_if_its_connection_breaks() {
    // It reads each request, counts it, and hangs up without a word.
    let requests = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::on_connections({
        let requests = Arc::clone(&requests);
        move |mut stream| {
            let requests = Arc::clone(&requests);
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                requests.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let house = house(&upstream, settings()).await;
    let owner = house.visitor();
    let token = owner.mint("").await;
    assert_eq!(house.visitor().call_back("/up", &token).await.status, 502);
    assert_eq!(requests.load(Ordering::SeqCst), 1, "the token is spent: once and no more");
    // After one whose answer was kept alive, a plain GET may be sent again, a redeemed one may not.
    let heard = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::on_connections({
        let heard = Arc::clone(&heard);
        move |mut stream| {
            let heard = Arc::clone(&heard);
            async move {
                let mut bytes = Vec::new();
                // Answers the first request of a connection, and hangs up at the second.
                for number in 0..2 {
                    while !bytes.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    heard.fetch_add(1, Ordering::SeqCst);
                    bytes.clear();
                    if number == 0 {
                        let _ = stream.write_all(KEPT.as_bytes()).await;
                    }
                }
            }
        }
    })
    .await;
    let house = self::house(&upstream, settings()).await;
    let owner = house.visitor();
    let token = owner.mint("").await;
    assert_eq!(house.visitor().get("/up").send().await.status, 200);
    let before = heard.load(Ordering::SeqCst);
    let answer = house.visitor().call_back("/up", &token).await;
    assert_eq!((answer.status, heard.load(Ordering::SeqCst)), (200, before + 1));
}

#[tokio::test]
async fn an_answer_in_a_coding_that_nobody_asked_for_is_502_and_trailers_end_here() {
    const TRAILED: &str = "HTTP/1.1 200 OK\r\nTrailer: Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nok\r\n0\r\nSet-Cookie: 4DSID_callgate=x\r\nX-Callgate-User: ann\r\n\r\n";
    for coding in ["gzip, chunked", "gzip", "chunked, chunked", "identity", "xchunked"] {
        let said =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        let upstream = says(Box::leak(Box::new([&*said.leak()]))).await;
        let answer = house(&upstream, settings()).await.visitor().get("/up").send().await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (502, &"upstream_down".into()),
            "{coding}"
        );
    }
    let upstream = says(&[TRAILED]).await;
    let rows = format!(r#"{{ "forward": "http://{}", "pattern": "up" }}"#, upstream.address);
    let served = Served::with_rows(settings(), &rows).await;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, te\r\n\r\n").await;
    let whole = wire.rest().await;
    assert!(
        whole.starts_with("HTTP/1.1 200") && whole.ends_with("2\r\nok\r\n0\r\n\r\n"),
        "{whole}"
    );
}

#[tokio::test]
async fn callgate_does_not_call_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let rows = format!(r#"{{ "forward": "http://{own}", "pattern": "up" }}"#);
    let house = House::with_rows(settings(), &rows).await;
    let served = Served::house(house, listener, "127.0.0.1:0").await;
    let answer = served.ask("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!((answer.status, &answer.json()["code"]), (502, &"upstream_down".into()));
}

#[tokio::test]
async fn a_name_that_leads_home_is_not_followed() {
    let upstream = Upstream::echo().await;
    let port = upstream.address.port();
    // getaddrinfo reads these as 127.0.0.1, as the URL does that is written in the table.
    for (name, status) in [("localhost", 200), ("127.1", 200), ("2130706433", 200)] {
        let rows = format!(r#"{{ "forward": "http://{name}:{port}", "pattern": "up" }}"#);
        let house = House::with_rows(settings(), &rows).await;
        assert_eq!(house.visitor().get("/up").send().await.status, status, "{name}");
    }
    let rows = format!(r#"{{ "forward": "http://0.0.0.0:{port}", "pattern": "up" }}"#);
    let house = House::with_rows(settings(), &rows).await;
    assert_eq!(house.visitor().get("/up").send().await.status, 502);
    assert_eq!(upstream.asked().len(), 3);
}

#[tokio::test]
async fn a_slow_upstream_keeps_nobody_else() {
    let upstream = Upstream::with(async |_, request| match request.uri().path() {
        "/base/up/slow" => std::future::pending().await,
        _ => Response::new(ResponseBody::empty()),
    })
    .await;
    let served = Served::with_rows(settings(), &rows(&upstream)).await;
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let mut wire = served.connect().await;
        wire.send("GET /up/slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        waiting.push(wire);
    }
    let mut wire = served.connect().await;
    for target in ["/up", "/whoami", "/up"] {
        assert_eq!(soon(wire.get(target)).await.status, 200);
    }
}
