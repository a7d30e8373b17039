//! A program behind a forward row: an HTTP server of the test's own that notes what it is asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use callgate::http::ResponseBody;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What an upstream was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A server that runs until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _running: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
}

impl Upstream {
    /// One that answers with what it was asked, as JSON; its query can name a `status`, and any
    /// number of fields `h=name:value`.
    pub(crate) async fn echo() -> Self {
        Self::echo_on(listener().await)
    }

    /// The same on a listener that there is already.
    pub(crate) fn echo_on(listener: TcpListener) -> Self {
        Self::with_on(listener, async |seen: Arc<Note>, request: Request<Incoming>| {
            let asked = seen.read(request).await;
            answer_of(&asked)
        })
    }

    /// One that answers as `answer` says. What it reads through its note is seen by the test.
    pub(crate) async fn with<F, Fut>(answer: F) -> Self
    where
        F: Fn(Arc<Note>, Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        Self::with_on(listener().await, answer)
    }

    fn with_on<F, Fut>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(Arc<Note>, Request<Incoming>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<ResponseBody>> + Send + 'static,
    {
        let answer = Arc::new(answer);
        Self::raw(listener, move |stream, seen| {
            let answer = Arc::clone(&answer);
            async move {
                let service = service_fn(move |request| {
                    let answering = answer(Arc::new(Note(Arc::clone(&seen))), request);
                    async move { Ok::<_, Infallible>(answering.await) }
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                // As many as callgate takes, and what it adds.
                let serving =
                    builder.max_headers(200).serve_connection(TokioIo::new(stream), service);
                let _ = serving.with_upgrades().await;
            }
        })
    }

    /// One that does with a connection whatever `serve` says.
    pub(crate) async fn on_connections<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::raw(listener().await, move |stream, _| serve(stream))
    }

    fn raw<F, Fut>(listener: TcpListener, serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let mut running = JoinSet::new();
        running.spawn({
            let seen = Arc::clone(&seen);
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(serve(stream, Arc::clone(&seen)));
                }
            }
        });
        Self { address, seen, _running: running }
    }

    /// The connections that were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// The only thing that it was asked.
    pub(crate) fn only(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Where an upstream writes down what it was asked.
pub(crate) struct Note(Arc<Seen>);

impl Note {
    /// Reads a request whole and notes it. One that breaks off is no request, and is waited for
    /// until its connection is gone.
    pub(crate) async fn read(&self, request: Request<Incoming>) -> Asked {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { std::future::pending().await };
        let asked = Asked {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            headers: head.headers,
            body: body.to_bytes(),
        };
        self.0.asked.lock().unwrap().push(asked.clone());
        asked
    }
}

impl Asked {
    /// The value of a field; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn answer_of(asked: &Asked) -> Response<ResponseBody> {
    let fields: Vec<(String, String)> = asked
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = json!({
        "method": asked.method,
        "target": asked.target,
        "headers": fields,
        "body": String::from_utf8_lossy(&asked.body),
    });
    let mut response = Response::new(ResponseBody::from(Bytes::from(body.to_string())));
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let query = asked.target.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, value.split_once(':')) {
            ("status", _) => *response.status_mut() = value.parse().unwrap(),
            ("h", Some((field, value))) => {
                let field: hyper::header::HeaderName = field.parse().unwrap();
                response.headers_mut().append(field, value.parse().unwrap());
            }
            _ => {}
        }
    }
    response
}
