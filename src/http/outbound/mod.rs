//! The client for everything that callgate itself calls: upstreams of rows, and what classes fetch.
//!
//! ```text
//!   send ─▶ idle connection ──────────────────────────────────────▶ request ─▶ head of the answer
//!      └──▶ name ─▶ addresses ─▶ rule ─▶ one of these very addresses ─▶ TLS ──┘
//! ```
//!
//! It follows no redirects, keeps no cookies, and takes no proxy from the environment: a request
//! goes where it says, or nowhere. HTTP/1.1 only, because one request per connection cannot be
//! confused with another.

mod address;
mod connector;
mod error;
mod line;
mod resolve;

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

use crate::http::answer::AnswerBody;
use crate::http::outbound::connector::Connector;
use crate::http::outbound::line::Pulse;

/// The body of a request that is sent: there as a whole, or passed on as it comes.
pub type SentBody = AnswerBody;

/// Connections to one server that are kept for later requests.
const IDLE_MAX: usize = 64;
/// How long they are kept. Servers close theirs after a minute or more; whoever closes first is
/// spared the question whether a request was still read.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of an answer's head, and of what is read ahead.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Fields of an answer's head.
const FIELDS_MAX: usize = 200;
/// How often a request may find that the kept connection it was given is closed.
const ATTEMPTS_MAX: usize = 4;

/// How callgate calls others.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long name, connection and handshake may take together. Default 5 s.
    pub connect_timeout: Duration,
    /// The hosts whose names may lead into a private network, in any case of letters. Default none.
    pub private_hosts: Vec<String>,
    /// What finds the addresses of a name. Default the machine's own.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            private_hosts: Vec::new(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// The client; one for a gate, shared by all who call.
pub struct Outbound {
    client: Client<Connector, SentBody>,
    rule: Arc<AddressRule>,
}

/// A mark among the extensions of a request that must not be sent twice, whatever its method.
#[derive(Debug, Clone, Copy)]
pub struct OnlyOnce;

/// What is left of a request for sending it again.
struct Again {
    method: Method,
    uri: hyper::Uri,
    headers: hyper::HeaderMap,
}

impl Outbound {
    /// A client without connections. Fails only if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, rustls::Error> {
        let rule = Arc::new(AddressRule::new(config.private_hosts));
        let connector = Connector::new(Arc::clone(&rule), config.resolver, config.connect_timeout)?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .http1_max_buf_size(BUFFER_BYTES_MAX)
            .http1_max_headers(FIELDS_MAX)
            .build(connector);
        Ok(Self { client, rule })
    }

    /// Never calls this address from now on: it is a listener of our own, and a request that comes
    /// back in would go round for ever.
    pub fn refuse(&self, own: SocketAddr) {
        self.rule.refuse(own);
    }

    /// Sends a request to the absolute `http` or `https` URI that it has, and waits for the head
    /// of the answer for as long as `within`. The time that the answer's body takes is the
    /// caller's to watch.
    ///
    /// `Host` is made from the URI unless it is there. A future that is dropped takes the request
    /// back: its connection is closed.
    ///
    /// A request goes out a second time if nothing of it was written the first time; or if it is a
    /// `GET` or `HEAD` without a body and not marked [`OnlyOnce`], and a kept connection was closed
    /// before any byte of an answer (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    pub async fn send(
        &self,
        request: Request<SentBody>,
        within: Duration,
    ) -> Result<Response<Incoming>, OutboundError> {
        let sent = tokio::time::timeout(within, self.begin(request)).await;
        sent.unwrap_or(Err(OutboundError::TooSlow))
    }

    /// As [`Outbound::send`], for a caller who watches the time himself.
    pub async fn begin(
        &self,
        mut request: Request<SentBody>,
    ) -> Result<Response<Incoming>, OutboundError> {
        *request.version_mut() = Version::HTTP_11;
        let again = Again::of(&request);
        for _ in 1..ATTEMPTS_MAX {
            match self.client.request(request).await {
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
        Ok(answered(self.client.request(request).await?))
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

/// Whether a request failed on a kept connection that did not say a word about it.
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
