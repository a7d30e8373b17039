//! Why a call came to nothing.

use std::error::Error as StdError;
use std::fmt;

use hyper_util::client::legacy::Error as ClientError;

/// Why there is no response to a request that callgate sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboundError {
    /// A rule forbids to call this host. Nothing was sent. The text says which one, and names
    /// the host and no address: that would tell a caller about the network he is kept out of.
    Refused(String),
    /// There is no connection: no such name, no listener, no handshake, or a timeout. Nothing was
    /// sent, unless the request may be sent again and a kept connection had closed on it before;
    /// one that is marked [`OnlyOnce`](super::OnlyOnce) never is.
    Unreachable(OutboundCause),
    /// The head of the response did not come in time. What became of the request is unknown.
    TooSlow,
    /// The connection or the response broke. What became of the request is unknown.
    Broken(OutboundCause),
}

/// What a library says about it, for the log.
type OutboundCause = Box<dyn StdError + Send + Sync>;

/// Why no connection was made.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// A rule is against it.
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

/// An error with everything behind it, in one line: the outermost says the least.
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
