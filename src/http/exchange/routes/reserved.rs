//! The port of what responds below reserved paths, which never reach the table.

use std::fmt;
use std::sync::Arc;

use hyper::http::request::Parts as Head;

use crate::http::exchange::routes::Backend;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::access::AccessRule;
use crate::http::exchange::routes::handler::Handler;
use crate::http::message::fault::Fault;
use crate::table::CanonicalPath;
use crate::table::Reserved;
use crate::table::Row;

/// Finds what handles a request below a reserved path.
pub(crate) trait ReservedRoutes: fmt::Debug + Send + Sync {
    /// The route of a request, or why there is none.
    fn find(&self, asked: &ReservedRequest<'_>) -> Result<Arc<Route>, Fault>;
}

/// A request below a reserved path, by its head.
pub(crate) struct ReservedRequest<'r> {
    /// The part that the path belongs to.
    pub(crate) part: Reserved,
    /// The head.
    pub(crate) head: &'r Head,
    /// Its path.
    pub(crate) path: &'r CanonicalPath,
    /// Whether the browser says that a page of another origin sends it, which no rule of the
    /// setting `cors` allows.
    pub(crate) is_foreign: bool,
}

impl ReservedRequest<'_> {
    /// The segments of the path below the reserved part.
    pub(crate) fn segments(&self) -> Vec<&str> {
        let below = self.path.as_str().get(self.part.as_str().len()..).unwrap_or_default();
        below.split('/').filter(|segment| !segment.is_empty()).collect()
    }
}

/// No reserved path is in use: each is 404.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unused;

impl ReservedRoutes for Unused {
    fn find(&self, _: &ReservedRequest<'_>) -> Result<Arc<Route>, Fault> {
        Err(Fault::not_found())
    }
}

impl Route {
    /// The route of a request below a reserved path, named `target` for logs and for tokens.
    pub(crate) fn reserved(part: Reserved, target: &str, handler: Arc<dyn Handler>) -> Self {
        Self {
            row: Row::reserved(part, target),
            target: target.into(),
            by: Backend::Handler(handler),
            part: Some(part),
            access: AccessRule::default(),
            signs_in: false,
        }
    }

    /// The same route as one that signs clients of `/rest` in, which look for a cookie of their own.
    pub(crate) fn signing_in(self) -> Self {
        Self { signs_in: true, ..self }
    }

    /// The same route under this rule.
    pub(crate) fn under(self, access: AccessRule) -> Self {
        Self { access, ..self }
    }

    /// Whether a token that the request carries is redeemed: below `/rest` it is passed to
    /// `session.restore` instead (developer.4d.com/docs/WebServer/sessions).
    pub(crate) fn redeems(&self) -> bool {
        self.part != Some(Reserved::Rest)
    }
}
