//! A gate in a program that embeds it: as a tower service, and what its handlers are given.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use callgate::ConnInfo;
use callgate::Listeners;
use callgate::SessionError;
use callgate::prelude::*;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Frame;
use serde_json::Value;
use serde_json::json;
use tokio::sync::oneshot;
use tower::Service;
use tower::ServiceExt;

const TABLE: &str = r#"[
    { "class": "Own", "method": "count", "pattern": "count" },
    { "class": "Own", "method": "echo", "pattern": "echo", "verbs": "POST" },
    { "class": "Own", "method": "wrong", "pattern": "wrong" },
    { "class": "Own", "method": "restore", "pattern": "restore" },
    { "class": "Own", "method": "mint", "pattern": "mint" }
]"#;

async fn count(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<String, HandlerError> {
    let count = session.get::<u64>("count")?.unwrap_or_default() + 1;
    session.set("count", count)?;
    Ok(count.to_string())
}

async fn echo(_: Arc<()>, request: IncomingMessage, _: Session) -> Result<Value, HandlerError> {
    let from = request.remote_address().map(|address| address.to_string());
    Ok(json!({ "text": request.text(), "from": from }))
}

async fn restore(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<String, HandlerError> {
    let token = request.url_query().find("state").unwrap_or_default();
    let outcome = session.restore(token).await?;
    let count: Option<u64> = session.get("count")?;
    Ok(format!("{} {count:?}", outcome.name()))
}

async fn gate() -> Gate {
    let own = Singleton::new("Own", ())
        .method("count", count)
        .method("echo", echo)
        .method("restore", restore)
        .method("mint", async |_, _, session: Session| {
            session.set("count", 7)?;
            session.create_otp(MintOptions::default()).await
        })
        .method("wrong", async |_, _, session: Session| {
            session.set("name", "Ann's secret")?;
            let error = session.get::<u64>("name").unwrap_err();
            Ok::<_, SessionError>(format!("{error} {}", error.code()))
        });
    let settings = "store = 'memory:'\nhosts = ['shop.example']".parse().unwrap();
    Gate::builder(settings).table(TABLE).singleton(own).open().await.unwrap()
}

fn request(path: &str) -> axum::http::request::Builder {
    Request::builder().uri(path).header("host", "shop.example")
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_router_sends_to_the_table_what_it_has_no_route_for() {
    let router = Router::new().route("/about", get(async || "axum")).fallback_service(gate().await);
    let ask = async |request: Request| router.clone().oneshot(request).await.unwrap();
    let about = ask(request("/about").body(Body::empty()).unwrap()).await;
    assert_eq!(text(about).await, "axum");
    let first = ask(request("/count").body(Body::empty()).unwrap()).await;
    let cookie = first.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let again = request("/count").header("cookie", cookie).body(Body::empty()).unwrap();
    assert_eq!(text(ask(again).await).await, r#"{"result":"2"}"#);
    let elsewhere = ask(request("/elsewhere").body(Body::empty()).unwrap()).await;
    assert_eq!(elsewhere.status(), 404);
    let foreign = Request::builder().uri("/count").header("host", "other.example");
    assert_eq!(ask(foreign.body(Body::empty()).unwrap()).await.status(), 421);
}

#[tokio::test]
async fn the_other_server_says_where_a_request_comes_from() {
    let mut gate = gate().await;
    let conn = ConnInfo {
        peer: "192.0.2.7:1234".parse().unwrap(),
        local: "192.0.2.1:443".parse().unwrap(),
        tls: true,
    };
    let mut echoed = async |conn: Option<ConnInfo>| {
        let mut request = request("/echo").method("POST").body(Full::from("hello")).unwrap();
        conn.map(|conn| request.extensions_mut().insert(conn));
        let response = ServiceExt::<hyper::Request<Full<Bytes>>>::ready(&mut gate).await;
        let response = response.unwrap().call(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()["result"].clone()
    };
    assert_eq!(echoed(Some(conn)).await, json!({ "text": "hello", "from": "192.0.2.7" }));
    assert_eq!(echoed(None).await, json!({ "text": "hello", "from": null }));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_request() {
    let gate = gate().await;
    let frames = [Ok(Frame::data(Bytes::from("half"))), Err(io::Error::other("gone"))];
    let body = Frames(frames.into_iter().collect());
    let broken = request("/echo").method("POST").body(body).unwrap();
    let response: Result<_, Infallible> = gate.oneshot(broken).await;
    assert_eq!(response.unwrap().status(), 400);
}

/// Frames that are there at once.
struct Frames(std::collections::VecDeque<io::Result<Frame<Bytes>>>);

impl axum::body::HttpBody for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<Frame<Bytes>>>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test]
async fn a_gate_without_listeners_works_until_it_is_stopped() {
    let gate = gate().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn({
        let gate = gate.clone();
        async move { gate.serve(Listeners::none(), async { stopped.await.unwrap_or(()) }).await }
    });
    let response = gate.client().get("/count").header("host", "shop.example").send().await;
    assert_eq!((response.status, serving.is_finished()), (200, false));
    drop(stop);
    assert_eq!(serving.await.unwrap(), callgate::Drained::Clean);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_does_not_quote_it() {
    let gate = gate().await;
    let response = gate.client().get("/wrong").header("host", "shop.example").send().await;
    let text = response.text();
    assert!(text.contains("\\\"name\\\"") && text.contains("u64 otherType"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn restore_returns_the_outcome_in_rust() {
    let gate = gate().await;
    let ask = async |path: String| {
        let client = gate.client().stranger();
        let response = client.get(&path).header("host", "shop.example").send().await;
        response.json()["result"].as_str().unwrap().to_owned()
    };
    let token = ask("/mint".to_owned()).await;
    assert_eq!(ask(format!("/restore?state={token}")).await, "restored Some(7)");
    assert_eq!(ask(format!("/restore?state={token}")).await, "used None");
    assert_eq!(ask("/restore?state=x".to_owned()).await, "unknown None");
}
