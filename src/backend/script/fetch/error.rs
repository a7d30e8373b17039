//! Errors of `fetch`, in words for the author of a class.
//!
//! Only the scheme and host of a URL are shown. Its path and query may contain keys and tokens, and
//! these texts are logged.

use std::{fmt, time::Duration};

use crate::http::outbound::OutboundError;

/// Why a `fetch` failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchError {
    /// The argument is not an absolute URL.
    Address,
    /// The URL has a scheme other than `http` and `https`.
    Scheme(String),
    /// The setting `fetch_hosts` does not list this host.
    NotAllowed(String),
    /// The method cannot be sent.
    Method(String),
    /// A request with this method has no body.
    Body(String),
    /// The name or value of this header field cannot be sent. The value itself is not shown.
    Header(String),
    /// The header field belongs to the connection.
    Reserved(String),
    /// `redirect` is none of its three values.
    RedirectMode(String),
    /// The request could not be sent, or no response head arrived.
    Failed {
        /// Scheme, host and port.
        origin: String,
        /// The cause.
        error: OutboundError,
    },
    /// The response was cut off.
    CutOff {
        /// Scheme, host and port.
        origin: String,
        /// The cause.
        error: Box<hyper::Error>,
    },
    /// The response did not arrive in time.
    Timeout {
        /// Scheme, host and port.
        origin: String,
        /// The timeout.
        timeout: Duration,
    },
    /// The response body is larger than the settings allow.
    TooLarge {
        /// Scheme, host and port.
        origin: String,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The response is a redirect and the class asked for `redirect: "error"`.
    Redirected(String),
    /// The response redirects to an invalid URL.
    BadRedirect(String),
    /// Too many redirects in a row.
    TooManyRedirects(String),
}

impl FetchError {
    /// The stable value of the error's `code` property.
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
            Self::Failed { error: OutboundError::TooSlow, .. } | Self::Timeout { .. } => "tooSlow",
            Self::Failed { .. } | Self::CutOff { .. } => "broken",
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
            Self::CutOff { origin, error } => {
                write!(f, "fetch from {origin}: the answer broke off: {error}")
            }
            Self::Timeout { origin, timeout } => {
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
