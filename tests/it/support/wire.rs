//! A gate behind real sockets, and a client that sends exactly the bytes a test writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callgate::Settings;
use callgate::gate::Answer;
use callgate::gate::Listeners;
use callgate::http::server::Drained;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::House;
use crate::support::leaks::Ledger;
use crate::support::settings;

/// After this long a test that waits for the other end has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gate that serves on two ports until it is told to stop.
pub(crate) struct Served {
    pub(crate) house: Arc<House>,
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
    redirect: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Drained>,
}

/// One connection and what has been read ahead from it.
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
    ledger: Option<Arc<Ledger>>,
}

/// Settings with one limit moved.
pub(crate) fn limited(change: impl FnOnce(&mut callgate::settings::Limits)) -> Settings {
    let mut settings = settings();
    change(&mut settings.limits);
    settings
}

impl Served {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_inside(settings, "127.0.0.1:0").await
    }

    /// The same with the internal listener on another address of this machine.
    pub(crate) async fn start_inside(settings: Settings, inside: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::house(House::open(settings).await, listener, inside).await
    }

    /// A gate whose table has these rows in front of the probe's.
    pub(crate) async fn with_rows(settings: Settings, rows: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::house(House::with_rows(settings, rows).await, listener, "127.0.0.1:0").await
    }

    /// Serves a gate on a listener that there is already.
    pub(crate) async fn house(house: House, listener: TcpListener, inside: &str) -> Self {
        let house = Arc::new(house);
        let other = TcpListener::bind(inside).await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (public, redirect) = (address(&listener), address(&plain));
        let internal = ([127, 0, 0, 1], address(&other).port()).into();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn({
            let house = Arc::clone(&house);
            async move {
                // A test that ends without stopping drops the sender; that is a stop too.
                let stop = async { stopped.await.unwrap_or(()) };
                let listeners = Listeners::new(listener).internal(other).redirect(plain);
                house.gate.serve(listeners, stop).await
            }
        });
        Self { house, public, internal, redirect, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> Wire {
        let stream = TcpStream::connect(self.public).await.unwrap();
        Wire { stream, ahead: Vec::new(), ledger: Some(Arc::clone(&self.house.ledger)) }
    }

    /// A connection to the internal listener, whose answers are none of dispatch's.
    pub(crate) async fn connect_inside(&self) -> Wire {
        Wire::open(self.internal).await
    }

    /// One request to the listener that sends people on to HTTPS.
    pub(crate) async fn redirect(&self, method: &str, target: &str) -> Answer {
        let stream = TcpStream::connect(self.redirect).await.unwrap();
        let mut wire = Wire { stream, ahead: Vec::new(), ledger: None };
        wire.send(format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n")).await;
        wire.answer().await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.answer().await
    }

    /// Begins to stop; requests under way go on.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end that [`Served::stop`] began.
    pub(crate) async fn ended(self) -> Drained {
        soon(self.serving).await.unwrap()
    }
}

impl Wire {
    /// A connection to anywhere, whose answers nobody looks at for leaks.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        Self { stream, ahead: Vec::new(), ledger: None }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// A GET of `target` that leaves the connection open.
    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        self.answer().await
    }

    /// The status of a GET; `None` when the connection was closed instead.
    pub(crate) async fn try_get(&mut self, target: &str) -> Option<u16> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        soon(self.stream.write_all(request.as_bytes())).await.ok()?;
        while soon(self.stream.read_buf(&mut self.ahead)).await.ok()? > 0 {
            if let Some(status) = self.ahead.get(9..12) {
                return std::str::from_utf8(status).ok()?.parse().ok();
            }
        }
        None
    }

    /// Reads one answer with a body.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to(false).await
    }

    /// The same; `carried` says whether the request carried a token.
    pub(crate) async fn answer_to(&mut self, carried: bool) -> Answer {
        let mut answer = self.head().await;
        let length: usize = answer.header("content-length").parse().unwrap_or(0);
        while self.ahead.len() < length {
            assert!(self.read_more().await > 0, "the connection ended inside a body");
        }
        answer.body = self.ahead.drain(..length).collect::<Vec<u8>>().into();
        self.check(&answer, carried);
        answer
    }

    /// Reads one answer that has no body, whatever its length says.
    pub(crate) async fn answer_without_body(&mut self) -> Answer {
        let answer = self.head().await;
        self.check(&answer, false);
        answer
    }

    /// Reads an answer of hyper itself, which refuses what no request is.
    pub(crate) async fn bare_answer(&mut self) -> Answer {
        self.head().await
    }

    fn check(&self, answer: &Answer, carried: bool) {
        if let Some(ledger) = &self.ledger {
            ledger.check(&answer.headers, &answer.body, carried);
        }
    }

    async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(self.read_more().await > 0, "the connection ended without an answer");
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let text = std::str::from_utf8(&head).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        Answer { status, headers, body: bytes::Bytes::new() }
    }

    /// Waits until the other end closes the connection; what it said before that.
    pub(crate) async fn rest(&mut self) -> String {
        // A reset closes a connection too.
        while soon(self.stream.read_buf(&mut self.ahead)).await.unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.ahead)).into_owned()
    }

    /// Waits for these bytes to come next, whatever framing they have.
    pub(crate) async fn expect(&mut self, text: &[u8]) {
        while self.ahead.len() < text.len() {
            assert!(self.read_more().await > 0, "{:?}", String::from_utf8_lossy(&self.ahead));
        }
        let came: Vec<u8> = self.ahead.drain(..text.len()).collect();
        assert_eq!(String::from_utf8_lossy(&came), String::from_utf8_lossy(text));
    }

    async fn read_more(&mut self) -> usize {
        soon(self.stream.read_buf(&mut self.ahead)).await.unwrap()
    }
}

/// What must happen soon; a test that would hang fails instead.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened for a long time")
}
