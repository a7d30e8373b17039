//! Why a `fetch` has no answer, in words for the author of a class.
//!
//! Of an address only scheme and host are told: its path and query may hold keys and tokens, and
//! these texts go into the log.

use std::fmt;
use std::time::Duration;

use crate::http::outbound::OutboundError;

/// Why a `fetch` has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// What was given is no absolute address.
    Address,
    /// The address is of another scheme than `http` and `https`.
    Scheme(String),
    /// The setting `fetch_hosts` does not name this host.
    NotAllowed(String),
    /// The method is none that can be sent.
    Method(String),
    /// A request of this method has no body.
    Body(String),
    /// The name or the value of this field cannot be sent; the value itself is not told.
    Header(String),
    /// The field belongs to the connection.
    Reserved(String),
    /// `redirect` is none of its three words.
    RedirectMode(String),
    /// The client could not send it, or has no head of an answer.
    Failed {
        /// Scheme, host and port.
        origin: String,
        /// What happened.
        error: OutboundError,
    },
    /// The answer broke off.
    Torn {
        /// Scheme, host and port.
        origin: String,
        /// What happened.
        error: Box<hyper::Error>,
    },
    /// The answer was not here in time.
    TooSlow {
        /// Scheme, host and port.
        origin: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The body of the answer is larger than the settings allow.
    TooLarge {
        /// Scheme, host and port.
        origin: String,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The answer is a redirection, which the class did not want.
    Redirected(String),
    /// The answer redirects to something that is no address.
    BadRedirect(String),
    /// One redirection led to the next, too often.
    TooManyRedirects(String),
}

impl FetchError {
    /// A stable word for a class to look at.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Address | Self::Scheme(_) => "badAddress",
            Self::Method(_)
            | Self::Body(_)
            | Self::Header(_)
            | Self::Reserved(_)
            | Self::RedirectMode(_) => "badRequest",
            Self::NotAllowed(_) | Self::Failed { error: OutboundError::Refused(_), .. } => {
                "notAllowed"
            }
            Self::Failed { error: OutboundError::Unreachable(_), .. } => "unreachable",
            Self::Failed { error: OutboundError::TooSlow, .. } | Self::TooSlow { .. } => "tooSlow",
            Self::Failed { .. } | Self::Torn { .. } => "broken",
            Self::TooLarge { .. } => "tooLarge",
            Self::Redirected(_) | Self::BadRedirect(_) | Self::TooManyRedirects(_) => "redirected",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("fetch wants an absolute address, https://…"),
            Self::Scheme(scheme) => write!(f, "fetch speaks http and https, not {scheme:?}"),
            Self::NotAllowed(host) => write!(
                f,
                "fetch may not ask {host:?}; the setting fetch_hosts names the hosts it may, such \
                 as fetch_hosts = [{host:?}]"
            ),
            Self::Method(method) => write!(f, "fetch cannot send the method {method:?}"),
            Self::Body(method) => write!(f, "fetch sends no body with {method}"),
            Self::Header(name) => {
                write!(f, "fetch cannot send the header {name:?}; its value must be visible ASCII")
            }
            Self::Reserved(name) => {
                write!(f, "fetch sets the header {name:?} itself; leave it out")
            }
            Self::RedirectMode(word) => {
                write!(f, "fetch redirect is {word:?}; use \"follow\", \"manual\" or \"error\"")
            }
            Self::Failed { origin, error } => write!(f, "fetch from {origin}: {error}"),
            Self::Torn { origin, error } => {
                write!(f, "fetch from {origin}: the answer broke off: {error}")
            }
            Self::TooSlow { origin, timeout } => {
                write!(f, "fetch from {origin}: no answer within {} ms", timeout.as_millis())
            }
            Self::TooLarge { origin, bytes_max } => write!(
                f,
                "fetch from {origin}: the answer has more than {bytes_max} bytes \
                 (scripts.fetch_bytes)"
            ),
            Self::Redirected(origin) => write!(f, "fetch from {origin}: it redirects elsewhere"),
            Self::BadRedirect(origin) => {
                write!(f, "fetch from {origin}: it redirects to something that is no address")
            }
            Self::TooManyRedirects(origin) => {
                write!(f, "fetch from {origin}: one redirection after the other")
            }
        }
    }
}

impl std::error::Error for FetchError {}
