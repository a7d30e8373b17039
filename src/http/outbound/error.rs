//! Errors of outbound requests.

use std::error::Error as StdError;
use std::fmt;

use hyper_util::client::legacy::Error as ClientError;

/// Why there is no response to a request that callgate sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboundError {
    /// A rule forbids calls to this host, and nothing was sent. The text names the rule and the
    /// host but no address, which would reveal the internal network to the caller.
    Refused(String),
    /// The connection failed: no such name, no listener, no handshake, or a timeout. Nothing was
    /// sent, unless the request may be sent again and a kept connection had closed on it before. A
    /// request that is marked [`OnlyOnce`](super::OnlyOnce) is never sent again.
    Unreachable(OutboundCause),
    /// The head of the response did not arrive in time. The outcome of the request is unknown.
    TooSlow,
    /// The connection or the response broke off. The outcome of the request is unknown.
    Broken(OutboundCause),
}

/// The underlying error of a library, for the log.
type OutboundCause = Box<dyn StdError + Send + Sync>;

/// Why no connection was made.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// A rule forbids it.
    Refused(String),
    /// The name has no address, or is not found.
    NoAddress(String),
    /// It took too long.
    TooSlow,
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Unreachable(cause) => write!(f, "no connection: {}", Chain(&**cause)),
            Self::TooSlow => f.write_str("no answer in time"),
            Self::Broken(cause) => write!(f, "the connection broke: {}", Chain(&**cause)),
        }
    }
}

impl StdError for OutboundError {}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::NoAddress(host) => write!(f, "{host:?} has no address"),
            Self::TooSlow => f.write_str("connecting took too long"),
        }
    }
}

impl StdError for NoConnection {}

/// An error with all its sources, in one line, because the outermost is the least specific.
struct Chain<'e>(&'e (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

impl From<ClientError> for OutboundError {
    fn from(error: ClientError) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(inner) = next {
            if let Some(NoConnection::Refused(why)) = inner.downcast_ref() {
                return Self::Refused(why.clone());
            }
            next = inner.source();
        }
        if error.is_connect() {
            Self::Unreachable(error.into())
        } else {
            Self::Broken(error.into())
        }
    }
}
