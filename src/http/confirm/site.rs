//! What the requests to one site share beside their sessions.

use std::fmt;
use std::sync::Arc;

use crate::flow::sessions::Sessions;
use crate::http::confirm::held::Held;
use crate::http::message::cookie::CookieRule;

/// The sessions of a site, the cookies that open them, and the requests that wait for a browser.
pub struct Site {
    /// What works with sessions.
    pub sessions: Arc<Sessions>,
    /// How the cookies are named and guarded.
    pub cookie: CookieRule,
    /// Requests that wait for a browser to show its cookie, or for a person to agree.
    pub held: Held,
}

impl Site {
    /// A site without waiting requests.
    pub fn new(sessions: Arc<Sessions>, cookie: CookieRule) -> Self {
        Self { sessions, cookie, held: Held::default() }
    }

    /// Whether the public comes over https, so that its browsers may be given Secure cookies.
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
