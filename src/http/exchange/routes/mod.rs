//! Routes: the table in use, with what handles each of its rows.
//!
//! - `access`: who may use a route
//! - `handler`: the port of handlers, which are given a whole request
//! - `proxy`: the port of what passes requests on
//! - `reserved`: the port of what responds below reserved paths

pub(crate) mod access;
pub mod handler;
pub mod proxy;
pub(crate) mod reserved;

use std::sync::Arc;
use std::time::Duration;

use crate::http::exchange::routes::access::AccessRule;
use crate::http::exchange::routes::handler::CallPermit;
use crate::http::exchange::routes::handler::Handler;
use crate::http::exchange::routes::handler::HandlerError;
use crate::http::exchange::routes::handler::Handlers;
use crate::http::exchange::routes::handler::Missing;
use crate::http::exchange::routes::proxy::Proxies;
use crate::http::exchange::routes::proxy::Proxy;
use crate::http::exchange::routes::reserved::ReservedRequest;
use crate::http::exchange::routes::reserved::ReservedRoutes;
use crate::http::exchange::routes::reserved::Unused;
use crate::http::message::fault::Fault;
use crate::session::Roles;
use crate::table::Reserved;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;

/// A table whose rows have been connected to their handlers; immutable, and swapped whole.
pub struct Routes {
    table: Arc<Table>,
    rows: Vec<Connected>,
    reserved: Arc<dyn ReservedRoutes>,
    generation: u64,
}

/// One row of the table, and whether there is something that handles it.
pub(crate) struct Connected {
    /// `Class.method`, or the base URL of an upstream; shared with every claim that is made for it.
    pub(crate) target: Arc<str>,
    pub(crate) route: Result<Arc<Route>, Missing>,
}

/// A row together with what handles its requests, as one request keeps it to its end.
pub(crate) struct Route {
    pub(crate) row: Row,
    pub(crate) target: Arc<str>,
    pub(crate) by: Backend,
    /// The reserved part that it belongs to; `None` for a row of the table.
    pub(crate) part: Option<Reserved>,
    /// Who may use it.
    pub(crate) access: AccessRule,
    /// Whether it is `$directory/login`.
    pub(crate) signs_in: bool,
}

/// The two ways to respond: with the whole request in hand, or by passing it on as it comes.
#[derive(Clone)]
pub(crate) enum Backend {
    Handler(Arc<dyn Handler>),
    Proxy(Arc<dyn Proxy>),
}

impl Backend {
    /// How long it may take, where the row does not say.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Handler(handler) => handler.timeout(),
            Self::Proxy(_) => None,
        }
    }

    /// Reserves room for one request, before its token is redeemed.
    pub(crate) fn reserve(&self) -> Result<CallPermit, HandlerError> {
        match self {
            Self::Handler(handler) => handler.reserve(),
            Self::Proxy(_) => Ok(CallPermit::default()),
        }
    }

    pub(crate) fn is_proxy(&self) -> bool {
        matches!(self, Self::Proxy(_))
    }
}

impl Routes {
    /// Connects each row to its handler or proxy. A row without one still responds, with the error
    /// that 4D documents (developer.4d.com/docs/WebServer/http-request-handler). These routes are the
    /// first of their gate.
    pub fn new(
        table: Table,
        handlers: &dyn Handlers,
        proxies: &dyn Proxies,
        roles: &Roles,
    ) -> Self {
        let connect = |row: &Row| {
            let target: Arc<str> = row.name().into();
            let by = match row.target() {
                Target::Function { class, method } => {
                    handlers.find(class, method).map(Backend::Handler)
                }
                Target::Upstream(url) => Ok(Backend::Proxy(proxies.find(url))),
            };
            let route = by.map(|by| {
                let access = AccessRule::of_row(roles, handlers, row);
                let (row, target) = (row.clone(), Arc::clone(&target));
                Arc::new(Route { row, target, by, part: None, access, signs_in: false })
            });
            Connected { target, route }
        };
        let rows = table.rows().iter().map(connect).collect();
        Self { table: Arc::new(table), rows, reserved: Arc::new(Unused), generation: 1 }
    }

    /// The same routes with what responds below reserved paths.
    #[must_use]
    pub(crate) fn with_reserved(self, reserved: Arc<dyn ReservedRoutes>) -> Self {
        Self { reserved, ..self }
    }

    /// The same routes as the ones that follow `before`.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self { generation: before.generation + 1, ..self }
    }

    /// Which routes of their gate these are, counted from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(crate) fn of_reserved(&self, asked: &ReservedRequest<'_>) -> Result<Arc<Route>, Fault> {
        self.reserved.find(asked)
    }

    pub(crate) fn of_row(&self, row: &Row) -> Option<&Connected> {
        self.rows.get(row.number().checked_sub(1)?)
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routes({} rows, generation {})", self.rows.len(), self.generation)
    }
}
