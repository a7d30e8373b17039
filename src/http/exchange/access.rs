//! One line in the log for each request, without a query and without secrets.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::Method;
use hyper::StatusCode;

use crate::base::RequestId;
use crate::base::SessionId;
use crate::base::clock::Stopwatch;
use crate::base::masked::masked;
use crate::http::message::fault::Fault;
use crate::token::Outcome;

/// Longest path that is logged; a longer one is cut.
const PATH_BYTES_MAX: usize = 256;
/// Longest text of a failure that is logged; a longer one is cut.
const CAUSE_BYTES_MAX: usize = 1024;

/// What is known of a request once it has been answered.
#[derive(Debug)]
pub(crate) struct AccessLine {
    pub(crate) id: RequestId,
    started: Stopwatch,
    method: Method,
    path: String,
    pub(crate) client: Option<IpAddr>,
    pub(crate) row: Option<usize>,
    /// What answers the row: `Class.method`, or the base URL of its upstream.
    pub(crate) target: Option<Arc<str>>,
    /// The peer, if it speaks for others without being trusted to.
    pub(crate) untrusted_proxy: Option<IpAddr>,
    pub(crate) session: Option<SessionId>,
    pub(crate) otp: Outcome,
    /// What a repeat of a callback was told, if it was one.
    pub(crate) repeat: Option<&'static str>,
}

impl AccessLine {
    pub(crate) fn start(id: RequestId, method: &Method, path: &str) -> Self {
        Self {
            id,
            started: Stopwatch::start(),
            method: method.clone(),
            path: masked(path, PATH_BYTES_MAX).into_owned(),
            client: None,
            row: None,
            target: None,
            untrusted_proxy: None,
            session: None,
            otp: Outcome::Absent,
            repeat: None,
        }
    }

    /// Writes the line. A fault on our side is an error; one of the caller's, such as going over a
    /// limit, is not, whatever its status.
    pub(crate) fn finish(&self, status: StatusCode, fault: Option<&Fault>) {
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let ms = (ms * 1000.0).round() / 1000.0;
        let session = self.session.map(tracing::field::display);
        let code = fault.map(Fault::code);
        // A handler may have quoted the address that brought it a token.
        let cause = fault.and_then(Fault::inside);
        let cause = cause.as_deref().map(|cause| masked(cause, CAUSE_BYTES_MAX));
        let cause = cause.as_deref();
        // A method may be any word.
        let method = &*masked(self.method.as_str(), PATH_BYTES_MAX);
        let (id, path, row, target) = (self.id, &self.path, self.row, self.target.as_deref());
        let client = self.client.map(tracing::field::display);
        let (status, otp, repeat) = (status.as_u16(), self.otp.name(), self.repeat);
        let is_error = status >= 500 && !fault.is_some_and(Fault::is_over_a_limit);
        if is_error {
            tracing::error!(target: "callgate::access", %id, client, method, path, status, ms, row, handler = target, session, otp, repeat, code, cause, "request");
        } else {
            tracing::info!(target: "callgate::access", %id, client, method, path, status, ms, row, handler = target, session, otp, repeat, code, cause, "request");
        }
    }
}
