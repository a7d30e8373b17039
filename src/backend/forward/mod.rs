//! Rows that forward: requests are passed on to an upstream, and its answers back
//! (docs/CONTRACT.md §7).
//!
//! ```text
//!   passage ─▶ request: where to, who asks ─▶ outbound ─▶ upstream
//!                                                            │
//!   client ◀── answer: as it comes, or a tunnel ◀────────────┘
//! ```
//!
//! The upstream is a program like any other: what it needs to know of the session stands in the
//! header, and what it says is passed on byte by byte without being kept.

mod answer;
mod fields;
mod request;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use url::Url;

use crate::backend::forward::request::Base;
use crate::flow::capability::Granted;
use crate::http::AnswerBody;
use crate::http::Fault;
use crate::http::Outbound;
use crate::http::OutboundError;
use crate::http::Passing;
use crate::http::Proxy;
use crate::http::ProxyRequest;
use crate::http::Session;
use crate::http::exchange::routes::proxy::Proxies;
use crate::http::message::body::upload::UploadWatch;

/// Passes requests on, to whichever upstream a row names.
pub struct Forward {
    outbound: Arc<Outbound>,
    config: Config,
}

/// How upstreams are treated.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long an answer may pause before it is broken off. Default 60 s.
    pub gap_max: Duration,
    /// How long nothing may pass through a tunnel before it is closed. Default 5 min.
    pub tunnel_idle: Duration,
    /// Whether upstreams get a capability for the session API; only where somebody serves it.
    /// Default no.
    pub grants: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { gap_max: Duration::from_mins(1), tunnel_idle: Duration::from_mins(5), grants: false }
    }
}

/// One upstream, as a row names it.
struct Upstream {
    base: Base,
    outbound: Arc<Outbound>,
    config: Config,
}

impl Forward {
    /// Forwards through this client.
    pub fn new(outbound: Arc<Outbound>, config: Config) -> Self {
        Self { outbound, config }
    }
}

impl Proxies for Forward {
    fn find(&self, upstream: &Url) -> Arc<dyn Proxy> {
        let (base, outbound) = (Base::of(upstream), Arc::clone(&self.outbound));
        Arc::new(Upstream { base, outbound, config: self.config })
    }
}

impl Proxy for Upstream {
    fn pass(&self, passage: ProxyRequest) -> Passing {
        let (within, asked) = (passage.within, passage.upgrade.is_some());
        let watch = passage.body.watch();
        let granted = self.config.grants.then(|| passage.session.capability()).transpose();
        let (outbound, config) = (Arc::clone(&self.outbound), self.config);
        let session = passage.session.clone();
        let request = granted
            .map_err(Fault::internal)
            .and_then(|granted| Ok((self.base.request(passage, granted.as_ref())?, granted)));
        Box::pin(async move {
            let passed = async {
                let (request, granted) = request?;
                let response = send(&outbound, request, &watch, within).await?;
                answer::of(response, Terms { asked, config, granted, session })
            };
            // What the client may have sent behind his wish is no request (RFC 9110 §7.8,
            // docs/SECURITY.md T40).
            passed.await.map_err(|fault| if asked { fault.closing() } else { fault })
        })
    }
}

/// What an answer is passed on under.
struct Terms {
    /// Whether the client asked for a tunnel.
    asked: bool,
    config: Config,
    /// Open for as long as the upstream still has something to say.
    granted: Option<Granted>,
    /// The session under whose right it says that.
    session: Session,
}

/// Sends a request, and waits for the head of the answer for as long as `within` once the request
/// has left: what the client takes to send its body is his own time.
async fn send(
    outbound: &Outbound,
    request: Request<AnswerBody>,
    watch: &UploadWatch,
    within: Duration,
) -> Result<Response<Incoming>, Fault> {
    let answered = tokio::select! {
        answered = outbound.begin(request) => answered,
        () = watch.stands(within) => Err(OutboundError::TooSlow),
    };
    answered.map_err(|error| match (watch.fault(), error) {
        // The client broke off, and the upstream only noticed.
        (Some(fault), _) => fault,
        (None, OutboundError::TooSlow) => Fault::upstream_too_slow(within),
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
