//! Callbacks that come again to rows that forward: what of the exchange counts as a run.

use std::sync::Arc;

use callgate::gate::Answer;
use tokio::net::TcpSocket;

use crate::forward::failures::says;
use crate::forward::house;
use crate::forward::served;
use crate::support::House;
use crate::support::settings;
use crate::support::upstream::Note;
use crate::support::upstream::Upstream;
use crate::support::visitor::with_token;

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

fn down() -> (u16, String) {
    (502, "upstream_down".to_owned())
}

#[tokio::test]
async fn a_callback_that_could_not_be_passed_on_runs_when_it_comes_again() {
    // Bound, so that nobody else gets the port, and not yet listened to.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}/base", closed.local_addr().unwrap());
    let rows = format!(r#"{{ "forward": "{base}", "pattern": "up", "repeat": 7200 }}"#);
    let house = House::with_rows(settings(), &rows).await;
    let token = house.visitor().mint("").await;
    for _ in 0..2 {
        assert_eq!(code(&house.visitor().call_back("/up", &token).await), down());
    }
    let upstream = Upstream::echo_on(closed.listen(8).unwrap());
    let first = house.visitor().call_back("/up", &token).await;
    assert_eq!(first.status, 200);
    assert_eq!(upstream.only().header("x-callgate-otp"), "restored");
    let again = house.visitor().call_back("/up", &token).await;
    assert_eq!((again.status, &again.body, upstream.asked().len()), (200, &first.body, 1));
}

#[tokio::test]
async fn a_callback_that_may_not_be_passed_on_is_not_taken_for_cut_off() {
    let rows = r#"{ "forward": "http://0.0.0.0:1", "pattern": "up", "repeat": 7200 }"#;
    let house = House::with_rows(settings(), rows).await;
    let token = house.visitor().mint("").await;
    for _ in 0..2 {
        assert_eq!(code(&house.visitor().call_back("/up", &token).await), down());
    }
}

#[tokio::test]
async fn a_callback_that_may_have_been_heard_is_not_passed_on_again() {
    let deaf = says(&[""]).await;
    let house = house(&deaf, settings()).await;
    let token = house.visitor().mint("").await;
    assert_eq!(code(&house.visitor().call_back("/up-again", &token).await), down());
    let again = house.visitor().call_back("/up-again", &token).await;
    assert_eq!((code(&again), deaf.connections()), ((409, "interrupted".to_owned()), 1));

    let silent = Upstream::with(async |note: Arc<Note>, request| {
        note.read(request).await;
        std::future::pending().await
    })
    .await;
    let house = crate::forward::house(&silent, settings()).await;
    let token = house.visitor().mint("").await;
    assert_eq!(house.visitor().call_back("/up-again-hasty", &token).await.status, 504);
    let again = house.visitor().call_back("/up-again-hasty", &token).await;
    assert_eq!((code(&again), silent.asked().len()), ((409, "interrupted".to_owned()), 1));
}

#[tokio::test]
async fn the_length_of_a_kept_answer_is_that_of_its_body() {
    // The chunks count, and the length is to be left out (RFC 9112 §6.3).
    let upstream =
        says(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                           a\r\n0123456789\r\n0\r\n\r\n"])
        .await;
    let served = served(&upstream, settings()).await;
    let token = served.house.visitor().mint("").await;
    let target = with_token("/up-again", &token);
    let mut wire = served.connect().await;
    for _ in 0..2 {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, &*answer.text()), (200, "0123456789"));
        assert_eq!(answer.headers.get_all("content-length").iter().count(), 1);
    }
}

#[tokio::test]
async fn another_body_is_no_repeat_of_what_was_passed_on() {
    let upstream = Upstream::echo().await;
    let base = format!("http://{}", upstream.address);
    let rows = format!(r#"{{ "forward": "{base}", "pattern": "paid", "repeat": 7200 }}"#);
    let house = House::with_rows(settings(), &rows).await;
    let token = house.visitor().mint("").await;
    let post = |body: &'static str| house.visitor().post(&with_token("/paid", &token)).body(body);
    let first = post("amount=1").send().await;
    assert_eq!(first.status, 200);
    assert_eq!(post("amount=1").send().await.body, first.body);
    assert_eq!(code(&post("amount=1000").send().await), (409, "repeat_differs".to_owned()));
    assert_eq!(upstream.asked().len(), 1);
}
