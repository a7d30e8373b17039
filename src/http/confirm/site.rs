//! The state that the requests to one site share, besides their sessions.

use std::fmt;
use std::sync::Arc;

use crate::flow::sessions::Sessions;
use crate::http::confirm::held::HeldRequests;
use crate::http::message::cookie::CookieRule;

/// The sessions of a site, the cookies that open them, and the stored requests.
pub struct Site {
    /// The sessions.
    pub sessions: Arc<Sessions>,
    /// The names and attributes of the cookies.
    pub cookie: CookieRule,
    /// Requests that wait for a browser to send its cookie, or for a user to consent.
    pub held: HeldRequests,
}

impl Site {
    /// A site without waiting requests.
    pub fn new(sessions: Arc<Sessions>, cookie: CookieRule) -> Self {
        Self { sessions, cookie, held: HeldRequests::default() }
    }

    /// Whether clients use https, so that browsers may be given Secure cookies.
    pub(crate) fn is_https(&self) -> bool {
        let origin = self.sessions.public_origin.get();
        origin.is_some_and(|origin| origin.starts_with("https:")) || self.cookie.is_secure()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
