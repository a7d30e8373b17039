//! The life of one request: an `Exchange` passes through named phases. Each does one thing, and
//! each can end the story with a response.
//!
//! | phase | what it does | ends early with | where |
//! |---|---|---|---|
//! | admit | host, framing, proxies, rates, CORS | a refusal, a preflight | `route`, `edge` |
//! | route | the canonical path, its row and handler | 404, 405, `OPTIONS` | `route` |
//! | receive | the body within its limits, or a stream to pass on | 413, a redirection to this site | `receive` |
//! | open | the session of the cookie, or a guest | 400, 440, the page that asks, 503 | `session` |
//! | redeem | room in the handler, then the token of the request | the page that asks, a replayed response, 503 | `session`, `replay` |
//! | authorize | `requires`, `roles.json`, `onRefused`, `strip` | 401, 403, a redirection | `session`, `sign_in` |
//! | handle | native, script, forward | an error of the handler | `handle` |
//! | settle | what the handler wrote is kept | 409, 503 | `flow::session` |
//! | conclude | the response is kept for repeats, the cookies are chosen | 409, 503 | `respond`, `replay` |
//! | respond | the headers of every response, the access log | | `respond`, `response_policy` |
//!
//! The first three run in the task of the connection. The rest becomes a task of its own as soon as
//! it has to wait, so that a client that hangs up cannot cut a handler short.

pub(crate) mod access_log;
pub(crate) mod catch_panic;
pub mod dispatch;
mod handle;
mod receive;
mod replay;
pub(crate) mod respond;
mod route;
pub mod routes;
mod session;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::http::request::Parts as Head;
use tokio::task::JoinHandle;

use crate::base::ClaimId;
use crate::base::RequestId;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::clock::Stopwatch;
use crate::base::text::masked::masked;
use crate::base::text::query::Query;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::ShownConsent;
use crate::flow::waiters::CallbackWaiter;
use crate::http::edge::admission::ClientAddress;
use crate::http::exchange::respond::response_policy::ResponsePolicy;
use crate::http::exchange::routes::handler::CallPermit;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::upload::Upload;
use crate::http::message::fault::Fault;
use crate::http::message::token_place::Brought;
use crate::table::CanonicalPath;
use crate::token::Outcome;
use crate::token::TokenSecret;

/// Longest path that is logged; a longer one is cut.
const LOGGED_PATH_BYTES_MAX: usize = 256;

/// One request, from its head to its response.
///
/// It is owned outside the future that catches panics, so that what the phases have found out is
/// still there when a handler panics.
pub(crate) struct Exchange {
    /// The name of the request in logs and in `X-Request-Id`.
    pub(crate) id: RequestId,
    started: Stopwatch,
    /// When the head had arrived.
    now: Timestamp,
    client: ClientAddress,
    /// The method and path that the client sent, for the access log: a form of callgate's own may
    /// stand for another request.
    method: Method,
    logged_path: String,

    head: Head,
    /// The body as it arrives; empty once it has been received.
    arriving: RequestBody,
    path: CanonicalPath,
    query: Query,
    /// The number of the row in the table.
    row: Option<usize>,
    /// What handles the row: `Class.method`, or the base URL of its upstream.
    target: Option<Arc<str>>,
    /// The body as far as it was read, decoded where it was compressed for the transfer.
    body: Bytes,
    /// The body as it was sent, where that differs.
    sent: Option<Bytes>,
    /// The body of a row that forwards, where it is passed on unread.
    upload: Option<Upload>,
    /// What stands in the places where a token may stand.
    brought: Brought,
    /// What it shows about consent to redeem the token.
    consent: ShownConsent,
    /// The cookies that the browser showed later, for a request that was kept because it came
    /// without them; `None` for any other request.
    shown: Option<HeaderMap>,

    /// Whether a fresh credential is also given in the cookie that clients of `/rest` look for.
    gives_rest_cookie: bool,

    /// The room that its handler has for it, where that was reserved before the redemption.
    permit: Option<CallPermit>,
    /// Set once the session is open.
    session: Option<Session>,
    /// What became of the token.
    outcome: Outcome,
    /// The run of a callback whose response is kept for its repeats.
    first: Option<FirstRun>,
    /// What was found out about a repeat, for the access log.
    repeat: Option<&'static str>,
    /// Whether the handler was called: from then on it is unknown what it has done.
    handler_called: bool,

    policy: ResponsePolicy,
}

/// The run of a callback that this request holds.
///
/// If it is dropped without being concluded, the run counts as cut off once its lease is over.
#[derive(Debug)]
pub(crate) struct FirstRun {
    secret: TokenSecret,
    claim: ClaimId,
    /// The session that the token opened.
    session: SessionId,
    waiter: CallbackWaiter,
    /// Renews the lease until this is dropped.
    renewal: JoinHandle<()>,
    /// How long the whole response may take to arrive.
    timeout: Duration,
}

/// Why the phases end before the last one.
pub(crate) enum EarlyEnd {
    /// This is the response.
    Respond(Box<Response<ResponseBody>>),
    Fail(Fault),
}

/// What a phase returns that can end the story.
pub(crate) type PhaseResult<T> = Result<T, EarlyEnd>;

impl Exchange {
    fn begin(
        id: RequestId,
        request: Request<RequestBody>,
        now: Timestamp,
        development: bool,
    ) -> Self {
        let (head, arriving) = request.into_parts();
        Self {
            id,
            started: Stopwatch::start(),
            now,
            client: ClientAddress::default(),
            method: head.method.clone(),
            logged_path: masked(head.uri.path(), LOGGED_PATH_BYTES_MAX).into_owned(),
            policy: ResponsePolicy::of(&head, development),
            consent: ShownConsent::of(head.method.as_str()),
            head,
            arriving,
            path: CanonicalPath::root(),
            query: Query::default(),
            row: None,
            target: None,
            body: Bytes::new(),
            sent: None,
            upload: None,
            brought: Brought::Nothing,
            shown: None,
            gives_rest_cookie: false,
            permit: None,
            session: None,
            outcome: Outcome::Absent,
            first: None,
            repeat: None,
            handler_called: false,
        }
    }

    /// The body as it was sent.
    fn body_as_sent(&self) -> &Bytes {
        self.sent.as_ref().unwrap_or(&self.body)
    }
}

impl EarlyEnd {
    fn respond(response: Response<ResponseBody>) -> Self {
        Self::Respond(Box::new(response))
    }

    fn into_result(self) -> Result<Response<ResponseBody>, Fault> {
        match self {
            Self::Respond(response) => Ok(*response),
            Self::Fail(fault) => Err(fault),
        }
    }
}

impl From<Fault> for EarlyEnd {
    fn from(fault: Fault) -> Self {
        Self::Fail(fault)
    }
}

impl From<SessionError> for EarlyEnd {
    fn from(error: SessionError) -> Self {
        Self::Fail(error.into())
    }
}

impl Drop for FirstRun {
    fn drop(&mut self) {
        self.renewal.abort();
        self.waiter.notify();
    }
}
