//! Rows that forward: requests are passed on to an upstream, and its answers back (contract §7).
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
use crate::http::AnswerBody;
use crate::http::Fault;
use crate::http::Outbound;
use crate::http::OutboundError;
use crate::http::Passage;
use crate::http::Passing;
use crate::http::Relay;
use crate::http::relay::Relays;
use crate::http::upload::UploadWatch;

/// Passes requests on, to whichever upstream a row names.
pub struct Forward {
    outbound: Arc<Outbound>,
    /// How long an answer may pause.
    gap_max: Duration,
    /// How long a tunnel may be silent.
    tunnel_idle: Duration,
}

/// One upstream, as a row names it.
struct Upstream {
    base: Base,
    outbound: Arc<Outbound>,
    gap_max: Duration,
    tunnel_idle: Duration,
}

impl Forward {
    /// Forwards through this client. An answer that pauses for longer than `gap_max` is broken
    /// off; a tunnel through which nothing passes for `tunnel_idle` is closed.
    pub fn new(outbound: Arc<Outbound>, gap_max: Duration, tunnel_idle: Duration) -> Self {
        Self { outbound, gap_max, tunnel_idle }
    }
}

impl Relays for Forward {
    fn find(&self, upstream: &Url) -> Arc<dyn Relay> {
        Arc::new(Upstream {
            base: Base::of(upstream),
            outbound: Arc::clone(&self.outbound),
            gap_max: self.gap_max,
            tunnel_idle: self.tunnel_idle,
        })
    }
}

impl Relay for Upstream {
    fn pass(&self, passage: Passage) -> Passing {
        let (within, asked) = (passage.within, passage.upgrade.is_some());
        let watch = passage.body.watch();
        let request = self.base.request(passage);
        let outbound = Arc::clone(&self.outbound);
        let (gap_max, tunnel_idle) = (self.gap_max, self.tunnel_idle);
        Box::pin(async move {
            let response = send(&outbound, request?, &watch, within).await?;
            answer::of(response, asked.then_some(tunnel_idle), gap_max)
        })
    }
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
        (None, OutboundError::TooSlow) => Fault::upstream_too_slow(),
        (None, error) => Fault::upstream_down(error),
    })
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("gap_max", &self.gap_max).finish_non_exhaustive()
    }
}
