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
mod client;
mod failure;
mod lint;
mod steady;

pub use builder::Builder;
pub use client::{Answer, Call, Client};
pub use failure::GateError;
pub use lint::lint;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::Admin;
use crate::admin::Health;
use crate::base::clock::Stopwatch;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::http::Arrival;
use crate::http::Dispatch;
use crate::http::body::RequestBody;
use crate::http::server;
use crate::http::server::Drained;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::port::Guarantees;
use crate::store::sweep;
use crate::table::Problem;

/// A table, its handlers and a store, ready to answer.
pub struct Gate {
    dispatch: Arc<Dispatch>,
    health: Arc<Health>,
    server: Arc<server::Config>,
    warnings: Vec<Problem>,
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
        // Where no public_origin was set, a developer on this machine can do without. Any other
        // address is perhaps not the one that the public knows.
        if let Ok(address) = listener.local_addr()
            && address.ip().is_loopback()
        {
            let _ = self.dispatch.sessions().public_origin.set(format!("http://{address}"));
        }
        let (stop_public, public_stop) = watch::channel(false);
        let (stop_rest, rest_stop) = watch::channel(false);
        let sessions = self.dispatch.sessions();
        let sweeping = tokio::spawn(sweep::run(
            Arc::clone(&sessions.store),
            Arc::clone(&sessions.clock),
            rest_stop.clone(),
        ));
        let admin = internal.map(|listener| {
            let admin = Arc::new(Admin::new(Arc::clone(&self.health)));
            tokio::spawn(server::serve(listener, admin, Arc::clone(&self.server), rest_stop))
        });
        let public = Arc::new(Public(Arc::clone(&self.dispatch)));
        let serving = server::serve(listener, public, Arc::clone(&self.server), public_stop);
        let stopping = async {
            stop.await;
            self.health.stop();
            let _ = stop_public.send(true);
            Stopwatch::start()
        };
        let (drained, stopped) = tokio::join!(serving, stopping);
        // Requests whose clients hung up have no connection that could be waited for.
        let patience = self.server.drain_timeout.saturating_sub(stopped.elapsed());
        let idle = tokio::time::timeout(patience, self.dispatch.idle()).await;
        let _ = stop_rest.send(true);
        let _ = sweeping.await;
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

    /// A client that drives this gate without a socket, for tests.
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.dispatch))
    }

    /// What was odd about the table and did not keep it from being used.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
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
        arrival: Arrival,
    ) -> Response<Full<Bytes>> {
        self.0.answer(request.map(RequestBody::Wire), Some(arrival)).await
    }
}
