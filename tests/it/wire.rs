//! The same gate behind real sockets: framing, limits, deadlines and the end of the server.

use std::time::Duration;

use callgate::base::clock::Stopwatch;
use callgate::http::server::Drained;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::Served;
use crate::support::wire::limited;
use crate::support::wire::soon;

/// Short enough for a test to wait for, long enough for a busy machine to answer within.
const SHORT: Duration = Duration::from_millis(150);

async fn served() -> Served {
    Served::start(settings()).await
}

#[tokio::test]
async fn one_connection_answers_many_requests() {
    let served = served().await;
    let mut wire = served.connect().await;
    for n in 0..5 {
        let answer = wire.get(&format!("/say?body=n{n}")).await;
        assert_eq!((answer.status, answer.text()), (200, format!("n{n}")));
    }
    let seen = wire.get("/message").await.json()["result"].clone();
    assert_eq!((&seen["remote"], &seen["url"]), (&json!("127.0.0.1"), &json!("/message")));
    let piped =
        "GET /say?body=a HTTP/1.1\r\nHost: x\r\n\r\nGET /say?body=b HTTP/1.1\r\nHost: x\r\n\r\n";
    wire.send(piped).await;
    assert_eq!((wire.answer().await.text(), wire.answer().await.text()), ("a".into(), "b".into()));
}

#[tokio::test]
async fn a_cookie_travels_over_the_wire() {
    let served = served().await;
    let mut wire = served.connect().await;
    let first = wire.get("/whoami").await;
    let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
    wire.send(format!("GET /whoami HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")).await;
    let second = wire.answer().await;
    assert_eq!(second.json()["id"], first.json()["id"]);
    assert!(second.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn without_a_setting_callback_urls_begin_with_the_listeners_address() {
    let served = served().await;
    let mut wire = served.connect().await;
    wire.send("GET /url?path=/whoami HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    let url = wire.answer().await.text();
    assert!(url.starts_with(&format!("http://{}/whoami?%244DSID=", served.public)), "{url}");
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let served = served().await;
    let mut wire = served.connect().await;
    for (target, status) in [("/say?body=hello", 200), ("/nowhere", 404), ("/fail", 500)] {
        wire.send(format!("HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let head = wire.answer_without_body().await;
        assert_eq!(head.status, status);
        let get = wire.get(target).await;
        assert_eq!(get.status, status, "what follows a HEAD is the next answer");
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
}

#[tokio::test]
async fn a_status_without_a_body_has_none() {
    let served = served().await;
    let mut wire = served.connect().await;
    for status in [204, 304] {
        wire.send(format!("GET /say?body=no&status={status} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(wire.answer_without_body().await.status, status);
        assert_eq!(wire.get("/say?body=next").await.text(), "next");
    }
}

#[tokio::test]
async fn options_are_answered_without_a_row() {
    let served = served().await;
    let mut wire = served.connect().await;
    wire.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.answer_without_body().await.status, 204);
    wire.send("OPTIONS /get-only HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = wire.answer_without_body().await;
    assert_eq!((answer.status, answer.header("allow")), (204, "GET"));
    wire.send("POST /get-only HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn methods_of_the_connection_are_no_rows_business() {
    let served = served().await;
    for line in ["TRACE /whoami", "get /whoami", "Get /whoami", "CONNECT gate.test:443"] {
        let answer = served.ask(&format!("{line} HTTP/1.1\r\nHost: gate.test\r\n\r\n")).await;
        assert_eq!(answer.status, 501, "{line}");
    }
    for line in ["GET *", "GET whoami", "GET /a/../whoami", "GET /%00", "GET /%zz", "GET /a\\b"] {
        let mut wire = served.connect().await;
        wire.send(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(wire.bare_answer().await.status, 400, "{line}");
    }
    assert_eq!(served.house.probe.runs(), 0);
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let served = served().await;
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host:\r\n",
        "Host: a b\r\n",
        "Host: user@a\r\n",
        "Host: a/b\r\n",
    ] {
        let answer = served.ask(&format!("GET /whoami HTTP/1.1\r\n{hosts}\r\n")).await;
        assert_eq!(answer.status, 400, "{hosts:?}");
    }
    let absolute =
        |host: &str| format!("GET http://gate.test/whoami HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(served.ask(&absolute("gate.test")).await.status, 200);
    assert_eq!(served.ask(&absolute("other.test")).await.status, 400);
    for host in ["gate.test", "gate.test:8044", "127.0.0.1", "[::1]:80"] {
        let answer = served.ask(&format!("GET /whoami HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    assert_eq!(served.ask("GET /whoami HTTP/1.0\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn too_much_header_is_a_431_and_too_long_a_target_a_414() {
    let settings = limited(|limits| {
        limits.header_bytes = 8 * 1024;
        limits.headers = 20;
        limits.target_bytes = 1_000;
    });
    let served = Served::start(settings).await;
    // Each field is within the limit of a single one.
    let field = "a".repeat(5_000);
    let long = format!("GET /whoami HTTP/1.1\r\nHost: x\r\nX-A: {field}\r\nX-B: {field}\r\n\r\n");
    let many = format!("GET /whoami HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(20));
    for request in [long, many] {
        let mut wire = served.connect().await;
        wire.send(request).await;
        assert_eq!(wire.bare_answer().await.status, 431);
        wire.rest().await;
    }
    let at = |len: usize| {
        let start = "/whoami?a=";
        format!("GET {start}{} HTTP/1.1\r\nHost: x\r\n\r\n", "b".repeat(len - start.len()))
    };
    assert_eq!(served.ask(&at(1_000)).await.status, 200);
    assert_eq!(served.ask(&at(1_001)).await.status, 414);
}

#[tokio::test]
async fn too_large_a_body_is_a_413_announced_or_not() {
    let served = served().await;
    let announced = "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(served.ask(announced).await.status, 413, "before a byte of it has come");
    let chunked = "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let told = format!("{chunked}6\r\n123456\r\n5\r\n78901\r\n0\r\n\r\n");
    assert_eq!(served.ask(&told).await.status, 413);
    let fits = format!("{chunked}6\r\n123456\r\n4\r\n7890\r\n0\r\n\r\n");
    let answer = served.ask(&fits).await;
    assert_eq!((answer.status, answer.text()), (200, "1234567890".to_owned()));
    let huge = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(served.ask(huge).await.status, 413);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let served = served().await;
    let ask = |length: usize| {
        format!(
            "POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    assert_eq!(served.ask(&ask(11)).await.status, 413);
    let mut wire = served.connect().await;
    wire.send(ask(10)).await;
    assert_eq!(wire.bare_answer().await.status, 100);
    wire.send("1234567890").await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let served = Served::start(limited(|limits| limits.body = SHORT)).await;
    let watch = Stopwatch::start();
    let begun = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";
    let mut wire = served.connect().await;
    wire.send(begun).await;
    assert_eq!(wire.answer().await.status, 408);
    assert_eq!(wire.rest().await, "", "and the connection is closed");
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    assert_eq!(served.ask(chunked).await.status, 408);
    assert!(watch.elapsed() < Duration::from_secs(8), "a pause may last 10 s");
}

#[tokio::test]
async fn whoever_says_nothing_is_not_waited_for() {
    let served = Served::start(limited(|limits| {
        limits.first_byte = SHORT;
        limits.header = SHORT;
    }))
    .await;
    for beginning in
        ["", "P", "PR", "GET /whoami HTTP/1.1\r\nHost:", "GET /whoami HTTP/1.1\r\nHost: x\r\n"]
    {
        let mut wire = served.connect().await;
        wire.send(beginning).await;
        let said = wire.rest().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{beginning:?}: {said}");
    }
    let mut idle = served.connect().await;
    assert_eq!(idle.get("/whoami").await.status, 200);
    assert_eq!(idle.rest().await, "", "an idle connection is closed too");
    assert_eq!(served.house.probe.runs(), 1);
}

#[tokio::test]
async fn an_http2_peer_that_stops_in_the_middle_is_not_waited_for() {
    let served = Served::start(limited(|limits| {
        limits.first_byte = SHORT;
        limits.header = SHORT;
    }))
    .await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [preface.as_bytes(), b"\0\0\0\x04\0\0\0\0\0"].concat();
    for beginning in ["PRI".as_bytes(), b"PRI * HTTP/2.0\r\n", preface.as_bytes(), &settings] {
        let mut socket = tokio::net::TcpStream::connect(served.public).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        let mut said = Vec::new();
        // Whether it says goodbye or just closes, it does so by itself.
        let _ = soon(socket.read_to_end(&mut said)).await;
    }
}

#[tokio::test]
async fn a_body_that_two_readers_could_end_in_two_places_is_refused_and_nothing_after_it_is_read() {
    let served = served().await;
    for framing in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
    ] {
        let mut wire = served.connect().await;
        let first = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n0\r\n\r\n");
        wire.send(format!("{first}GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let said = wire.rest().await;
        assert!(said.matches("HTTP/1.1 ").count() <= 1, "{framing}: {said}");
        let together =
            framing.contains("chunked\r\nContent") || framing.starts_with("Content-Length: 5\r\nT");
        // hyper drops the length and closes afterwards (RFC 9112 §6.1 allows both).
        assert!(said.starts_with("HTTP/1.1 400") || together, "{framing}: {said}");
    }
    assert_eq!(served.house.probe.runs(), 0);
}

#[tokio::test]
async fn a_connection_ends_after_its_number_of_requests() {
    let served = Served::start(limited(|limits| limits.requests_per_connection = 3)).await;
    let mut wire = served.connect().await;
    for n in 1..=3 {
        let answer = wire.get("/whoami").await;
        assert_eq!(answer.header("connection"), if n == 3 { "close" } else { "" });
    }
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn an_old_connection_ends_when_it_is_idle() {
    let served = Served::start(limited(|limits| limits.connection_age = SHORT)).await;
    let mut wire = served.connect().await;
    let watch = Stopwatch::start();
    assert_eq!(wire.get("/whoami").await.status, 200);
    assert_eq!(wire.rest().await, "");
    assert!(watch.elapsed() < Duration::from_secs(10), "an idle one is kept for 15 s");
}

#[tokio::test]
async fn ambiguous_framing_ends_the_connection() {
    let served = served().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for headers in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length : 3\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "X-Fold: a\r\n b\r\n",
    ] {
        let mut wire = served.connect().await;
        wire.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\nabc{smuggled}")).await;
        let said = wire.rest().await;
        assert!(said.starts_with("HTTP/1.1 400"), "{headers:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{headers:?}: {said}");
    }
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let mut wire = served.connect().await;
    wire.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{both}\r\n0\r\n\r\n{smuggled}")).await;
    let said = wire.rest().await;
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
}

#[tokio::test]
async fn http2_is_understood_without_being_announced() {
    let served = served().await;
    let stream = tokio::net::TcpStream::connect(served.public).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        soon(hyper::client::conn::http2::handshake(TokioExecutor::new(), io)).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut answers = Vec::new();
    for (method, target) in [
        ("GET", "/say?body=hello"),
        ("HEAD", "/say?body=hello"),
        ("GET", "/say?body=hello&status=204"),
        ("GET", "/nowhere"),
        ("TRACE", "/whoami"),
        ("OPTIONS", "/get-only"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://gate.test{target}"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let (head, body) = soon(sender.send_request(request)).await.unwrap().into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        served.house.ledger.check(&head.headers, &body, false);
        answers.push((head.status.as_u16(), body.len()));
    }
    assert_eq!(answers[..3], [(200, 5), (200, 0), (204, 0)]);
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 204, 404, 501, 204]);

    let lie = Request::builder()
        .uri("http://gate.test/whoami")
        .header("host", "other.test")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    assert_eq!(soon(sender.send_request(lie)).await.unwrap().status(), 400);
    drop(sender);
    soon(driving).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_under_way_ends_and_nothing_new_begins() {
    let mut served = served().await;
    let mut busy = served.connect().await;
    let mut idle = served.connect().await;
    idle.get("/whoami").await;
    busy.send("GET /linger?value=done HTTP/1.1\r\nHost: x\r\n\r\n").await;
    served.house.probe.arrival().await;
    served.stop();
    assert_eq!(idle.rest().await, "", "an idle connection is closed at once");
    let refused = async {
        // The listener is dropped soon after the stop, and from then on nobody gets in.
        while tokio::net::TcpStream::connect(served.public).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(refused).await;
    let mut inside = served.connect_inside().await;
    assert_eq!(inside.get("/livez").await.status, 200);
    assert_eq!(inside.get("/readyz").await.status, 503);

    served.house.probe.door.add_permits(1);
    let answer = busy.answer().await;
    assert_eq!((answer.status, &answer.json()["storage"]["lingered"]), (200, &json!("done")));
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(busy.rest().await, "");
    assert_eq!(served.ended().await, Drained::Clean);
}

#[tokio::test]
async fn http2_requests_under_way_end_too() {
    let mut served = served().await;
    let stream = tokio::net::TcpStream::connect(served.public).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        soon(hyper::client::conn::http2::handshake(TokioExecutor::new(), io)).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = Request::builder()
        .uri("http://gate.test/linger?value=done")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let waiting = tokio::spawn(sender.send_request(request));
    served.house.probe.arrival().await;
    served.stop();
    served.house.probe.door.add_permits(1);
    assert_eq!(soon(waiting).await.unwrap().unwrap().status(), 200);
    assert_eq!(served.ended().await, Drained::Clean);
    soon(driving).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_does_not_end_in_time_is_cut_off() {
    let mut served = Served::start(limited(|limits| limits.drain = SHORT)).await;
    let mut busy = served.connect().await;
    busy.send("GET /linger HTTP/1.1\r\nHost: x\r\n\r\n").await;
    served.house.probe.arrival().await;
    served.stop();
    assert_eq!(busy.rest().await, "");
    assert!(matches!(served.ended().await, Drained::CutOff(_)));
}

#[tokio::test]
async fn the_end_waits_for_a_handler_whose_client_hung_up() {
    let long = settings().limits.drain;
    for (permits, drain, drained) in [(1, long, Drained::Clean), (0, SHORT, Drained::CutOff(1))] {
        let mut served = Served::start(limited(|limits| limits.drain = drain)).await;
        let mut client = served.connect().await;
        client.send("GET /linger HTTP/1.1\r\nHost: x\r\n\r\n").await;
        served.house.probe.arrival().await;
        drop(client);
        served.stop();
        served.house.probe.door.add_permits(permits);
        assert_eq!(served.ended().await, drained);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_after_the_redemption_does_not_stop_the_handler() {
    let served = served().await;
    let shopper = served.house.visitor();
    shopper.write("cart", "3").await;
    let token = shopper.mint("mode=context").await;
    let mut platform = served.connect().await;
    let target = with_token("/share-linger?value=paid", &token);
    platform.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    served.house.probe.arrival().await;
    drop(platform);
    served.house.probe.door.add_permits(1);
    let kept = async {
        while shopper.session().await["storage"] != json!({ "cart": "3", "lingered": "paid" }) {
            tokio::task::yield_now().await;
        }
    };
    soon(kept).await;
    assert_eq!(outcome(&served.house.visitor().follow("/whoami", &token).await), "used");
}

#[tokio::test]
async fn health_is_told_inside_and_not_outside() {
    let served = served().await;
    let mut inside = served.connect_inside().await;
    assert_eq!(inside.get("/livez").await.json(), json!({ "live": true }));
    let ready = inside.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &json!(true)));
    assert_eq!(ready.json()["store"]["lacks"], json!(1), "which, operators are told");
    assert_eq!(inside.get("/whoami").await.status, 404);
    let mut outside = served.connect().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(outside.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_gate_whose_store_is_down_lives_and_is_not_ready() {
    use callgate::store::port::OperationKind;
    let served = served().await;
    served.house.cut_off(&[OperationKind::SelfCheck]);
    let mut inside = served.connect_inside().await;
    assert_eq!(inside.get("/livez").await.status, 200);
    assert_eq!(inside.get("/readyz").await.status, 503);
    served.house.store.heal();
    served.house.wait_secs(2);
    assert_eq!(inside.get("/readyz").await.status, 200);
}
