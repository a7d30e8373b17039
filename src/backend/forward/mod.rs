//! Forward rows: requests are sent to an upstream and its responses to the client (docs/CONTRACT.md
//! §7).
//!
//! ```text
//!   proxy request ─▶ request: target, identity headers ─▶ outbound ─▶ upstream
//!                                                                       │
//!   client ◀── response: streamed, or a tunnel ◀────────────────────────┘
//! ```
//!
//! An upstream is an ordinary HTTP server. Header fields describe the session to it. Its response
//! body is streamed to the client without being buffered.

mod fields;
mod request;
mod response;

use std::{fmt, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming};
use url::Url;

use crate::backend::forward::request::Base;
use crate::base::setting::{Seconds, settings};
use crate::flow::mint::capability::Granted;
use crate::http::exchange::routes::proxy::Proxies;
use crate::http::message::body::upload::UploadWatch;
use crate::http::{
    Fault, Outbound, OutboundError, Proxy, ProxyFuture, ProxyRequest, ResponseBody, Session,
};

const HOUR_SECS: u64 = 3600;
const DAY_SECS: u64 = 24 * HOUR_SECS;

/// Forwards requests to the upstream that a row names.
pub struct Forward {
    outbound: Arc<Outbound>,
    config: Config,
    grants: bool,
}

settings! {
    /// Bounds of the responses of upstreams.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Config {
        /// Seconds that the response of an upstream may pause before it is broken off.
        upstream_gap as "upstream_gap_secs": Duration as Seconds = 60, in 1..=HOUR_SECS;
        /// Seconds that a WebSocket may pass nothing in either direction before it is closed.
        tunnel_idle as "tunnel_idle_secs": Duration as Seconds = 300, in 1..=DAY_SECS;
    }
}

/// The upstream of a row.
struct Upstream {
    base: Base,
    outbound: Arc<Outbound>,
    config: Config,
    grants: bool,
}

impl Forward {
    /// Creates a forwarder that uses this client. `grants` is whether upstreams get a capability
    /// for the session API, which is only useful where that API is served.
    pub fn new(outbound: Arc<Outbound>, config: Config, grants: bool) -> Self {
        Self { outbound, config, grants }
    }
}

impl Proxies for Forward {
    fn find(&self, upstream: &Url) -> Arc<dyn Proxy> {
        let (base, outbound) = (Base::of(upstream), Arc::clone(&self.outbound));
        Arc::new(Upstream { base, outbound, config: self.config, grants: self.grants })
    }
}

impl Proxy for Upstream {
    fn pass(&self, proxied: ProxyRequest) -> ProxyFuture {
        let (timeout, upgrade_requested) = (proxied.timeout, proxied.upgrade.is_some());
        let watch = proxied.body.watch();
        let grants = self.grants && !proxied.session.is_off();
        let granted = grants.then(|| proxied.session.capability()).transpose();
        let (outbound, config) = (Arc::clone(&self.outbound), self.config);
        let session = proxied.session.clone();
        let request = granted
            .map_err(Fault::internal)
            .and_then(|granted| Ok((self.base.request(proxied, granted.as_ref())?, granted)));
        Box::pin(async move {
            let passed = async {
                let (request, granted) = request?;
                let response = send(&outbound, request, &watch, timeout).await?;
                response::for_client(
                    response,
                    ResponseContext { upgrade_requested, config, granted, session },
                )
            };
            // Bytes that the client sent after its upgrade request are not a request (RFC 9110
            // §7.8; docs/SECURITY.md, T40).
            passed.await.map_err(|fault| if upgrade_requested { fault.closing() } else { fault })
        })
    }
}

/// What the response of an upstream depends on.
struct ResponseContext {
    /// Whether the client asked for an upgrade to a tunnel.
    upgrade_requested: bool,
    config: Config,
    /// The capability of the upstream, valid until the response is complete.
    granted: Option<Granted>,
    /// The session on whose behalf the upstream responds.
    session: Session,
}

/// Sends a request and waits for the response head. The timeout starts when the request
/// body has been sent, because the client determines how long that takes.
async fn send(
    outbound: &Outbound,
    request: Request<ResponseBody>,
    watch: &UploadWatch,
    timeout: Duration,
) -> Result<Response<Incoming>, Fault> {
    let answered = tokio::select! {
        answered = outbound.begin(request) => answered,
        () = watch.stands(timeout) => Err(OutboundError::TooSlow),
    };
    answered.map_err(|error| match (watch.fault(), error) {
        // The client disconnected, which the upstream connection reports as an error.
        (Some(fault), _) => fault,
        (None, OutboundError::TooSlow) => Fault::upstream_too_slow(timeout),
        (None, error @ (OutboundError::Refused(_) | OutboundError::Unreachable(_))) => {
            Fault::upstream_unreached(error)
        }
        (None, error) => Fault::upstream_down(error),
    })
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("config", &self.config).finish_non_exhaustive()
    }
}
