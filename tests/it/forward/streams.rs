//! Bodies that are passed on as they come, both ways, within bounds.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use callgate::base::Clock;
use callgate::http::ResponseBody;
use callgate::http::answer::CutShort;
use callgate::http::server::Drained;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc;

use crate::forward::served;
use crate::support::log::Log;
use crate::support::settings;
use crate::support::size;
use crate::support::upstream::Upstream;
use crate::support::wire::limited;
use crate::support::wire::soon;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn an_upload_reaches_the_upstream_as_it_comes() {
    let (told, mut heard) = mpsc::unbounded_channel::<Bytes>();
    let upstream = Upstream::with(move |_, request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                told.send(frame.into_data().unwrap()).unwrap();
            }
            Response::new(ResponseBody::from(Bytes::from("done")))
        }
    })
    .await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    wire.send("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for part in ["first", "other"] {
        wire.send(format!("5\r\n{part}\r\n")).await;
        assert_eq!(soon(heard.recv()).await.unwrap(), part, "before the next part is sent");
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.text(), "done");
}

#[tokio::test]
async fn an_answer_reaches_the_client_as_it_comes() {
    let (sender, body) = Channel::<Bytes, CutShort>::new(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let upstream = Upstream::with(move |_, _| {
        let body = Arc::clone(&body);
        async move { Response::new(ResponseBody::stream(body.lock().await.take().unwrap())) }
    })
    .await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = wire.answer_without_body().await;
    assert_eq!((head.status, head.header("transfer-encoding")), (200, "chunked"));
    let mut sender = sender;
    for part in ["first", "other"] {
        sender.send_data(Bytes::from(part)).await.unwrap();
        wire.expect(format!("5\r\n{part}\r\n").as_bytes()).await;
    }
    drop(sender);
    wire.expect(b"0\r\n\r\n").await;
}

#[tokio::test]
async fn a_large_upload_is_kept_nowhere() {
    let total = size(100, 1_000) * MIB;
    let got = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&got);
    let upstream = Upstream::with(move |_, request: Request<Incoming>| {
        let got = Arc::clone(&counted);
        async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                got.fetch_add(frame.into_data().unwrap().len() as u64, Ordering::SeqCst);
            }
            Response::new(ResponseBody::empty())
        }
    })
    .await;
    let settings = limited(|limits| limits.forward_body_bytes = total as u64);
    let served = served(&upstream, settings).await;
    let mut wire = served.connect().await;
    wire.send(format!("PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n")).await;
    let part = vec![7; MIB];
    for sent in 0..total / MIB {
        wire.send(&part).await;
        let behind = sent as u64 * MIB as u64 - got.load(Ordering::SeqCst).min((sent * MIB) as u64);
        assert!(behind < 32 * MIB as u64, "{behind} bytes lie between client and upstream");
    }
    assert_eq!(wire.answer_without_body().await.status, 200);
    assert_eq!(got.load(Ordering::SeqCst), total as u64);
}

/// An upstream that hands over 100 MiB as fast as they are taken, and counts.
async fn fountain(given: Arc<AtomicU64>) -> Upstream {
    Upstream::with(move |_, _| {
        let given = Arc::clone(&given);
        async move {
            let (mut sender, body) = Channel::<Bytes, CutShort>::new(1);
            tokio::spawn(async move {
                let part = Bytes::from(vec![7; 64 * 1024]);
                for _ in 0..100 * MIB / part.len() {
                    if sender.send_data(part.clone()).await.is_err() {
                        return;
                    }
                    given.fetch_add(part.len() as u64, Ordering::SeqCst);
                }
            });
            Response::new(ResponseBody::stream(body))
        }
    })
    .await
}

#[tokio::test]
async fn a_large_answer_waits_for_its_reader_and_is_kept_nowhere() {
    let given = Arc::new(AtomicU64::new(0));
    let upstream = fountain(Arc::clone(&given)).await;
    let served = served(&upstream, settings()).await;
    let mut stream = TcpStream::connect(served.public).await.unwrap();
    let request = b"GET /up HTTP/1.0\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut part = vec![0; MIB];
    let (mut read, mut ahead_max) = (0_u64, 0);
    loop {
        let count = soon(stream.read(&mut part)).await.unwrap() as u64;
        if count == 0 {
            break;
        }
        read += count;
        ahead_max = ahead_max.max(given.load(Ordering::SeqCst).saturating_sub(read));
    }
    assert!(read > 100 * MIB as u64 && given.load(Ordering::SeqCst) == 100 * MIB as u64);
    assert!(ahead_max < 32 * MIB as u64, "{ahead_max} bytes lay between upstream and client");
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_off_and_the_upstream_is_released() {
    let given = Arc::new(AtomicU64::new(0));
    let upstream = fountain(Arc::clone(&given)).await;
    let settings = limited(|limits| limits.write_stall = Duration::from_millis(300));
    let served = served(&upstream, settings).await;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let crowded = async {
        while served.house.gate.crowding().open > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(crowded).await;
    assert!(given.load(Ordering::SeqCst) < 100 * MIB as u64, "it was not read to its end");
}

#[tokio::test]
async fn whoever_hangs_up_releases_the_upstream() {
    let (sender, body) = Channel::<Bytes, CutShort>::new(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let upstream = Upstream::with(move |_, _| {
        let body = Arc::clone(&body);
        async move { Response::new(ResponseBody::stream(body.lock().await.take().unwrap())) }
    })
    .await;
    let served = served(&upstream, settings()).await;
    let mut sender = sender;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer_without_body().await.status, 200);
    drop(wire);
    let released = async { while sender.send_data(Bytes::from("part")).await.is_ok() {} };
    soon(released).await;
}

/// How the right ends under which events are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    SignIn,
    Transfer,
    Logout,
    /// On another node, of which this one hears by asking.
    Elsewhere,
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_right_that_opened_it() {
    let (log, _capture) = Log::capture();
    for way in [Way::SignIn, Way::Transfer, Way::Logout, Way::Elsewhere] {
        let (sender, body) = Channel::<Bytes, CutShort>::new(1);
        let body = Arc::new(Mutex::new(Some(body)));
        let upstream = Upstream::with(move |_, _| {
            let body = Arc::clone(&body);
            async move {
                let body = ResponseBody::stream(body.lock().await.take().unwrap());
                let kind = "text/event-stream; charset=utf-8";
                Response::builder().header("content-type", kind).body(body).unwrap()
            }
        })
        .await;
        let served = served(&upstream, settings()).await;
        let (owner, other) = (served.house.visitor(), served.house.visitor());
        let id = owner.write("n", "1").await;
        let link = owner.mint("").await;
        let (name, cookie) = (served.house.cookie_name(), owner.cookie().unwrap());
        let mut wire = served.connect().await;
        wire.send(format!("GET /up HTTP/1.1\r\nHost: x\r\nCookie: {name}={cookie}\r\n\r\n")).await;
        assert_eq!(wire.answer_without_body().await.status, 200);
        let mut sender = sender;
        sender.send_data(Bytes::from("data: 1\n\n")).await.unwrap();
        wire.expect(b"9\r\ndata: 1\n\n\r\n").await;
        // What ends no right ends no stream.
        owner.write("n", "2").await;
        other.follow("/share", &link).await;
        sender.send_data(Bytes::from("data: 2\n\n")).await.unwrap();
        wire.expect(b"9\r\ndata: 2\n\n\r\n").await;
        match way {
            Way::SignIn => {
                other.get("/login?privileges=admin&user=Ann").send().await;
            }
            Way::Transfer => {
                let link = other.mint("").await;
                served.house.visitor().follow("/transfer", &link).await;
            }
            Way::Logout => drop(other.get("/logout").send().await),
            Way::Elsewhere => {
                let (now, id) = (served.house.clock.now(), id.parse().unwrap());
                let store = served.house.store.inner();
                store.end(now, id, callgate::session::Right::Operator).await.unwrap();
            }
        }
        // It breaks off: an end would say that there is nothing more to come.
        assert_eq!(wire.rest().await, "", "{way:?}");
        let released =
            async { while sender.send_data(Bytes::from("data: 3\n\n")).await.is_ok() {} };
        soon(released).await;
    }
    log.has(&["forward.right_ended"]);
}

#[tokio::test]
async fn an_answer_under_way_is_finished_while_the_server_drains() {
    let (sender, body) = Channel::<Bytes, CutShort>::new(1);
    let body = Arc::new(Mutex::new(Some(body)));
    let upstream = Upstream::with(move |_, _| {
        let body = Arc::clone(&body);
        async move { Response::new(ResponseBody::stream(body.lock().await.take().unwrap())) }
    })
    .await;
    let mut served = served(&upstream, settings()).await;
    let mut sender = sender;
    let mut wire = served.connect().await;
    wire.send("GET /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer_without_body().await.status, 200);
    served.stop();
    sender.send_data(Bytes::from("first")).await.unwrap();
    wire.expect(b"5\r\nfirst\r\n").await;
    drop(sender);
    assert_eq!(wire.rest().await, "0\r\n\r\n");
    assert_eq!(served.ended().await, Drained::Clean);
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_413_announced_or_not() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, limited(|limits| limits.forward_body_bytes = 20)).await;
    let ask = async |target: &str, body: &str, chunked: bool| {
        let framing = if chunked {
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        } else {
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        };
        served.ask(&format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}")).await.status
    };
    let (ten, twenty) = ("1234567890", "12345678901234567890");
    for chunked in [false, true] {
        assert_eq!(ask("/up", twenty, chunked).await, 200);
        assert_eq!(ask("/up", &format!("{twenty}1"), chunked).await, 413, "{chunked}");
        assert_eq!(ask("/up-small", ten, chunked).await, 200);
        assert_eq!(ask("/up-small", &format!("{ten}1"), chunked).await, 413);
    }
    let whole = upstream.asked().iter().filter(|asked| asked.body.len() > 20).count();
    assert_eq!(whole, 0);
}

#[tokio::test]
async fn an_upload_that_pauses_for_too_long_is_408() {
    let upstream = Upstream::echo().await;
    let settings = limited(|limits| limits.body_gap = Duration::from_millis(100));
    let served = served(&upstream, settings).await;
    let mut wire = served.connect().await;
    wire.send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").await;
    assert_eq!(wire.answer().await.status, 408);
}

#[tokio::test]
async fn an_upstream_may_answer_before_it_has_the_body() {
    let upstream = Upstream::with(async |_, request: Request<Incoming>| {
        let mut response = Response::new(ResponseBody::from(Bytes::from("too much")));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        // It reads none of it.
        drop(request);
        response
    })
    .await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    wire.send(format!("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB}\r\n\r\n12345")).await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.text()), (413, "too much".to_owned()));
}

#[tokio::test]
async fn a_client_who_waits_to_be_told_to_go_on_is_told_so() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    let head = "POST /up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    wire.send(head).await;
    wire.expect(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    wire.send("hello").await;
    assert_eq!(wire.answer().await.json()["body"], "hello");
    assert_eq!(upstream.only().header("expect"), "");
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    let length = wire.get("/up").await.header("content-length").to_owned();
    wire.send("HEAD /up HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = wire.answer_without_body().await;
    assert_eq!((head.status, head.header("content-length").len()), (200, length.len()));
    for status in [204, 304] {
        wire.send(format!("GET /up?status={status} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(wire.answer_without_body().await.status, status);
    }
    assert_eq!(wire.get("/up").await.status, 200, "the connection is in step");
    assert_eq!(upstream.asked().len(), 5);
}

#[tokio::test]
async fn an_empty_body_is_announced_where_a_body_is_usual() {
    let upstream = Upstream::echo().await;
    let served = served(&upstream, settings()).await;
    let mut wire = served.connect().await;
    wire.send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200);
    wire.get("/up").await;
    let asked = upstream.asked();
    assert_eq!(
        (asked[0].header("content-length"), asked[0].header("transfer-encoding")),
        ("0", "")
    );
    assert_eq!((asked[1].header("content-length"), asked[1].header("transfer-encoding")), ("", ""));
}
