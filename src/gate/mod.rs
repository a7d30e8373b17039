//! A gate: everything put together, for the `callgate` program and for programs that embed it.
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

mod builder;
mod certificate;
mod classes;
mod client;
mod entrances;
mod examined;
mod failure;
mod lint;
mod making;
mod reload;
mod steady;
mod stores;
mod watched;

pub use builder::Builder;
pub use client::{Answer, Call, Client};
pub use examined::Examined;
pub use examined::examine;
pub use failure::GateError;
pub use lint::Lint;
pub use stores::open_store;
pub use watched::Reload;
pub(crate) use watched::read as read_file;

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
use crate::admin::Entry;
use crate::admin::Health;
use crate::admin::InternalHosts;
use crate::admin::health::TableState;
use crate::base::clock::Stopwatch;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::gate::watched::Watched;
use crate::http::Acceptor;
use crate::http::AnswerBody;
use crate::http::Certificates;
use crate::http::ConnInfo;
use crate::http::Crowding;
use crate::http::Dispatch;
use crate::http::Outbound;
use crate::http::Redirect;
use crate::http::conn::server;
use crate::http::conn::server::Drained;
use crate::http::message::body::incoming::RequestBody;
use crate::settings::AutoReload;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::port::Guarantees;
use crate::store::sweep;
use crate::table::Problem;

/// A table, its handlers and a store, ready to answer.
pub struct Gate {
    dispatch: Arc<Dispatch>,
    health: Arc<Health>,
    public: Arc<Acceptor>,
    internal: Arc<Acceptor>,
    redirect: Arc<Acceptor>,
    certificates: Option<Arc<Certificates>>,
    drain: Duration,
    warnings: Vec<Problem>,
    /// What is made of files that may change.
    watched: Vec<Watched>,
    /// Whether they are looked at without being asked.
    reload: AutoReload,
    /// What operators must show on the internal listener.
    entry: Entry,
    internal_hosts: Vec<String>,
    /// What calls others, and must not call us.
    outbound: Arc<Outbound>,
}

/// Where a gate is served.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub public: TcpListener,
    /// For operators; `None` leaves them out.
    pub internal: Option<TcpListener>,
    /// For plain HTTP, which is sent on to `public_origin`; `None` leaves it out.
    pub redirect: Option<TcpListener>,
}

impl Gate {
    /// Begins to put a gate together.
    pub fn builder(settings: Settings) -> Builder {
        Builder::new(settings)
    }

    /// Serves until `stop` is done, then finishes every request that was accepted and closes
    /// the store. The internal listener, if there is one, answers until the very end.
    pub async fn serve(
        &self,
        listener: TcpListener,
        internal: Option<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> Drained {
        self.serve_all(Listeners { public: listener, internal, redirect: None }, stop).await
    }

    /// As [`Gate::serve`], on every listener that there can be.
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
                AutoReload::On => watched::run(&self.watched).await,
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
        // Requests whose clients hung up have no connection that could be waited for.
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
        // Whoever still runs has had his time; waiting for him here would keep the process.
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

    /// Takes note of where this gate can be reached.
    fn learn_addresses(&self, listeners: &Listeners) {
        let Listeners { public, internal, redirect } = listeners;
        for own in [Some(public), internal.as_ref(), redirect.as_ref()].into_iter().flatten() {
            own.local_addr().into_iter().for_each(|own| self.outbound.refuse(own));
        }
        // Where no public_origin was set, a developer on this machine can do without. Any other
        // address is perhaps not the one that the public knows.
        if let Ok(address) = public.local_addr()
            && address.ip().is_loopback()
        {
            let origin = format!("{}://{address}", self.scheme());
            let _ = self.dispatch.sessions().public_origin.set(origin);
        }
    }

    /// What answers on the internal listener.
    fn admin(&self) -> Admin {
        let sessions = Arc::clone(self.dispatch.sessions());
        let entry = (self.entry.clone(), InternalHosts::new(self.internal_hosts.clone()));
        Admin::new(Arc::clone(&self.health), sessions, entry, self.dispatch.pace())
    }

    /// A client that drives this gate without a socket, for tests.
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.dispatch))
    }

    /// Reads table and class files again, and whatever else is watched, and takes what has changed.
    ///
    /// It is checked as at the start, under `strict` too, and swapped in whole: requests that have
    /// found their row end by the table and the classes they found it in. A file that cannot be
    /// used changes nothing; what is wrong with it is in the answer, in the log (`table.refused`,
    /// `class.refused`) and in [`Gate::table`]. Nor is a change taken by which a row would lose the
    /// function that answered it. A class that did not change keeps what is on its `this`.
    ///
    /// `roles.json` and settings are not read again: privileges change with a restart.
    pub async fn reload(&self) -> Reload {
        let mut came = Reload::Unchanged;
        for watched in &self.watched {
            came = came.and(watched.reload().await);
        }
        came
    }

    /// One look at the same files, as [`Gate::serve`] takes it five times a second unless the
    /// setting `reload` is off; for gates that are driven without being served.
    ///
    /// A change is taken by the second look that finds it, so that no file is read while it is
    /// being written. What was refused is not judged again before it changes.
    pub async fn look(&self) -> Reload {
        let mut came = Reload::Unchanged;
        for watched in &self.watched {
            came = came.and(watched.look().await);
        }
        came
    }

    /// What is known about the table: its size, its generation, and why a newer one was refused.
    pub fn table(&self) -> TableState {
        self.health.table()
    }

    /// What was odd about the table at the start and did not keep it from being used.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Says on the internal listener that this gate is about to stop, while requests are still
    /// accepted. Whoever spreads them over several gates has time to leave this one out.
    pub fn retire(&self) {
        self.health.stop();
    }

    /// What [`Gate::serve`] speaks: `https` when it has a certificate, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.certificates.is_some() { "https" } else { "http" }
    }

    /// The certificate, which can be changed while the gate serves; `None` over plain HTTP.
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
    }

    /// How full the public listener is.
    pub fn crowding(&self) -> Crowding {
        self.public.crowding()
    }

    /// What the store guarantees.
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

/// The public listener's service.
struct Public(Arc<Dispatch>);

impl server::Service for Public {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> Response<AnswerBody> {
        self.0.answer(request.map(RequestBody::Wire), Some(conn)).await
    }
}
