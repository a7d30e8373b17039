//! What an upstream did not do, as answers.

use std::error::Error as StdError;
use std::time::Duration;

use hyper::StatusCode;

use crate::http::message::fault::Fault;

impl Fault {
    /// The upstream of the row cannot be reached, or broke off before it answered
    /// (RFC 9110 §15.6.3).
    pub fn upstream_down(cause: impl StdError + Send + Sync + 'static) -> Self {
        let text = "What answers this address cannot be reached.";
        Self::new(StatusCode::BAD_GATEWAY, "upstream_down", text).because(cause)
    }

    /// There was no connection to the upstream of the row, so that nothing was sent to it. A client
    /// is told the same as by [`Fault::upstream_down`].
    pub(crate) fn upstream_unreached(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self { unheard: true, ..Self::upstream_down(cause) }
    }

    /// The upstream of the row did not begin its answer in time (RFC 9110 §15.6.5).
    pub fn upstream_too_slow(within: Duration) -> Self {
        let text = "What answers this address did not answer in time.";
        let why = format!(
            "the upstream did not begin its response within {} ms; limits.timeoutMs of the row, or \
             the setting limits.handler_secs, gives it more",
            within.as_millis()
        );
        let fault = Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_too_slow", text);
        fault.because(std::io::Error::other(why))
    }
}
