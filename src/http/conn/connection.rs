//! One connection: what it speaks, how long it may take for what, and how it ends.

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

use crate::http::conn::acceptor::Acceptor;
use crate::http::conn::acceptor::Admitted;
use crate::http::conn::frames::Framed;
use crate::http::conn::server::Config;
use crate::http::conn::server::Service;
use crate::http::conn::server::stopped;
use crate::http::conn::sniff::PREFACE;
use crate::http::conn::sniff::Protocol;
use crate::http::conn::sniff::Sniffed;
use crate::http::conn::sniff::sniff;
use crate::http::conn::stall::Abandon;
use crate::http::conn::stall::Unstalled;
use crate::http::conn::traffic::Traffic;
use crate::http::conn::transport::Transport;
use crate::http::conn::watched_body::Taken;
use crate::http::message::body::outgoing::AnswerBody;
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
/// Bytes of one HTTP/2 answer that are held for a peer who does not take them.
const SEND_BYTES_MAX: usize = 128 * 1024;
/// Pause after which a silent HTTP/2 peer is pinged, and how long it may take to answer.
const PING_PAUSE: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection that serves nobody any more may still take to end.
const PARTING: Duration = Duration::from_millis(500);
/// How long what a client still sends is read once the server has closed its side, and how long he
/// may pause before it is taken that he has nothing more to send.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_GAP: Duration = Duration::from_millis(300);

/// The other end of a connection.
struct Client {
    stream: Sniffed<Transport>,
    conn: ConnInfo,
}

/// Answers the requests of one connection and counts them.
struct Desk<S> {
    service: Arc<S>,
    conn: ConnInfo,
    /// Requests that have begun, and how many there may be.
    begun: AtomicU64,
    max: u64,
    /// Told when there were as many.
    worn: Notify,
    /// Whether something may have followed the header of the last request.
    had_body: AtomicBool,
    /// Where the bytes of the connection go once the last answer has left it.
    tunnel: Mutex<Option<Tunnel>>,
    /// What passes over HTTP/2; hyper itself watches HTTP/1.1.
    traffic: Option<Arc<Traffic>>,
}

impl<S: Service> Desk<S> {
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

    /// Answers a request, and says whether it was the last that the connection may have.
    async fn answer(&self, request: Request<Incoming>) -> (Response<AnswerBody>, bool) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        // Whoever asks for another protocol may have begun to speak it.
        let more =
            !request.body().is_end_stream() || request.headers().contains_key(header::UPGRADE);
        self.had_body.store(more, Ordering::Relaxed);
        let is_last = number >= self.max;
        if is_last {
            self.worn.notify_one();
        }
        (Arc::clone(&self.service).answer(request, self.conn).await, is_last)
    }

    fn tunnel(&self) -> MutexGuard<'_, Option<Tunnel>> {
        // It is put in and taken out whole.
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_new(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }

    /// Done once nobody is served here any more: the peer has asked for nothing for as long as
    /// `idle`, or does not take what he asked for.
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
    client: Admitted,
    service: Arc<S>,
    entrance: &Acceptor,
    mut stop: watch::Receiver<bool>,
) {
    // The seat is free again when this function ends.
    let Admitted { stream, peer, seat: _seat } = client;
    // Answers are small and complete: there is nothing to wait for before they are sent.
    let _ = stream.set_nodelay(true);
    // A client that is gone already needs no answer.
    let Ok(local) = stream.local_addr() else { return };
    let conn = ConnInfo { peer, local, tls: entrance.tls().is_some() };
    let begun = tokio::select! {
        biased;
        () = stopped(&mut stop) => return,
        begun = begin(stream, entrance) => begun,
    };
    // Anything else is silent, gone, or neither protocol: nothing that could be answered.
    if let Some((protocol, stream)) = begun {
        let client = Client { stream, conn };
        match protocol {
            Protocol::Http1 => http1(client, service, &entrance.config, stop).await,
            Protocol::Http2 => http2(client, service, &entrance.config, stop).await,
        }
    }
}

/// Shakes hands and finds out what the connection speaks.
async fn begin(stream: TcpStream, entrance: &Acceptor) -> Option<(Protocol, Sniffed<Transport>)> {
    let config = &entrance.config;
    let stream = Unstalled::new(stream, config.write_stall_timeout);
    let (agreed, transport) = match entrance.tls() {
        None => (None, Transport::Plain(stream)),
        Some(tls) => {
            let shaken = tokio::time::timeout(config.handshake_timeout, tls.accept(stream)).await;
            let stream = shaken.ok()?.ok()?;
            // Over TLS, HTTP/2 is spoken where both ends agreed on it, and only there (RFC 9113
            // §3.2).
            let agreed = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            (Some(agreed), Transport::Tls(Box::new(stream)))
        }
    };
    let first = tokio::time::timeout(config.first_byte_timeout, sniff(transport)).await;
    let (protocol, stream) = first.ok()?.ok()?;
    agreed.is_none_or(|agreed| agreed == protocol).then_some((protocol, stream))
}

async fn http1<S: Service>(
    client: Client,
    service: Arc<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) {
    let desk = Desk::new(service, client.conn, config.requests_max, None);
    let answering = Arc::clone(&desk);
    let answer = service_fn(move |request| {
        let desk = Arc::clone(&answering);
        async move {
            // As documented, HTTP/1.0 has one request on a connection, whatever it asks for.
            let is_old = request.version() == Version::HTTP_10;
            let (mut response, is_last) = desk.answer(request).await;
            let is_last = is_last || is_old;
            if is_old {
                // Otherwise hyper says itself that the connection is kept.
                *response.version_mut() = Version::HTTP_10;
            }
            *desk.tunnel() = response.extensions_mut().remove();
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
        .header_read_timeout(config.header_timeout)
        .max_header_size(config.header_bytes_max)
        .max_headers(config.headers_max)
        .max_buf_size(BUFFER_BYTES_MAX.max(config.header_bytes_max))
        .half_close(false);
    let mut connection = builder.serve_connection(TokioIo::new(client.stream), answer);
    let ended = attend(Pin::new(&mut connection), &desk, config, stop.clone()).await;
    let tunnel = desk.tunnel().take();
    if let (Ok(()), Some(tunnel)) = (&ended, tunnel) {
        let parts = connection.into_parts();
        let passing = tunnel.pass(parts.io.into_inner(), parts.read_buf);
        return pass(passing, stop, config.drain_timeout).await;
    }
    if ended.as_ref().is_err_and(hyper::Error::is_user) {
        // An answer broke off. To whoever knows no lengths a proper end would look like its end.
        return connection.into_parts().io.into_inner().abandon();
    }
    let refused = ended.is_err_and(|error| error.is_parse());
    if refused || desk.had_body.load(Ordering::Relaxed) {
        linger(connection.into_parts().io.into_inner()).await;
    }
}

async fn http2<S: Service>(
    client: Client,
    service: Arc<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) {
    let traffic = Arc::new(Traffic::new(config.write_stall_timeout));
    let stream = Framed::new(client.stream, PREFACE.len(), Arc::clone(&traffic));
    let desk = Desk::new(service, client.conn, config.h2_requests_max, Some(traffic));
    let answering = Arc::clone(&desk);
    let answer = service_fn(move |request| {
        let desk = Arc::clone(&answering);
        async move {
            let is_head = request.method() == Method::HEAD;
            let (mut response, _) = desk.answer(request).await;
            // hyper sends what it is given, and clients reset the stream of a HEAD with a body.
            if is_head && !response.body().is_end_stream() {
                cut_body(&mut response, is_head);
            }
            let mut response = response.map(|body| match (body, &desk.traffic) {
                (body @ AnswerBody::Stream(_), Some(traffic)) => {
                    AnswerBody::stream(Taken::new(body, Arc::clone(traffic)))
                }
                (body, _) => body,
            });
            // Fields of HTTP/1.1's connections must not be sent here (RFC 9113 §8.2.2).
            response.headers_mut().remove(header::CONNECTION);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_PAUSE)
        .keep_alive_timeout(PING_PATIENCE);
    let connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let _ = attend(connection, &desk, config, stop).await;
}

/// Lets a connection live until it ends, has served its time, serves nobody any more, or the
/// server stops; then lets it finish what it has begun.
///
/// Every wait has an end: hyper's own do not all have one, such as that for the first frame of an
/// HTTP/2 peer, or for one that takes no answer.
async fn attend<S: Service>(
    mut connection: Pin<&mut impl GracefulConnection<Error = hyper::Error>>,
    desk: &Desk<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = end_of(stop, config.age_max) => None,
        () = desk.worn.notified(), if desk.traffic.is_some() => None,
        () = desk.useless(config.header_timeout) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => part(connection, desk, config.drain_timeout).await,
    };
    // Clients hang up and send nonsense all the time; that is worth a look only when debugging.
    if let Err(error) = &ended {
        tracing::debug!(event = "server.connection_ended", %error);
    }
    ended
}

/// Says goodbye; who is being served is served to the end, but for no longer than `drain`.
async fn part<S: Service>(
    mut connection: Pin<&mut impl GracefulConnection<Error = hyper::Error>>,
    desk: &Desk<S>,
    drain: Duration,
) -> Result<(), hyper::Error> {
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(PARTING.min(drain), connection.as_mut()).await {
        return ended;
    }
    tokio::select! {
        ended = connection => ended,
        () = tokio::time::sleep(drain.saturating_sub(PARTING)) => Ok(()),
        () = desk.useless(PARTING) => Ok(()),
    }
}

/// Lets bytes pass through a tunnel until they have ended, or the server does. Nobody can be asked
/// to finish here: whoever still talks when the time to finish is nearly over is cut off.
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
/// A client that is still sending the body of a request that has been refused would otherwise be
/// cut off by a reset, which can take the answer with it (RFC 9112 §9.6).
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

/// When a connection is to finish: the server stops, or it has become old.
async fn end_of(mut stop: watch::Receiver<bool>, age_max: Duration) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = tokio::time::sleep(age_max) => {}
    }
}
