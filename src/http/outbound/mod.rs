//! The client for every outbound request: to the upstreams of rows, and for the `fetch` of classes.
//!
//! ```text
//!   send ─▶ idle connection ────────────────────────────────────▶ request ─▶ head of the response
//!      └──▶ name ─▶ addresses ─▶ rule ─▶ one of these addresses ─▶ TLS ──┘
//! ```
//!
//! It follows no redirects, keeps no cookies, and uses no proxy from the environment: a request is
//! sent to its own URI or not at all. HTTP/1.1 only, because one request per connection cannot be
//! confused with another.

mod address;
mod connector;
mod error;
mod line;
mod resolve;
pub mod tunnel;

pub use address::AddressRule;
pub use error::OutboundError;
pub use resolve::Resolve;
pub use resolve::Resolving;
pub use resolve::SystemResolver;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::Version;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::Error as ClientError;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;

use crate::base::setting::Seconds;
use crate::base::setting::settings;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::outbound::connector::Connector;
use crate::http::outbound::line::Pulse;

/// The body of an outbound request: complete, or streamed.
pub type SentBody = ResponseBody;

/// Connections to one server that are kept for later requests.
const IDLE_MAX: usize = 64;
/// How long they are kept. Servers close theirs after a minute or more. The side that closes first
/// never has to find out whether a last request was still read.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a response's head, and of what is read ahead.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Fields of a response's head.
const FIELDS_MAX: usize = 200;
/// Attempts of a request whose kept connection turns out to be closed.
const ATTEMPTS_MAX: usize = 4;

settings! {
    /// Bounds of outbound calls.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Config {
        /// Seconds that a connection to an upstream may take to be made, name and handshake
        /// included.
        connect as "connect_secs": Duration as Seconds = 5, in 1..=60;
    }
}

/// The client; one for a gate, shared by all its callers.
pub struct Outbound {
    client: Client<Connector, SentBody>,
    /// The same client without kept connections, for requests that are sent once.
    fresh: Client<Connector, SentBody>,
    rule: Arc<AddressRule>,
}

/// An extension of a request that must not be sent twice, whatever its method. It gets a
/// connection of its own, because the server may close a kept one just as it is used, and then it
/// is unknown whether the request was read.
#[derive(Debug, Clone, Copy)]
pub struct OnlyOnce;

/// The parts of a request that are needed to send it again.
struct Again {
    method: Method,
    uri: hyper::Uri,
    headers: hyper::HeaderMap,
}

impl Outbound {
    /// A client without connections. The names of `private_hosts` may resolve to a private
    /// network. Fails only if TLS cannot be set up.
    pub fn new(config: Config, private_hosts: Vec<String>) -> Result<Self, rustls::Error> {
        Self::with_resolver(config, private_hosts, Arc::new(SystemResolver))
    }

    /// The same, with another resolver than that of the machine.
    pub fn with_resolver(
        config: Config,
        private_hosts: Vec<String>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, rustls::Error> {
        let rule = Arc::new(AddressRule::new(private_hosts));
        let connector = Connector::new(Arc::clone(&rule), resolver, config.connect)?;
        let client = |idle_max| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle_max)
                .http1_max_buf_size(BUFFER_BYTES_MAX)
                .http1_max_headers(FIELDS_MAX)
                .build(connector.clone())
        };
        Ok(Self { client: client(IDLE_MAX), fresh: client(0), rule })
    }

    /// Refuses this address from now on: it is a listener of this process, and a request to it
    /// would loop.
    pub fn refuse(&self, own: SocketAddr) {
        self.rule.refuse(own);
    }

    /// Sends a request to its absolute `http` or `https` URI, and waits for the head of the
    /// response for at most `within`. A timeout of the response's body is up to the caller.
    ///
    /// `Host` is derived from the URI unless it is set. Dropping the future cancels the request by
    /// closing its connection.
    ///
    /// A request is sent a second time if nothing of it was written the first time. It is also
    /// sent again if it is a `GET` or `HEAD` without a body, not marked [`OnlyOnce`], and a kept
    /// connection was closed before any byte of a response (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    #[cfg(any(test, feature = "testing"))]
    pub async fn send(
        &self,
        request: Request<SentBody>,
        within: Duration,
    ) -> Result<Response<Incoming>, OutboundError> {
        let sent = tokio::time::timeout(within, self.begin(request)).await;
        sent.unwrap_or(Err(OutboundError::TooSlow))
    }

    /// As [`Outbound::send`], for a caller that has its own timeout.
    pub async fn begin(
        &self,
        mut request: Request<SentBody>,
    ) -> Result<Response<Incoming>, OutboundError> {
        *request.version_mut() = Version::HTTP_11;
        let once = request.extensions().get::<OnlyOnce>().is_some();
        let client = if once { &self.fresh } else { &self.client };
        let again = Again::of(&request);
        for _ in 1..ATTEMPTS_MAX {
            match client.request(request).await {
                Ok(response) => return Ok(answered(response)),
                Err(error) => {
                    request = again
                        .as_ref()
                        .filter(|_| went_unheard(&error))
                        .map(Again::request)
                        .ok_or_else(|| OutboundError::from(error))?;
                }
            }
        }
        Ok(answered(client.request(request).await?))
    }
}

impl Again {
    /// What may be sent again.
    fn of(request: &Request<SentBody>) -> Option<Self> {
        let harmless = matches!(*request.method(), Method::GET | Method::HEAD);
        let whole = request.body().is_end_stream();
        let once = request.extensions().get::<OnlyOnce>().is_some();
        (harmless && whole && !once).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    fn request(&self) -> Request<SentBody> {
        let mut request = Request::new(SentBody::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn answered(response: Response<Incoming>) -> Response<Incoming> {
    if let Some(pulse) = response.extensions().get::<Pulse>() {
        pulse.answered();
    }
    response
}

/// Whether a request failed on a kept connection before any byte of a response.
fn went_unheard(error: &ClientError) -> bool {
    let mut found = hyper::http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut found);
    }
    found.get::<Pulse>().is_some_and(Pulse::is_kept_and_silent)
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("rule", &self.rule).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// A name server that returns a different result each time, and counts its calls.
    #[derive(Debug)]
    struct Stub(Mutex<Vec<Vec<SocketAddr>>>);

    impl Resolve for Stub {
        fn resolve<'r>(&'r self, _: &'r str, _: u16) -> Resolving<'r> {
            Box::pin(async move { Ok(self.0.lock().unwrap().remove(0)) })
        }
    }

    fn outbound(answers: Vec<Vec<SocketAddr>>, private_hosts: &[&str]) -> (Outbound, Arc<Stub>) {
        let stub = Arc::new(Stub(Mutex::new(answers)));
        let private_hosts = private_hosts.iter().map(ToString::to_string).collect();
        let resolver = Arc::clone(&stub) as Arc<dyn Resolve>;
        (Outbound::with_resolver(Config::default(), private_hosts, resolver).unwrap(), stub)
    }

    fn get(uri: &str) -> Request<SentBody> {
        Request::get(uri).body(SentBody::empty()).unwrap()
    }

    /// A listener that responds to one request, then closes. Returns how many bytes it received.
    async fn listener() -> (SocketAddr, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 1024];
            let count = stream.read(&mut read).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            count
        });
        (address, serving)
    }

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_and_nothing_is_sent() {
        let (home, serving) = listener().await;
        let (outbound, _) = outbound(vec![vec![home]], &[]);
        let uri = format!("http://rebind.example:{}/", home.port());
        let refused = outbound.send(get(&uri), SOON).await.unwrap_err();
        assert!(matches!(&refused, OutboundError::Refused(why) if why.contains("private_hosts")));
        assert!(!refused.to_string().contains("127.0.0.1"), "{refused}");
        assert!(!serving.is_finished());
        serving.abort();
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_and_what_was_checked_is_what_is_called() {
        let (home, serving) = listener().await;
        let elsewhere = SocketAddr::new([203, 0, 113, 1].into(), 1);
        let (outbound, stub) = outbound(vec![vec![home], vec![elsewhere]], &["app.internal"]);
        let uri = format!("http://app.internal:{}/", home.port());
        let answer = outbound.send(get(&uri), SOON).await.unwrap();
        assert_eq!((answer.status().as_u16(), stub.0.lock().unwrap().len()), (204, 1));
        assert!(serving.await.unwrap() > 0);
    }

    #[tokio::test]
    async fn who_was_public_at_first_is_refused_once_he_points_home() {
        let (home, serving) = listener().await;
        let public = SocketAddr::new([9, 9, 9, 9].into(), 9);
        let stub = Arc::new(Stub(Mutex::new(vec![vec![public], vec![home]])));
        let rule = Arc::new(AddressRule::default());
        let reach = connector::CheckedConnector { rule, resolver: stub, patience: SOON };
        assert_eq!(reach.addresses("rebind.example", 9).await.unwrap(), [public]);
        assert!(reach.addresses("rebind.example", 9).await.is_err());
        assert!(!serving.is_finished());
        serving.abort();
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_name() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (outbound, _) = outbound(vec![Vec::new()], &[]);
        let failed = async |uri: &str| outbound.send(get(uri), SOON).await.unwrap_err();
        let closed = failed(&format!("http://{gone}/")).await;
        assert!(matches!(closed, OutboundError::Unreachable(_)), "{closed}");
        let nowhere = failed("http://nowhere.example/").await;
        assert!(matches!(nowhere, OutboundError::Unreachable(_)), "{nowhere}");
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", silent.local_addr().unwrap());
        let slow = outbound.send(get(&uri), Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(slow, OutboundError::TooSlow), "{slow}");
        let dead = get(&format!("https://{}/", silent.local_addr().unwrap()));
        let short = Config { connect: Duration::from_millis(50) };
        let hasty = Outbound::new(short, Vec::new()).unwrap();
        let unshaken = hasty.send(dead, SOON).await.unwrap_err();
        assert!(matches!(unshaken, OutboundError::Unreachable(_)), "{unshaken}");
    }
}
