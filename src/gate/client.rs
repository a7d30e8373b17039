//! A client that drives a gate without a socket, for the tests of programs that embed one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::header;
use serde_json::Value;

use crate::http::Dispatch;
use crate::http::message::body::incoming::RequestBody;

/// One visitor: it keeps the cookies it is given and sends them back, like a browser.
///
/// A clone shares the cookies; [`Client::stranger`] starts without any.
#[derive(Clone)]
pub struct Client {
    dispatch: Arc<Dispatch>,
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
}

/// A request that is being put together.
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    client: Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Client {
    pub(super) fn new(dispatch: Arc<Dispatch>) -> Self {
        Self { dispatch, cookies: Arc::default() }
    }

    /// Somebody else, without cookies.
    #[must_use]
    pub fn stranger(&self) -> Self {
        Self::new(Arc::clone(&self.dispatch))
    }

    /// Begins a GET of a path with its query.
    pub fn get(&self, target: &str) -> Call {
        self.call("GET", target)
    }

    /// Begins a POST.
    pub fn post(&self, target: &str) -> Call {
        self.call("POST", target)
    }

    /// Begins any request.
    pub fn call(&self, method: &str, target: &str) -> Call {
        Call {
            client: self.clone(),
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The value of a cookie that this visitor holds.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().get(name).cloned()
    }

    /// Gives this visitor a cookie, such as one that somebody planted.
    pub fn plant(&self, name: &str, value: &str) {
        self.jar().insert(name.to_owned(), value.to_owned());
    }

    fn jar(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            let text = value.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.jar().insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// The names of the cookies only.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.jar().keys())
    }
}

impl Call {
    /// Adds a header field. Without one of its own, a request is for the host `localhost`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks as a browser does that follows a link.
    pub fn as_browser(self) -> Self {
        self.header("accept", "text/html,*/*;q=0.8").header("sec-fetch-mode", "navigate")
    }

    /// Sends a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Sends the request.
    ///
    /// # Panics
    ///
    /// If method, target or headers cannot be part of a request, or an upstream breaks off.
    pub async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target);
        // This machine's own name is let in whatever the settings say about hosts.
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "localhost");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let cookies: Vec<String> =
            self.client.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.body(RequestBody::Whole(Full::new(self.body)));
        let request = request.expect("method, target and headers of a request");
        let (head, body) = self.client.dispatch.answer(request, None).await.into_parts();
        self.client.keep(&head.headers);
        let body = body.collect().await.expect("an upstream that finishes its answer").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The text of a header field; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gate;
    use crate::IncomingMessage;
    use crate::Session;
    use crate::Settings;
    use crate::Singleton;
    use crate::flow::session::Privileges;
    use crate::http::Raised;
    use crate::settings::StoreUrl;
    use tokio::sync::Notify;
    use tokio::sync::mpsc;

    /// Shows its session to the test, and fails when it is told to.
    struct Fragile {
        shown: mpsc::UnboundedSender<Session>,
        fails: Notify,
    }

    async fn work(of: Arc<Fragile>, _: IncomingMessage, session: Session) -> Result<(), Raised> {
        of.shown.send(session).unwrap();
        of.fails.notified().await;
        Err(Raised::new("told to"))
    }

    #[tokio::test]
    async fn a_failure_waits_for_whoever_still_writes_for_its_request() {
        let (shown, mut sessions) = mpsc::unbounded_channel();
        let fragile = Arc::new(Fragile { shown, fails: Notify::new() });
        let class = Singleton::shared("Fragile", Arc::clone(&fragile))
            .method("work", work)
            .method("who", async |_, _, session: Session| session.user_name());
        let table = r#"[{ "class": "Fragile", "method": "work", "pattern": "work" },
                        { "class": "Fragile", "method": "who", "pattern": "who" }]"#;
        let settings = Settings { store: StoreUrl::Memory, ..Settings::default() };
        let gate = Gate::builder(settings).table(table).singleton(class).open().await.unwrap();
        let client = gate.client();
        let answering = tokio::spawn(client.get("/work").send());
        let session = sessions.recv().await.unwrap();
        let turn = session.turn().await.unwrap();
        fragile.fails.notify_one();
        // On one thread, all others come as far as they can.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!answering.is_finished(), "nobody waited");
        assert!(!turn.answer_has_begun());
        let ada = Privileges { user_name: Some("ada".to_owned()), ..Privileges::default() };
        turn.grant(ada).await.unwrap();
        drop(turn);
        assert_eq!(answering.await.unwrap().status, 500);
        // The fresh credential, without which he would be put out, has come with the failure.
        assert_eq!(client.get("/who").send().await.json()["result"], "ada");
    }
}
