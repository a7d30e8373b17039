//! One connection: its protocol, its deadlines, and how it ends.

use std::convert::Infallible;
use std::future::Future;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Version;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::http::conn::acceptor::Accepted;
use crate::http::conn::acceptor::Acceptor;
use crate::http::conn::acceptor::Service;
use crate::http::conn::acceptor::stopped;
use crate::http::conn::frames::Framed;
use crate::http::conn::sniff::PREFACE;
use crate::http::conn::sniff::Protocol;
use crate::http::conn::sniff::Sniffed;
use crate::http::conn::sniff::sniff;
use crate::http::conn::stall::Abandon;
use crate::http::conn::stall::Unstalled;
use crate::http::conn::traffic::Traffic;
use crate::http::conn::transport::Transport;
use crate::http::conn::watched_body::WatchedBody;
use crate::http::limits::Limits;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::outgoing::cut_body;
use crate::http::message::conn_info::ConnInfo;
use crate::http::outbound::tunnel::Tunnel;

/// Bytes that HTTP/1.1 reads ahead at most.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2 streams that a peer may reset before it is sent away (docs/SECURITY.md D.2, rapid reset).
const PENDING_RESETS_MAX: usize = 20;
/// HTTP/2 streams that may be reset for the peer's errors before it is sent away.
const ERROR_RESETS_MAX: usize = 128;
/// Bytes of one HTTP/2 stream, and of all streams together, that a peer may send unasked.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one HTTP/2 response that are held for a peer that does not read them.
const SEND_BYTES_MAX: usize = 128 * 1024;
/// Pause after which a silent HTTP/2 peer is pinged, and the timeout of its reply.
const PING_PAUSE: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection without requests may take to close.
const PARTING: Duration = Duration::from_millis(500);
/// How long the server keeps reading after it has closed its side, and the pause after which the
/// client is assumed to have nothing more to send.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_GAP: Duration = Duration::from_millis(300);

/// The other end of a connection.
struct ClientStream {
    stream: Sniffed<Transport>,
    conn: ConnInfo,
}

/// Passes the requests of one connection to the service, and counts them.
struct RequestService<S> {
    service: Arc<S>,
    conn: ConnInfo,
    /// Requests that have begun, and their maximum.
    begun: AtomicU64,
    max: u64,
    /// Notified when the maximum is reached.
    worn: Notify,
    /// Whether something may have followed the header of the last request.
    had_body: AtomicBool,
    /// Where the bytes of the connection go after its last response.
    tunnel: Mutex<Option<Tunnel>>,
    /// The HTTP/2 traffic; hyper itself watches HTTP/1.1.
    traffic: Option<Arc<Traffic>>,
}

impl<S: Service> RequestService<S> {
    fn new(service: Arc<S>, conn: ConnInfo, max: u64, traffic: Option<Arc<Traffic>>) -> Arc<Self> {
        Arc::new(Self {
            service,
            conn,
            begun: AtomicU64::new(0),
            max,
            worn: Notify::new(),
            had_body: AtomicBool::new(false),
            tunnel: Mutex::default(),
            traffic,
        })
    }

    /// Responds to a request, and returns whether it was the last allowed on the connection.
    async fn call(&self, request: Request<Incoming>) -> (Response<ResponseBody>, bool) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        // A client that requests an upgrade may have begun to use the other protocol.
        let more =
            !request.body().is_end_stream() || request.headers().contains_key(header::UPGRADE);
        self.had_body.store(more, Ordering::Relaxed);
        let is_last = number >= self.max;
        if is_last {
            self.worn.notify_one();
        }
        (Arc::clone(&self.service).call(request, self.conn).await, is_last)
    }

    fn tunnel(&self) -> MutexGuard<'_, Option<Tunnel>> {
        // It is only set or taken as a whole.
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_new(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }

    /// Completes once the connection is useless: the peer has sent no request for as long as
    /// `idle`, or does not read its responses.
    async fn useless(&self, idle: Duration) {
        if let Some(traffic) = &self.traffic {
            return traffic.dead(idle).await;
        }
        tokio::time::sleep(idle).await;
        if !self.is_new() {
            pending::<()>().await;
        }
    }
}

/// Serves one connection from its first byte to its end.
pub(crate) async fn connection<S: Service>(
    client: Accepted,
    service: Arc<S>,
    entrance: &Acceptor,
    mut stop: watch::Receiver<bool>,
) {
    // The permit is released when this function ends.
    let Accepted { stream, peer, permit: _seat } = client;
    // Responses are written completely, so Nagle's algorithm would only add latency.
    let _ = stream.set_nodelay(true);
    // A client that has disconnected needs no response.
    let Ok(local) = stream.local_addr() else { return };
    let conn = ConnInfo { peer, local, tls: entrance.tls().is_some() };
    let begun = tokio::select! {
        biased;
        () = stopped(&mut stop) => return,
        begun = begin(stream, entrance) => begun,
    };
    // Otherwise the client was silent, has disconnected, or sent neither protocol, and there is no
    // request.
    if let Some((protocol, stream)) = begun {
        let client = ClientStream { stream, conn };
        match protocol {
            Protocol::Http1 => http1(client, service, &entrance.limits, stop).await,
            Protocol::Http2 => http2(client, service, &entrance.limits, stop).await,
        }
    }
}

/// Performs the TLS handshake and determines the protocol.
async fn begin(stream: TcpStream, entrance: &Acceptor) -> Option<(Protocol, Sniffed<Transport>)> {
    let limits = &entrance.limits;
    let stream = Unstalled::new(stream, limits.write_stall);
    let (agreed, transport) = match entrance.tls() {
        None => (None, Transport::Plain(stream)),
        Some(tls) => {
            let shaken = tokio::time::timeout(limits.handshake, tls.accept(stream)).await;
            let stream = shaken.ok()?.ok()?;
            // Over TLS, HTTP/2 is used if and only if both ends negotiated it (RFC 9113 §3.2).
            let agreed = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            (Some(agreed), Transport::Tls(Box::new(stream)))
        }
    };
    let first = tokio::time::timeout(limits.first_byte, sniff(transport)).await;
    let (protocol, stream) = first.ok()?.ok()?;
    agreed.is_none_or(|agreed| agreed == protocol).then_some((protocol, stream))
}

async fn http1<S: Service>(
    client: ClientStream,
    service: Arc<S>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) {
    let requests =
        RequestService::new(service, client.conn, limits.requests_per_connection as u64, None);
    let answering = Arc::clone(&requests);
    let answer = service_fn(move |request| {
        let requests = Arc::clone(&answering);
        async move {
            // As documented, HTTP/1.0 has one request on a connection, even with keep-alive.
            let is_old = request.version() == Version::HTTP_10;
            let (mut response, is_last) = requests.call(request).await;
            let is_last = is_last || is_old;
            if is_old {
                // Otherwise hyper announces that the connection is kept alive.
                *response.version_mut() = Version::HTTP_10;
            }
            *requests.tunnel() = response.extensions_mut().remove();
            if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_header_size(limits.header_bytes)
        .max_headers(limits.headers)
        .max_buf_size(BUFFER_BYTES_MAX.max(limits.header_bytes))
        .half_close(false);
    let mut connection = builder.serve_connection(TokioIo::new(client.stream), answer);
    let ended = attend(Pin::new(&mut connection), &requests, limits, stop.clone()).await;
    let tunnel = requests.tunnel().take();
    if let (Ok(()), Some(tunnel)) = (&ended, tunnel) {
        let parts = connection.into_parts();
        let passing = tunnel.pass(parts.io.into_inner(), parts.read_buf);
        return pass(passing, stop, limits.drain).await;
    }
    if ended.as_ref().is_err_and(hyper::Error::is_user) {
        // A response was cut off. A client that knows no length would take a regular close for its
        // end.
        return connection.into_parts().io.into_inner().abandon();
    }
    let refused = ended.is_err_and(|error| error.is_parse());
    if refused || requests.had_body.load(Ordering::Relaxed) {
        linger(connection.into_parts().io.into_inner()).await;
    }
}

async fn http2<S: Service>(
    client: ClientStream,
    service: Arc<S>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) {
    let traffic = Arc::new(Traffic::new(limits.write_stall));
    let stream = Framed::new(client.stream, PREFACE.len(), Arc::clone(&traffic));
    let requests = RequestService::new(service, client.conn, limits.h2_requests(), Some(traffic));
    let answering = Arc::clone(&requests);
    let answer = service_fn(move |request| {
        let requests = Arc::clone(&answering);
        async move {
            let is_head = request.method() == Method::HEAD;
            let (mut response, _) = requests.call(request).await;
            // hyper sends the body it is given, and clients reset the stream of a HEAD with a
            // body.
            if is_head && !response.body().is_end_stream() {
                cut_body(&mut response, is_head);
            }
            let mut response = response.map(|body| match (body, &requests.traffic) {
                (body @ ResponseBody::Stream(_), Some(traffic)) => {
                    ResponseBody::stream(WatchedBody::new(body, Arc::clone(traffic)))
                }
                (body, _) => body,
            });
            // Connection-specific fields of HTTP/1.1 must not be sent here (RFC 9113 §8.2.2).
            response.headers_mut().remove(header::CONNECTION);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_PAUSE)
        .keep_alive_timeout(PING_PATIENCE);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let _ = attend(connection, &requests, limits, stop).await;
}

/// Runs a connection until it ends, reaches its maximum age, is useless, or the server stops; then
/// lets it finish pending requests.
///
/// Every wait has a timeout here, because some of hyper's own have none, such as that for the
/// first frame of an HTTP/2 peer, or for a peer that does not read a response.
async fn attend<S: Service>(
    mut connection: Pin<&mut impl GracefulConnection<Error = hyper::Error>>,
    requests: &RequestService<S>,
    limits: &Limits,
    stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = end_of(stop, limits.connection_age) => None,
        () = requests.worn.notified(), if requests.traffic.is_some() => None,
        () = requests.useless(limits.header) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => part(connection, requests, limits.drain).await,
    };
    // Clients disconnect and send malformed data all the time, which is worth logging only for
    // debugging.
    if let Err(error) = &ended {
        tracing::debug!(event = "server.connection_ended", %error);
    }
    ended
}

/// Starts a graceful shutdown. Pending requests are completed, within `drain` at most.
async fn part<S: Service>(
    mut connection: Pin<&mut impl GracefulConnection<Error = hyper::Error>>,
    requests: &RequestService<S>,
    drain: Duration,
) -> Result<(), hyper::Error> {
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(PARTING.min(drain), connection.as_mut()).await {
        return ended;
    }
    tokio::select! {
        ended = connection => ended,
        () = tokio::time::sleep(drain.saturating_sub(PARTING)) => Ok(()),
        () = requests.useless(PARTING) => Ok(()),
    }
}

/// Passes the bytes of a tunnel until it ends or the server stops. The ends of a tunnel cannot be
/// shut down gracefully, so a tunnel that is still open near the end of the drain time is cut off.
async fn pass(
    passing: impl Future<Output = io::Result<()>>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let over = async {
        stopped(&mut stop).await;
        tokio::time::sleep(drain.saturating_sub(PARTING)).await;
    };
    let ended = tokio::select! {
        ended = passing => ended,
        () = over => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(event = "server.connection_ended", %error);
    }
}

/// Closes the server's side and reads on for a moment.
///
/// Without this, a client that is still sending the body of a refused request would be cut off by
/// a reset, which can discard the response as well (RFC 9112 §9.6).
async fn linger(mut stream: Sniffed<Transport>) {
    let mut dropped = vec![0; 4 * 1024];
    let reading = async {
        // hyper has done so already, unless it was cut off itself.
        let _ = stream.shutdown().await;
        let mut next = async || tokio::time::timeout(LINGER_GAP, stream.read(&mut dropped)).await;
        while next().await.is_ok_and(|read| read.is_ok_and(|count| count > 0)) {}
    };
    let _ = tokio::time::timeout(LINGER, reading).await;
}

/// When a connection must finish: the server stops, or the connection has reached its maximum age.
async fn end_of(mut stop: watch::Receiver<bool>, age_max: Duration) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = tokio::time::sleep(age_max) => {}
    }
}
