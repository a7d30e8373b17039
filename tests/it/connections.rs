//! What a connection may cost, and what an upload may: how many, how fast, how it ends.

use std::time::Duration;

use callgate::Settings;
use callgate::base::clock::Stopwatch;

use crate::support::log::Log;
use crate::support::settings;
use crate::support::wire::Served;
use crate::support::wire::limited;
use crate::support::wire::soon;

/// Short enough for a test to wait for, long enough for a busy machine to answer within.
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn an_address_has_so_many_connections_and_gets_its_place_back() {
    let (log, _capture) = Log::capture();
    let settings = limited(|limits| limits.connections_per_address = 2);
    let served = Served::start(Settings { rate_limits: true, ..settings }).await;
    let mut first = served.connect().await;
    let mut second = served.connect().await;
    for wire in [&mut first, &mut second] {
        assert_eq!(wire.get("/whoami").await.status, 200);
    }
    assert_eq!(served.connect().await.rest().await, "", "the third is closed at once");
    let crowding = served.house.gate.crowding();
    assert_eq!(crowding.turned_away, 1);
    // Operators come in elsewhere.
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(served.connect_inside().await);
    }
    for wire in &mut inside {
        assert_eq!(wire.get("/livez").await.status, 200);
    }
    drop(first);
    let comes_in = async {
        loop {
            let mut wire = served.connect().await;
            if wire.try_get("/whoami").await == Some(200) {
                return;
            }
        }
    };
    soon(comes_in).await;
    log.has(&["server.address_full"]);
}

#[tokio::test]
async fn a_body_that_pauses_for_too_long_is_a_408_and_the_end_of_its_connection() {
    let served = Served::start(limited(|limits| limits.body_gap = SHORT)).await;
    let watch = Stopwatch::start();
    for framing in ["Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n1"] {
        let mut wire = served.connect().await;
        wire.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{framing}")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (408, Some("body_too_slow")));
        assert_eq!(wire.rest().await, "");
    }
    assert!(watch.elapsed() < Duration::from_secs(8), "the default is 10 s for each");
}

#[tokio::test]
async fn who_is_refused_in_the_middle_of_an_upload_still_reads_why() {
    const BODY_BYTES: usize = 8 * 1024 * 1024;
    let served = Served::start(settings()).await;
    for (target, status) in [("/nowhere", 404), ("/small", 413), ("/no-class", 500)] {
        let mut wire = served.connect().await;
        wire.send(format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
        ))
        .await;
        // As many simple clients do: everything is sent before a byte of the answer is read.
        wire.send(vec![b'x'; BODY_BYTES]).await;
        assert_eq!(wire.answer().await.status, status, "{target}");
        assert_eq!(wire.rest().await, "", "{target}: it is not kept");
    }
}

#[tokio::test]
async fn who_never_ends_an_upload_that_was_refused_is_let_go() {
    let served = Served::start(settings()).await;
    let mut wires = Vec::new();
    for target in ["/nowhere", "/small"] {
        let mut wire = served.connect().await;
        wire.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx"))
            .await;
        wire.answer().await;
        wires.push(wire);
    }
    for wire in &mut wires {
        assert_eq!(wire.rest().await, "");
    }
    // The clients hold on to their ends; the server does not.
    let gone = async {
        while served.house.gate.crowding().open > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
}
