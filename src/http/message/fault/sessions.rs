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
