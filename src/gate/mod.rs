//! A gate: the assembled server, for the `callgate` program and for programs that embed it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use callgate::{Gate, IncomingMessage, OutgoingMessage, Session, Settings, Singleton};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let greeter = Singleton::new("Greeter", ())
//!     .method("hello", async |_: Arc<()>, _: IncomingMessage, session: Session| {
//!         OutgoingMessage::new().with_body(format!("you are in session {}", session.id()))
//!     });
//! let gate = Gate::builder(Settings::default())
//!     .table(r#"[{ "class": "Greeter", "method": "hello", "pattern": "hello" }]"#)
//!     .singleton(greeter)
//!     .open()
//!     .await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8044").await?;
//! gate.serve(listener, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await;
//! # Ok(()) }
//! ```
//!
//! | file | part |
//! |---|---|
//! | `builder` | loading and checking everything, and opening the store |
//! | `error` | why that can fail |
//! | `stores`, `listening::acceptors`, `steady_clock` | the store, the acceptors and the clock of the settings |
//! | `builder::plan_builder`, `lint`, `class_report` | a plan of table and classes, warnings about it, a plan that is only checked |
//! | `classes` | the folder of class files |
//! | `reload`, `listening::certificate` | files that may change, and what is loaded from them |
//! | `listening::listeners`, `service` | what a gate serves on; a gate as the service of another server |
//! | `client` | a client for tests |

mod builder;
mod class_report;
mod classes;
#[cfg(any(test, feature = "testing"))]
mod client;
mod error;
mod lint;
mod listening;
mod reload;
mod service;
mod steady_clock;
mod stores;

pub use builder::GateBuilder;
pub use class_report::ClassReport;
pub use class_report::examine;
#[cfg(any(test, feature = "testing"))]
pub use client::{Answer, Call, Client};
pub use error::GateError;
pub use lint::Lint;
pub use listening::listeners::Listeners;
pub use reload::file_watch::Reload;
pub(crate) use reload::file_watch::read as read_file;
pub use stores::open_store;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::admin::GateHealth;
use crate::admin::InternalHosts;
use crate::admin::OperatorAccess;
use crate::admin::health::TableState;
use crate::base::clock::Stopwatch;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::gate::reload::file_watch::FileWatch;
use crate::http::Acceptor;
use crate::http::Certificates;
use crate::http::ConnInfo;
use crate::http::ConnectionCounts;
use crate::http::Dispatch;
use crate::http::Outbound;
use crate::http::Redirect;
use crate::http::ResponseBody;
use crate::http::conn::server;
use crate::http::conn::server::Drained;
use crate::http::message::body::incoming::RequestBody;
use crate::settings::AutoReload;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::port::Guarantees;
use crate::store::sweep;
use crate::table::Problem;

/// A table, its handlers and a store, ready to serve.
///
/// [`Gate::serve`] is a server of its own. As a [`tower_service::Service`], a gate responds to the
/// requests of another server, such as those that an axum router has no route for. Clones are
/// cheap and share everything.
#[derive(Clone)]
pub struct Gate(Arc<GateParts>);

/// What the clones of a gate share.
struct GateParts {
    dispatch: Arc<Dispatch>,
    health: Arc<GateHealth>,
    public: Arc<Acceptor>,
    internal: Arc<Acceptor>,
    redirect: Arc<Acceptor>,
    certificates: Option<Arc<Certificates>>,
    drain: Duration,
    warnings: Vec<Problem>,
    /// Everything that is loaded from files that may change.
    watched: Vec<FileWatch>,
    /// Whether they are checked without an explicit reload.
    reload: AutoReload,
    /// The credential that operators need on the internal listener.
    entry: OperatorAccess,
    internal_hosts: Vec<String>,
    /// The client for outbound requests, which must not connect to this gate.
    outbound: Arc<Outbound>,
}

impl Gate {
    /// Starts building a gate.
    pub fn builder(settings: Settings) -> GateBuilder {
        GateBuilder::new(settings)
    }

    /// Serves until `shutdown` completes, then finishes every accepted request and closes the store.
    /// The internal listener, if there is one, serves until the end.
    ///
    /// With [`Listeners::none`] this is the work beside requests alone: expired sessions are
    /// removed, changed files are loaded. A gate that is the service of another server needs it as
    /// well.
    pub async fn serve(
        &self,
        listeners: impl Into<Listeners>,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let listeners = listeners.into();
        self.learn_addresses(&listeners);
        let Listeners { public, internal, redirect } = listeners;
        let (stop_public, mut public_stop) = watch::channel(false);
        let (stop_rest, rest_stop) = watch::channel(false);
        let background = self.background(internal, &rest_stop);
        let redirecting = redirect.map(|listener| self.redirect(listener, public_stop.clone()));
        let serving = async {
            let Some(listener) = public else {
                let _ = public_stop.wait_for(|stopped| *stopped).await;
                return Drained::Clean;
            };
            let service = Arc::new(Public(Arc::clone(&self.0.dispatch)));
            server::serve(listener, service, Arc::clone(&self.0.public), public_stop).await
        };
        let stopping = async {
            tokio::select! {
                () = shutdown => {}
                () = self.watch_files() => {}
            }
            self.0.health.stop();
            let _ = stop_public.send(true);
            Stopwatch::start()
        };
        let (drained, stopped) = tokio::join!(serving, stopping);
        // A request whose client has disconnected has no connection that could be waited for.
        let patience = self.0.drain.saturating_sub(stopped.elapsed());
        let idle = tokio::time::timeout(patience, self.0.dispatch.idle()).await;
        let _ = stop_rest.send(true);
        for task in background.into_iter().chain(redirecting) {
            let _ = task.await;
        }
        self.close_store().await;
        match (idle, drained) {
            (Err(_), Drained::Clean) => Drained::CutOff(self.0.dispatch.under_way()),
            (_, drained) => drained,
        }
    }

    /// Removes expired sessions, and serves the internal listener.
    fn background(
        &self,
        internal: Option<TcpListener>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<JoinHandle<()>> {
        let sessions = self.0.dispatch.sessions();
        let (store, clock) = (Arc::clone(&sessions.store), Arc::clone(&sessions.clock));
        let sweeping = tokio::spawn(sweep::run(store, clock, stop.clone()));
        let serving = internal.map(|listener| {
            let (admin, acceptor) = (Arc::new(self.admin()), Arc::clone(&self.0.internal));
            let stop = stop.clone();
            tokio::spawn(async move {
                server::serve(listener, admin, acceptor, stop).await;
            })
        });
        std::iter::once(sweeping).chain(serving).collect()
    }

    /// Redirects plain HTTP.
    fn redirect(&self, listener: TcpListener, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        let redirect = Arc::new(Redirect::new(Arc::clone(self.0.dispatch.sessions())));
        let acceptor = Arc::clone(&self.0.redirect);
        tokio::spawn(async move {
            server::serve(listener, redirect, acceptor, stop).await;
        })
    }

    /// Loads files that have changed, if the settings say so.
    async fn watch_files(&self) {
        match self.0.reload {
            AutoReload::On => reload::file_watch::run(&self.0.watched).await,
            AutoReload::Off => std::future::pending().await,
        }
    }

    /// Requests that still run have exceeded the drain timeout.
    async fn close_store(&self) {
        let closed = match failpoint::reached(Place::Close) {
            Ok(()) => self.0.dispatch.sessions().store.close().await,
            Err(broken) => Err(broken.into()),
        };
        if let Err(error) = closed {
            tracing::error!(event = "store.close_failed", %error);
        }
    }

    /// Records the addresses of this gate.
    fn learn_addresses(&self, listeners: &Listeners) {
        let Listeners { public, internal, redirect } = listeners;
        for own in [public, internal, redirect].into_iter().flatten() {
            own.local_addr().into_iter().for_each(|own| self.0.outbound.refuse(own));
        }
        // Without `public_origin`, a developer on this machine needs no setting. Any other address
        // may differ from the one that clients use.
        if let Some(Ok(address)) = public.as_ref().map(TcpListener::local_addr)
            && address.ip().is_loopback()
        {
            let origin = format!("{}://{address}", self.scheme());
            let _ = self.0.dispatch.sessions().public_origin.set(origin);
        }
    }

    /// The service of the internal listener.
    fn admin(&self) -> Admin {
        let sessions = Arc::clone(self.0.dispatch.sessions());
        let entry = (self.0.entry.clone(), InternalHosts::new(self.0.internal_hosts.clone()));
        Admin::new(Arc::clone(&self.0.health), sessions, entry, self.0.dispatch.pace())
    }

    /// A client that drives this gate without a socket, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.0.dispatch))
    }

    /// Reads table, class files and all other watched files again, and applies what has changed.
    ///
    /// A change is checked as at the start, under `strict` too, and swapped in as a whole: requests
    /// that have found their row finish with the table and the classes of that time. An invalid
    /// file changes nothing; its problems are in the result, in the log (`table.refused`,
    /// `class.refused`) and in [`Gate::table`]. A change that removes the function of a row is
    /// refused as well. A class that did not change keeps the properties of its `this`.
    ///
    /// `roles.json` and settings are not read again: privileges change with a restart.
    pub async fn reload(&self) -> Reload {
        let mut came = Reload::Unchanged;
        for watched in &self.0.watched {
            came = came.and(watched.reload().await);
        }
        came
    }

    /// Checks the same files once, as [`Gate::serve`] does five times a second unless the setting
    /// `reload` is off; for gates that are driven without being served.
    ///
    /// A change is applied by the second check that finds it, so that no file is read while it is
    /// being written. A refused change is not checked again until the files change.
    pub async fn look(&self) -> Reload {
        let mut came = Reload::Unchanged;
        for watched in &self.0.watched {
            came = came.and(watched.look().await);
        }
        came
    }

    /// The state of the table: its size, its generation, and why a newer one was refused.
    #[doc(hidden)]
    pub fn table(&self) -> TableState {
        self.0.health.table()
    }

    /// Warnings about the table at the start.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }

    /// Reports on the internal listener that this gate is about to stop, while requests are still
    /// accepted, so that load balancers can stop using it.
    pub fn retire(&self) {
        self.0.health.stop();
    }

    /// The scheme that [`Gate::serve`] speaks: `https` with a certificate, else `http`.
    #[doc(hidden)]
    pub fn scheme(&self) -> &'static str {
        if self.0.certificates.is_some() { "https" } else { "http" }
    }

    /// The certificate, which can be replaced while the gate serves; `None` over plain HTTP.
    #[doc(hidden)]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.0.certificates.as_ref()
    }

    /// The name of the session cookie.
    pub fn session_cookie_name(&self) -> &str {
        self.0.dispatch.session_cookie_name()
    }

    /// The number of connections of the public listener, and their limit.
    #[doc(hidden)]
    pub fn crowding(&self) -> ConnectionCounts {
        self.0.public.connections()
    }

    /// The guarantees of the store.
    #[doc(hidden)]
    pub async fn guarantees(&self) -> Result<Guarantees, StoreError> {
        self.0.dispatch.sessions().store.self_check().await
    }

    /// Closes the store; only for a gate that is not being served.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.dispatch.idle().await;
        self.0.dispatch.sessions().store.close().await
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("dispatch", &self.0.dispatch).finish_non_exhaustive()
    }
}

/// The service of the public listener.
struct Public(Arc<Dispatch>);

impl server::Service for Public {
    async fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> Response<ResponseBody> {
        self.0.call(request.map(RequestBody::Wire), Some(conn)).await
    }
}
