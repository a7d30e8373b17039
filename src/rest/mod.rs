//! Functions that clients call by their names, without a row: below `/rest`, and `/4DACTION`
//! (docs/CONTRACT.md §10, developer.4d.com/docs/REST/ClassFunctions,
//! developer.4d.com/docs/WebServer/httpRequests).
//!
//! | request | what it calls |
//! |---|---|
//! | `POST /rest/$catalog/fn` | `DataStore.fn` |
//! | `POST /rest/$singleton/Class/fn` | `Class.fn` |
//! | `GET` of either, with `?$params='[…]'` | the same, where the class allows `GET` |
//! | `/4DACTION/name[/param]` | `Actions.name` |
//! | `GET /rest/$catalog`, `GET /rest/$info` | what callgate itself tells |
//! | `/rest/$directory/…` | who is signed in, and signing in and out |
//!
//! A class says which of its functions can be called. A function that it does not list is as absent
//! as one that does not exist. Whatever is called goes through the same phases as the request of a
//! row; this module only finds it and reads its parameters.
//!
//! | file | part |
//! |---|---|
//! | `call` | one function with the parameters of a request |
//! | `directory` | who is signed in, and signing out |
//! | `info` | what callgate tells about itself and the session |
//! | `login` | signing in |

mod call;
mod directory;
mod info;
mod login;

use std::fmt;
use std::sync::Arc;

use hyper::Method;

use crate::account::AUTHENTICATION;
use crate::http::Exposure;
use crate::http::Fault;
use crate::http::Handler;
use crate::http::Handlers;
use crate::http::Missing;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::access::AccessRule;
use crate::http::exchange::routes::reserved::ReservedRequest;
use crate::http::exchange::routes::reserved::ReservedRoutes;
use crate::rest::call::Arguments;
use crate::rest::call::FunctionCall;
use crate::rest::directory::BelongsTo;
use crate::rest::directory::CurrentUser;
use crate::rest::directory::Logout;
use crate::rest::info::Catalog;
use crate::rest::info::Info;
use crate::rest::login::Login;
use crate::session::Roles;
use crate::table::Reserved;

/// The class whose functions are those of the datastore.
const DATA_STORE: &str = "DataStore";
/// Its function that signs a guest in, and is therefore open to guests whatever `roles.json` says.
/// It
/// takes `POST` only (developer.4d.com/docs/REST/authUsers).
const AUTHENTIFY: &str = "authentify";
/// The class whose functions are actions.
const ACTIONS: &str = "Actions";

/// What responds below `/rest` and `/4DACTION`.
pub(crate) struct Rest {
    handlers: Arc<dyn Handlers>,
    roles: Roles,
}

impl Rest {
    /// Calls the functions of these classes, for sessions that may.
    pub(crate) fn new(handlers: Arc<dyn Handlers>, roles: Roles) -> Self {
        Self { handlers, roles }
    }

    /// `/rest/$catalog/fn`, `/rest/$singleton/Class/fn`, and what callgate itself tells.
    fn rest(&self, asked: &ReservedRequest<'_>) -> Result<Route, Fault> {
        let forces_login = self.roles.forces_login();
        let segments = asked.segments();
        match &*segments {
            ["$catalog"] | ["$catalog", "$all"] => built_in(asked, "catalog", Arc::new(Catalog)),
            ["$info"] => built_in(asked, "info", Arc::new(Info))
                .map(|route| route.under(AccessRule::default().for_signed_in(forces_login))),
            ["$directory", name] => self.directory(asked, name),
            ["$catalog", function] => self.function(asked, DATA_STORE, function),
            ["$singleton", class, function] => self.function(asked, class, function),
            _ => Err(Fault::not_exposed()),
        }
    }

    /// `/rest/$directory/name`.
    fn directory(&self, asked: &ReservedRequest<'_>, name: &str) -> Result<Route, Fault> {
        let (method, handler): (_, Arc<dyn Handler>) = match name {
            "login" => (Method::POST, Arc::new(self.login()?)),
            "logout" => (Method::GET, Arc::new(Logout)),
            "currentUser" => (Method::GET, Arc::new(CurrentUser)),
            "currentUserBelongsTo" => (Method::POST, Arc::new(BelongsTo)),
            _ => return Err(Fault::not_exposed()),
        };
        if asked.head.method != method {
            return Err(refuse_method(method.as_str()));
        }
        // A page of another site could sign a person in as somebody else, or out.
        if asked.is_foreign && name != "currentUser" {
            return Err(Fault::origin_not_allowed());
        }
        let route = Route::reserved(asked.part, &format!("rest.{name}"), handler);
        if name == "login" {
            // What `roles.json` says about the function that checks concerns its promotions only.
            let (class, function) = AUTHENTICATION;
            let access = self.access(class, function).for_everyone();
            return Ok(route.under(access).signing_in());
        }
        Ok(route.under(AccessRule::default().for_signed_in(self.roles.forces_login())))
    }

    /// The check of the application, where it has one, or that of the accounts.
    fn login(&self) -> Result<Login, Fault> {
        let (class, function) = AUTHENTICATION;
        match self.handlers.find(class, function) {
            Ok(check) => Ok(Login { check: Some(check) }),
            Err(Missing::Class) => Ok(Login { check: None }),
            // A class that lacks the function, or failed to load, refuses every sign-in.
            Err(missing) => Err(Fault::missing_target(missing.text())
                .of_handler(&format!("{class}.{function}"), None)),
        }
    }

    fn function(
        &self,
        asked: &ReservedRequest<'_>,
        class: &str,
        function: &str,
    ) -> Result<Route, Fault> {
        let signs_in = (class, function) == (DATA_STORE, AUTHENTIFY);
        let exposure = self.handlers.exposure(class, function);
        let exposure = Exposure { get: exposure.get && !signs_in, ..exposure };
        let arguments = match (&asked.head.method, exposure) {
            (_, Exposure { post: false, get: false, .. }) => return Err(Fault::not_exposed()),
            (&Method::POST, Exposure { post: true, .. }) if asked.is_foreign => {
                return Err(Fault::origin_not_allowed());
            }
            (&Method::POST, Exposure { post: true, .. }) => Arguments::Body,
            (&Method::GET, Exposure { get: true, .. }) => Arguments::Query,
            (_, Exposure { post: true, get: true, .. }) => return Err(refuse_method("GET, POST")),
            (_, Exposure { post: true, .. }) => return Err(refuse_method("POST")),
            _ => return Err(refuse_method("GET")),
        };
        let route = self.call(asked.part, (class, function), arguments)?;
        let access = self.access(class, function);
        Ok(route.under(if signs_in {
            access.for_everyone()
        } else {
            access.for_signed_in(self.roles.forces_login())
        }))
    }

    /// `/4DACTION/name[/param]`.
    fn action(&self, asked: &ReservedRequest<'_>) -> Result<Route, Fault> {
        let below = asked.path.as_str().get(asked.part.as_str().len()..).unwrap_or_default();
        let (name, parameter) = match below.trim_start_matches('/').split_once('/') {
            Some((name, parameter)) => (name, Some(parameter).filter(|text| !text.is_empty())),
            None => (below.trim_start_matches('/'), None),
        };
        if !self.handlers.exposure(ACTIONS, name).action {
            return Err(Fault::not_exposed());
        }
        if !matches!(asked.head.method, Method::GET | Method::HEAD | Method::POST) {
            return Err(refuse_method("GET, HEAD, POST"));
        }
        let arguments = Arguments::Path(parameter.map(str::to_owned));
        let route = self.call(asked.part, (ACTIONS, name), arguments)?;
        Ok(route.under(self.access(ACTIONS, name)))
    }

    fn access(&self, class: &str, function: &str) -> AccessRule {
        AccessRule::of_function(&self.roles, &*self.handlers, (class, function))
    }

    fn call(
        &self,
        part: Reserved,
        (class, function): (&str, &str),
        arguments: Arguments,
    ) -> Result<Route, Fault> {
        // A class that lists a function has it.
        let called = self.handlers.find(class, function).map_err(|_| Fault::not_exposed())?;
        let name = format!("{class}.{function}");
        Ok(Route::reserved(part, &name, Arc::new(FunctionCall { called, arguments })))
    }
}

impl ReservedRoutes for Rest {
    fn find(&self, asked: &ReservedRequest<'_>) -> Result<Arc<Route>, Fault> {
        let route = match asked.part {
            Reserved::Rest => self.rest(asked)?,
            Reserved::FourDAction => self.action(asked)?,
            Reserved::Renderer | Reserved::Shared => return Err(Fault::not_found()),
        };
        Ok(Arc::new(route))
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({:?})", self.handlers)
    }
}

/// A route that only reads, and belongs to callgate itself.
fn built_in(
    asked: &ReservedRequest<'_>,
    name: &str,
    handler: Arc<dyn Handler>,
) -> Result<Route, Fault> {
    let route = Route::reserved(asked.part, &format!("rest.{name}"), handler);
    if asked.head.method == Method::GET { Ok(route) } else { Err(refuse_method("GET")) }
}

fn refuse_method(allow: &str) -> Fault {
    Fault::method_not_allowed(allow.to_owned())
}
