//! `fetch`: whom it reaches, what it sends, and how it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use callgate::backend::FetchLimits;
use callgate::backend::script::Environment;
use callgate::backend::script::Fetcher;
use callgate::http::hosts::HostRule;
use callgate::http::outbound;
use callgate::http::outbound::Outbound;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::classes::Stage;
use crate::classes::environment;

/// A third party that says what it was asked.
struct Platform {
    address: SocketAddr,
    /// Requests that never get an answer: how many have come, and how many have gone.
    begun: Arc<Semaphore>,
    gone: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Tells when a request was given up.
struct Leaving(Arc<Semaphore>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Platform {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, gone) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let platform = Self { address, begun, gone, asked };
        let (begun, gone) = (Arc::clone(&platform.begun), Arc::clone(&platform.gone));
        let asked = Arc::clone(&platform.asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (begun, gone, asked) = (begun.clone(), gone.clone(), asked.clone());
                let service = service_fn(move |request| {
                    answer(request, begun.clone(), gone.clone(), asked.clone())
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        platform
    }

    /// A class that fetches what its query says, allowed to ask `hosts`; `HERE` is the platform.
    async fn stage(&self, hosts: &[&str], body_bytes: usize) -> Stage {
        let here = self.address.to_string();
        let rule = |host: &&str| HostRule::parse(&host.replace("HERE", &here)).unwrap();
        let fetcher = Fetcher {
            outbound: Some(Arc::new(
                Outbound::new(outbound::Config::default(), Vec::new()).unwrap(),
            )),
            hosts: hosts.iter().map(rule).collect(),
            limits: FetchLimits { timeout: Duration::from_secs(20), body_bytes },
        };
        let text = TEXT.replace("PLATFORM", &here);
        Stage::with(Environment { fetcher, ..environment() }, "Asker", &text).await
    }
}

async fn answer(
    request: Request<Incoming>,
    begun: Arc<Semaphore>,
    gone: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    asked.lock().unwrap().push(format!("{} {}", head.method, head.uri));
    let query = head.uri.query().unwrap_or_default().to_owned();
    let mut response = Response::new(Full::default());
    match head.uri.path() {
        "/echo" => {
            let headers: Vec<(&str, &str)> = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            let body = String::from_utf8_lossy(&body);
            let said = json!({ "method": head.method.as_str(), "headers": headers, "body": body });
            *response.body_mut() = Full::from(said.to_string());
            response.headers_mut().insert("x-two", "1".parse().unwrap());
            response.headers_mut().append("x-two", "2".parse().unwrap());
        }
        "/to" => {
            *response.status_mut() = hyper::StatusCode::FOUND;
            response.headers_mut().insert("location", query.parse().unwrap());
        }
        "/size" => *response.body_mut() = Full::from(vec![b'x'; query.parse().unwrap()]),
        "/teapot" => {
            *response.status_mut() = hyper::StatusCode::IM_A_TEAPOT;
            *response.body_mut() = Full::from("no coffee");
        }
        "/met" => begun.acquire().await.unwrap().forget(),
        _ => {
            let _leaving = Leaving(gone);
            begun.add_permits(1);
            std::future::pending::<()>().await;
        }
    }
    Ok(response)
}

const TEXT: &str = r#"
import { equal, raises, rejects } from "./check.js";
const HERE = "http://PLATFORM";
export default class Asker {
  async asks() {
    const response = await fetch(`${HERE}/echo?x=1#part`);
    equal([response.ok, response.status, response.statusText, response.redirected], [true, 200, "OK", false]);
    equal([response.headers.get("X-Two"), response.headers.has("x-none"), response.headers.get("x-none")], ["1, 2", false, null]);
    equal([...response.headers].some(([name]) => name === "x-two"), true);
    const said = await response.json();
    const headers = Object.fromEntries(said.headers);
    equal([said.method, said.body, headers.host], ["GET", "", "PLATFORM"]);
    equal(Object.keys(headers).sort(), ["accept", "accept-encoding", "host", "user-agent"]);
    equal([(await response.bytes()).length > 10, (await response.arrayBuffer()).byteLength > 10], [true, true]);
    const teapot = await fetch(new URL(`${HERE}/teapot`));
    equal([teapot.ok, teapot.status, await teapot.text()], [false, 418, "no coffee"]);
    await rejects("SyntaxError", "status 418", teapot.json());
  }
  async sends() {
    const post = async (body, headers) => (await fetch(`${HERE}/echo`, { method: "post", body, headers })).json();
    const type = ({ headers }) => Object.fromEntries(headers)["content-type"];
    let said = await post("é");
    equal([said.method, said.body, type(said)], ["POST", "é", "text/plain;charset=UTF-8"]);
    said = await post(new URLSearchParams({ a: "x y" }));
    equal([said.body, type(said)], ["a=x+y", "application/x-www-form-urlencoded;charset=UTF-8"]);
    said = await post(new Uint8Array([65, 66]));
    equal([said.body, type(said)], ["AB", undefined]);
    said = await post(JSON.stringify({ a: 1 }), { "Content-Type": "application/json", Authorization: "Bearer x" });
    equal([said.body, type(said), Object.fromEntries(said.headers).authorization], ['{"a":1}', "application/json", "Bearer x"]);
  }
  async refuses() {
    await rejects("FetchError", 'fetch may not ask "b.example"; the setting fetch_hosts names', fetch("https://b.example/"));
    await rejects("FetchError", "127.0.0.1:1", fetch("http://127.0.0.1:1/"));
    await rejects("FetchError", "http and https", fetch("file:///etc/passwd"));
    await rejects("FetchError", "absolute address", fetch("/echo"));
    await rejects("TypeError", "an address as a text or a URL", fetch(1));
    await rejects("TypeError", 'does not know "methd"', fetch(HERE, { methd: "POST" }));
    await rejects("TypeError", "JSON.stringify(object)", fetch(HERE, { method: "POST", body: {} }));
    await rejects("FetchError", "no body with GET", fetch(HERE, { body: "x" }));
    await rejects("FetchError", 'sets the header "content-length" itself', fetch(HERE, { headers: { "Content-Length": "1" } }));
    await rejects("FetchError", "visible ASCII", fetch(HERE, { headers: { "x-a": "a\r\nb: c" } }));
    await rejects("FetchError", "CONNECT", fetch(HERE, { method: "CONNECT" }));
    await rejects("FetchError", '"follow", "manual" or "error"', fetch(HERE, { redirect: "on" }));
    await rejects("TypeError", "an AbortSignal", fetch(HERE, { signal: {} }));
    const refused = await rejects("FetchError", "", fetch("https://b.example/?key=secret"));
    equal([refused.code, refused.message.includes("secret")], ["notAllowed", false]);
  }
  async follows() {
    const led = await fetch(`${HERE}/to?/to?/echo`);
    equal([led.status, led.redirected, led.url], [200, true, `${HERE}/echo`]);
    const manual = await fetch(`${HERE}/to?/echo`, { redirect: "manual" });
    equal([manual.status, manual.headers.get("location")], [302, "/echo"]);
    equal((await rejects("FetchError", "redirects elsewhere", fetch(`${HERE}/to?/echo`, { redirect: "error" }))).code, "redirected");
    await rejects("FetchError", 'may not ask "b.example"', fetch(`${HERE}/to?http://b.example/`));
    await rejects("FetchError", 'may not ask "127.0.0.1:1"', fetch(`${HERE}/to?//127.0.0.1:1/`));
    await rejects("FetchError", "one redirection after the other", fetch(`${HERE}/to?/to?/to?/to?/to?/to?/echo`));
  }
  async bounds() {
    equal((await (await fetch(`${HERE}/size?1000`)).text()).length, 1000);
    equal((await rejects("FetchError", "more than 1000 bytes (scripts.fetch_bytes)", fetch(`${HERE}/size?1001`))).code, "tooLarge");
    equal((await rejects("FetchError", "no answer within 30 ms", fetch(`${HERE}/never`, { timeout: 30 }))).code, "tooSlow");
    await rejects("TimeoutError", "have passed", fetch(`${HERE}/never`, { signal: AbortSignal.timeout(30) }));
    await rejects("AbortError", "given up", fetch(`${HERE}/never`, { signal: AbortSignal.abort() }));
    // Nothing but the signal ends them, however long the ninth takes to be begun.
    const stop = new AbortController();
    const many = Array.from({ length: 9 }, () => fetch(`${HERE}/never`, { signal: stop.signal }));
    await rejects("RangeError", "8 things", many.pop());
    stop.abort();
    for (const given of many) await rejects("AbortError", "given up", given);
    equal((await fetch(`${HERE}/echo`)).status, 200);
  }
  async leaves() {
    void fetch(`${HERE}/never`);
    await fetch(`${HERE}/met`);
  }
  async unreachable() { await fetch("http://127.0.0.1:9/"); }
}"#;

const ALL: usize = 1024 * 1024;

#[tokio::test]
async fn a_class_asks_a_third_party() {
    let platform = Platform::start().await;
    let stage = platform.stage(&["HERE"], ALL).await;
    for function in ["asks", "sends", "refuses", "follows"] {
        stage.holds(function).await;
    }
    let asked = platform.asked.lock().unwrap();
    assert!(asked.contains(&"GET /echo?x=1".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_too_late_is_given_up() {
    let platform = Platform::start().await;
    platform.stage(&["HERE"], 1_000).await.holds("bounds").await;
}

#[tokio::test]
async fn whoever_is_not_named_is_not_asked() {
    let platform = Platform::start().await;
    let port = platform.address.port();
    for hosts in [&[][..], &["a.example"], &["127.0.0.1:1"], &["*.127.0.0.1"], &["127.0.0.1"]] {
        let answer = platform.stage(hosts, ALL).await.visitor().get("asks").await;
        let why = format!("fetch may not ask \\\"127.0.0.1:{port}\\\"");
        assert!(answer.status == 500 && answer.text().contains(&why), "{}", answer.text());
    }
    assert!(platform.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_fetch_ends_with_the_request_that_began_it() {
    let platform = Platform::start().await;
    let stage = platform.stage(&["HERE"], ALL).await;
    assert_eq!(stage.visitor().get("leaves").await.status, 200);
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, platform.gone.acquire()).await.unwrap().unwrap().forget();
}

#[tokio::test]
async fn a_third_party_that_is_not_there_is_a_failure_with_its_name() {
    let platform = Platform::start().await;
    let stage = platform.stage(&["127.0.0.1:9"], ALL).await;
    let answer = stage.visitor().get("unreachable").await;
    let told: Value = answer.json()["__ERROR"][0]["message"].clone();
    let told = told.as_str().unwrap().to_owned();
    assert!(told.starts_with("FetchError: fetch from http://127.0.0.1:9: no connection"), "{told}");
}
