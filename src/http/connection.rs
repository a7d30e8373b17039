//! One connection: what it speaks, how long it may take for what, and how it ends.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
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
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http::arrival::Arrival;
use crate::http::server::Config;
use crate::http::server::Service;
use crate::http::server::stopped;
use crate::http::sniff::Protocol;
use crate::http::sniff::Sniffed;
use crate::http::sniff::sniff;
use crate::http::stall::Unstalled;

/// Bytes that HTTP/1.1 reads ahead at most.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2 streams that a peer may reset before it is sent away (SEC D.2, rapid reset).
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
/// How long a connection that never asked for anything may still take to end.
const PARTING: Duration = Duration::from_secs(1);

/// The other end of a connection.
struct Client {
    stream: Unstalled<Sniffed<TcpStream>>,
    arrival: Arrival,
}

/// Answers the requests of one connection and counts them.
struct Desk<S> {
    service: Arc<S>,
    arrival: Arrival,
    /// Requests that have begun.
    begun: AtomicU64,
}

impl<S: Service> Desk<S> {
    fn new(service: Arc<S>, arrival: Arrival) -> Arc<Self> {
        Arc::new(Self { service, arrival, begun: AtomicU64::new(0) })
    }

    /// Answers a request, and says which one of the connection it was, from 1.
    async fn answer(&self, request: Request<Incoming>) -> (Response<Full<Bytes>>, u64) {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        (Arc::clone(&self.service).answer(request, self.arrival).await, number)
    }

    fn is_new(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }
}

/// Serves one connection from its first byte to its end.
pub(super) async fn connection<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    service: Arc<S>,
    config: &Config,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and complete: there is nothing to wait for before they are sent.
    let _ = stream.set_nodelay(true);
    // A client that is gone already needs no answer.
    let Ok(local) = stream.local_addr() else { return };
    let arrival = Arrival { peer, local, tls: false };
    let first = tokio::select! {
        biased;
        () = stopped(&mut stop) => return,
        first = tokio::time::timeout(config.first_byte_timeout, sniff(stream)) => first,
    };
    // Anything else is silent, gone, or neither protocol: nothing that could be answered.
    if let Ok(Ok((protocol, stream))) = first {
        let client = Client { stream: Unstalled::new(stream, config.write_stall_timeout), arrival };
        match protocol {
            Protocol::Http1 => http1(client, service, config, stop).await,
            Protocol::Http2 => http2(client, service, config, stop).await,
        }
    }
}

async fn http1<S: Service>(
    client: Client,
    service: Arc<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) {
    let desk = Desk::new(service, client.arrival);
    let (answering, requests_max) = (Arc::clone(&desk), config.requests_max);
    let answer = service_fn(move |request| {
        let desk = Arc::clone(&answering);
        async move {
            let (mut response, number) = desk.answer(request).await;
            if number >= requests_max {
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
    attend(builder.serve_connection(TokioIo::new(client.stream), answer), &desk, config, stop)
        .await;
}

async fn http2<S: Service>(
    client: Client,
    service: Arc<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) {
    let desk = Desk::new(service, client.arrival);
    let answering = Arc::clone(&desk);
    let answer = service_fn(move |request| {
        let desk = Arc::clone(&answering);
        async move {
            let (mut response, _) = desk.answer(request).await;
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
        .max_header_list_size(u32::try_from(config.header_bytes_max / 2).unwrap_or(16 * 1024))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_PAUSE)
        .keep_alive_timeout(PING_PATIENCE);
    attend(builder.serve_connection(TokioIo::new(client.stream), answer), &desk, config, stop)
        .await;
}

/// Lets a connection live until it ends, is old, asks for nothing, or the server stops; then lets
/// it finish what it has begun.
///
/// Every wait has an end: hyper's own do not all have one, such as that for the first frame of an
/// HTTP/2 peer.
async fn attend<S: Service>(
    connection: impl GracefulConnection<Error = hyper::Error>,
    desk: &Desk<S>,
    config: &Config,
    stop: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = end_of(stop, config.age_max) => None,
        () = silence(desk, config.header_timeout) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        let patience = if desk.is_new() { PARTING } else { config.drain_timeout };
        tokio::time::timeout(patience, connection).await.unwrap_or(Ok(()))
    };
    // Clients hang up and send nonsense all the time; that is worth a look only when debugging.
    if let Err(error) = ended {
        tracing::debug!(event = "server.connection_ended", %error);
    }
}

/// When a connection is to finish: the server stops, or it has become old.
async fn end_of(mut stop: watch::Receiver<bool>, age_max: Duration) {
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = tokio::time::sleep(age_max) => {}
    }
}

/// When a connection has asked for nothing for as long as the header of a request may take.
async fn silence<S: Service>(desk: &Desk<S>, patience: Duration) {
    tokio::time::sleep(patience).await;
    if !desk.is_new() {
        pending::<()>().await;
    }
}
