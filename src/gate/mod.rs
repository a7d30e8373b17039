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
//! gate.serve(listener, None, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await;
//! # Ok(()) }
//! ```
//!
//! | file | part |
//! |---|---|
//! | `builder` | loading and checking everything, and opening the store |
//! | `error` | why that can fail |
//! | `stores`, `acceptors`, `steady_clock` | the store, the acceptors and the clock of the settings |
//! | `plan_builder`, `lint`, `class_report` | a plan of table and classes, warnings about it, a plan that is only checked |
//! | `classes` | the folder of class files |
//! | `file_watch`, `reload`, `certificate` | files that may change, and what is loaded from them |
//! | `client` | a client for tests |

mod acceptors;
mod builder;
mod certificate;
mod class_report;
mod classes;
mod client;
mod error;
mod file_watch;
mod lint;
mod plan_builder;
mod reload;
mod steady_clock;
mod stores;

pub use builder::Builder;
pub use class_report::ClassReport;
pub use class_report::examine;
pub use client::{Answer, Call, Client};
pub use error::GateError;
pub use file_watch::Reload;
pub(crate) use file_watch::read as read_file;
pub use lint::Lint;
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

use crate::admin::Admin;
use crate::admin::GateHealth;
use crate::admin::InternalHosts;
use crate::admin::OperatorAccess;
use crate::admin::health::TableState;
use crate::base::clock::Stopwatch;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::gate::file_watch::FileWatch;
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
pub struct Gate {
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

/// The listeners of a gate.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub public: TcpListener,
    /// For operators and upstreams; `None` for no internal listener.
    pub internal: Option<TcpListener>,
    /// For plain HTTP, which is redirected to `public_origin`; `None` for no redirect.
    pub redirect: Option<TcpListener>,
}

impl Gate {
    /// Starts building a gate.
    pub fn builder(settings: Settings) -> Builder {
        Builder::new(settings)
    }

    /// Serves until `stop` completes, then finishes every accepted request and closes the store.
    /// The internal listener, if there is one, serves until the end.
    pub async fn serve(
        &self,
        listener: TcpListener,
        internal: Option<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> Drained {
        self.serve_all(Listeners { public: listener, internal, redirect: None }, stop).await
    }

    /// As [`Gate::serve`], with every kind of listener.
    pub async fn serve_all(&self, listeners: Listeners, stop: impl Future<Output = ()>) -> Drained {
        self.learn_addresses(&listeners);
        let Listeners { public: listener, internal, redirect } = listeners;
        let (stop_public, public_stop) = watch::channel(false);
        let (stop_rest, rest_stop) = watch::channel(false);
        let sessions = self.dispatch.sessions();
        let sweeping = tokio::spawn(sweep::run(
            Arc::clone(&sessions.store),
            Arc::clone(&sessions.clock),
            rest_stop.clone(),
        ));
        let watching = async {
            match self.reload {
                AutoReload::On => file_watch::run(&self.watched).await,
                AutoReload::Off => std::future::pending().await,
            }
        };
        let admin = internal.map(|listener| {
            let admin = Arc::new(self.admin());
            let entrance = Arc::clone(&self.internal);
            tokio::spawn(server::serve(listener, admin, entrance, rest_stop))
        });
        let redirecting = redirect.map(|listener| {
            let redirect = Arc::new(Redirect::new(Arc::clone(self.dispatch.sessions())));
            let stop = public_stop.clone();
            tokio::spawn(server::serve(listener, redirect, Arc::clone(&self.redirect), stop))
        });
        let public = Arc::new(Public(Arc::clone(&self.dispatch)));
        let serving = server::serve(listener, public, Arc::clone(&self.public), public_stop);
        let stopping = async {
            tokio::select! {
                () = stop => {}
                () = watching => {}
            }
            self.health.stop();
            let _ = stop_public.send(true);
            Stopwatch::start()
        };
        let (drained, stopped) = tokio::join!(serving, stopping);
        // A request whose client has disconnected has no connection that could be waited for.
        let patience = self.drain.saturating_sub(stopped.elapsed());
        let idle = tokio::time::timeout(patience, self.dispatch.idle()).await;
        let _ = stop_rest.send(true);
        let _ = sweeping.await;
        if let Some(redirecting) = redirecting {
            let _ = redirecting.await;
        }
        if let Some(admin) = admin {
            let _ = admin.await;
        }
        // Requests that still run have exceeded the drain timeout.
        let closed = match failpoint::reached(Place::Close) {
            Ok(()) => self.dispatch.sessions().store.close().await,
            Err(broken) => Err(broken.into()),
        };
        if let Err(error) = closed {
            tracing::error!(event = "store.close_failed", %error);
        }
        match (idle, drained) {
            (Err(_), Drained::Clean) => Drained::CutOff(self.dispatch.under_way()),
            (_, drained) => drained,
        }
    }

    /// Records the addresses of this gate.
    fn learn_addresses(&self, listeners: &Listeners) {
        let Listeners { public, internal, redirect } = listeners;
        for own in [Some(public), internal.as_ref(), redirect.as_ref()].into_iter().flatten() {
            own.local_addr().into_iter().for_each(|own| self.outbound.refuse(own));
        }
        // Without `public_origin`, a developer on this machine needs no setting. Any other address
        // may differ from the one that clients use.
        if let Ok(address) = public.local_addr()
            && address.ip().is_loopback()
        {
            let origin = format!("{}://{address}", self.scheme());
            let _ = self.dispatch.sessions().public_origin.set(origin);
        }
    }

    /// The service of the internal listener.
    fn admin(&self) -> Admin {
        let sessions = Arc::clone(self.dispatch.sessions());
        let entry = (self.entry.clone(), InternalHosts::new(self.internal_hosts.clone()));
        Admin::new(Arc::clone(&self.health), sessions, entry, self.dispatch.pace())
    }

    /// A client that drives this gate without a socket, for tests.
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.dispatch))
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
        for watched in &self.watched {
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
        for watched in &self.watched {
            came = came.and(watched.look().await);
        }
        came
    }

    /// The state of the table: its size, its generation, and why a newer one was refused.
    pub fn table(&self) -> TableState {
        self.health.table()
    }

    /// Warnings about the table at the start.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Reports on the internal listener that this gate is about to stop, while requests are still
    /// accepted, so that load balancers can stop using it.
    pub fn retire(&self) {
        self.health.stop();
    }

    /// The scheme that [`Gate::serve`] speaks: `https` with a certificate, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.certificates.is_some() { "https" } else { "http" }
    }

    /// The certificate, which can be replaced while the gate serves; `None` over plain HTTP.
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
    }

    /// The name of the session cookie.
    pub fn session_cookie_name(&self) -> &str {
        self.dispatch.session_cookie_name()
    }

    /// The number of connections of the public listener, and their limit.
    pub fn crowding(&self) -> ConnectionCounts {
        self.public.connections()
    }

    /// The guarantees of the store.
    pub async fn guarantees(&self) -> Result<Guarantees, StoreError> {
        self.dispatch.sessions().store.self_check().await
    }

    /// Closes the store; only for a gate that is not being served.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.dispatch.idle().await;
        self.dispatch.sessions().store.close().await
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("dispatch", &self.dispatch).finish_non_exhaustive()
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
