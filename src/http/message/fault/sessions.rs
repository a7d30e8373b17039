//! Errors of a session, as responses.

use hyper::StatusCode;

use crate::flow::session::SessionError;
use crate::http::message::fault::Fault;
use crate::token::MintRefused;

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::TooOften(wait) => Self::rate_limited(wait),
            SessionError::TooManyGuests(wait) => Self::too_many_guests(wait),
            SessionError::Replaced => Self::session_replaced(),
            SessionError::ContextMayNotGain => Self::context_may_not_gain(),
            SessionError::Mint(refused @ MintRefused::NoEntropy) => Self::internal(refused),
            error => Self::raised(error.to_string()),
        }
    }
}

impl Fault {
    /// The `x-session-id` of a request to `callgate.Accounts` opens no session (any more).
    pub(crate) fn session_not_found() -> Self {
        // Login Time-out, which clients of this facade know by its number
        // (github.com/pip-services/pip-services-docs).
        let status = StatusCode::from_u16(440).unwrap_or(StatusCode::UNAUTHORIZED);
        Self::new(status, "session_not_found", "Session invalid or already expired.")
    }

    /// The right of the request to its session has ended. A retry comes with the newer cookie, if
    /// the browser has been given one.
    pub(crate) fn session_replaced() -> Self {
        let text = "The session has been signed in to or taken over since this began. Try again.";
        let fault = Self::new(StatusCode::CONFLICT, "sessionReplaced", text);
        Self { retry_after: Some(0), ..fault }
    }

    /// The request is in a `context` that `auto` chose, where nothing can be gained.
    pub(crate) fn context_may_not_gain() -> Self {
        let text = "Open this link in a browser.";
        Self::new(StatusCode::FORBIDDEN, "contextMayNotGain", text)
    }
}
