//! callgate brings a callback from a third party back to exactly the session that started it,
//! exactly once.
//!
//! An application sends a person to a third party: a payment page, an identity provider, an e-mail
//! with a link. Later a callback arrives, perhaps from another browser, without the session cookie,
//! twice, or from a program that only previews links. callgate is the server that handles these
//! callbacks, and this crate is that server to embed in a program of your own.
//!
//! # The picture
//!
//! ```text
//!                 ┌───────────────────────── callgate ─────────────────────────┐
//!   browser ────▶ │ handlers.json ─▶ row ─▶ handler ─▶ session.createOTP()     │
//!      │          │                                        │ token              │
//!      ▼          │                                        ▼                    │
//!   third party ◀─────────── callback URL with the token ──┘                    │
//!      │          │                                                             │
//!      └────────▶ │ ?$4DSID=TOKEN ─▶ redeemed, once ─▶ handler, in the session  │
//!                 └─────────────────────────────────────────────────────────────┘
//! ```
//!
//! # Embedding
//!
//! ```no_run
//! use std::sync::Arc;
//! use callgate::prelude::*;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let shop = Singleton::new("Shop", ()).method(
//!     "visit",
//!     async |_: Arc<()>, _: IncomingMessage, session: Session| {
//!         let visits = session.get::<u64>("visits")?.unwrap_or_default() + 1;
//!         session.set("visits", visits)?;
//!         Ok::<_, HandlerError>(OutgoingMessage::new().with_body(format!("visit {visits}")))
//!     },
//! );
//! let gate = Gate::builder(r#"public_origin = "https://shop.example""#.parse()?)
//!     .table(r#"[{ "class": "Shop", "method": "visit", "pattern": "visit" }]"#)
//!     .singleton(shop)
//!     .open()
//!     .await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8044").await?;
//! gate.serve(listener, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await;
//! # Ok(()) }
//! ```
//!
//! A [`Gate`] is a `tower::Service`, too: `examples/axum_router.rs` has one behind the routes of
//! an axum router.
//!
//! # Features
//!
//! The default is the whole program, so that `cargo run` and `cargo install` make what the README
//! describes. A library needs less: `default-features = false, features = ["embedded"]`.
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `program` | yes | the four below |
//! | `embedded` | yes | the durable store for one machine |
//! | `redis` | yes | the store for many nodes on Redis or Valkey |
//! | `postgres` | yes | the store for many nodes on PostgreSQL |
//! | `script` | yes | classes written in JavaScript |
//! | `port` | no | the module [`port`], for a store of your own |
//! | `testing` | no | for tests: a client without a socket, a manual clock, the store contract suite; it also opens every module to this crate's own tests, without any promise |
//! | `failpoints` | no | places where a test breaks callgate off, makes it fail or holds it up |
//!
//! # Where things are
//!
//! The crate is built in floors, and imports go down only; `tests/tidy.rs` holds that up.
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 0 | `base` | values, limits, and the only two sources of uncertainty: clock and randomness |
//! | 1 | `table` | `handlers.json`: reading, checking, matching, explaining, proving |
//! | 1 | `session` | what a session is, who may open it, how long it lives |
//! | 1 | `token` | what a token is, and every way a redemption can end |
//! | 1 | `account` | users, passwords and the lock-out rule |
//! | 2 | `store` | keeping both: the port, its contract, the stores |
//! | 3 | `flow` | what happens to sessions and tokens on behalf of one request, without HTTP |
//! | 4 | `http` | the life of a request, from a connection to a response |
//! | 5 | `backend` | what handles a row: native handlers, class files in JavaScript, forward rows |
//! | 5 | `rest` | functions that are called by name, below `/rest` and `/4DACTION` |
//! | 5 | `admin` | the internal listener: health, the operator's view, the session API |
//! | 6 | `settings` | flags, environment and file, made into one checked value |
//! | 7 | `gate` | everything put together, to serve or to drive in a test |
//! | 8 | `cli` | the `callgate` program |
//!
//! To follow a request, begin at `Gate::serve`: `http::conn::server` accepts a connection, whose
//! requests `gate` hands to `http::exchange::dispatch`; `http::exchange` lists the phases. To follow
//! a token, read its phases in `http::exchange::session`, then `flow::redeem`, the port
//! `store::port::Store`, and its rule: `token::Token::judge`, which `store::live` applies. Redis and PostgreSQL grant the
//! plain case by a copy of it (`claim.lua`, `claim_v1`).
//!
//! Comments cite what callgate does as `docs/CONTRACT.md §…`, and threats, guarantees and limits as
//! `docs/SECURITY.md …`, by the ids of these pages.
//!
//! # Invariants
//!
//! Most of them are absences.
//!
//! 1. Floors 0 and 1 are pure: no `async`, no lock, no I/O. Only `base::clock` reads the time,
//!    only `base::secret::entropy` asks for randomness, only `settings::reading::sources` reads the
//!    environment, only `cli` prints.
//! 2. `flow` never names `http`; `http` never names a concrete store or backend;
//!    `backend`, `rest` and `admin` never name each other; only `gate` and `cli` name
//!    `settings`.
//! 3. Secrets are types without `Display`, `Serialize` and `PartialEq`, with a redacted `Debug`,
//!    wiped on drop. What is stored of them is a digest.
//! 4. Of any number of requests that carry a token, one redeems it. A redemption whose outcome is
//!    unknown counts as spent; its response is 503.
//! 5. A session that ended never comes back: no verb of the port creates on update, and its id
//!    is remembered for longer than any cookie could create it again.
//! 6. No public text of a response is made from an inner error (`http::message::fault`).
//! 7. While the store fails, a client whose credential cannot be checked is refused, and not
//!    treated as a guest.
//! 8. The table in use never changes, nor do its class files: good ones replace them whole, and
//!    bad ones never do.
//! 9. A link that asks first is redeemed by the click of a person, and never by opening it. A
//!    browser whose cookie shows that it is signed in is moved to another session only after the
//!    person was asked.
//! 10. A panic, a slow handler, a class that runs away, an upstream that is down or a client that
//!     hangs up ends one request and nothing else.
//! 11. The response to a callback that may be repeated is kept before it is sent, sealed by its token.
//! 12. What a node caches of a shared session is checked by the write that relies on it. A token is
//!     granted only by the incarnation of a database that minted it: another one may not know that
//!     it was used (`store::shared`).
//! 13. Nothing is passed on to others that could open a session: not the token, not a cookie of
//!     ours (`http::exchange::routes::proxy`).

#![cfg_attr(
    not(feature = "testing"),
    allow(
        unreachable_pub,
        unused_imports,
        reason = "modules name what tests reach as `pub`; with `testing` both lints hold"
    )
)]
#![cfg_attr(
    not(feature = "program"),
    allow(
        dead_code,
        reason = "of what the program needs, a library with fewer features uses less"
    )
)]

// Modules are private. With `testing` the tests of this crate reach them.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod account;
#[cfg(not(feature = "testing"))]
mod account;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod admin;
#[cfg(not(feature = "testing"))]
mod admin;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod backend;
#[cfg(not(feature = "testing"))]
mod backend;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod base;
#[cfg(not(feature = "testing"))]
mod base;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod cli;
#[cfg(not(feature = "testing"))]
mod cli;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod flow;
#[cfg(not(feature = "testing"))]
mod flow;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod gate;
#[cfg(not(feature = "testing"))]
mod gate;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod http;
#[cfg(not(feature = "testing"))]
mod http;
mod rest;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod session;
#[cfg(not(feature = "testing"))]
mod session;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod settings;
#[cfg(not(feature = "testing"))]
mod settings;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod store;
#[cfg(not(feature = "testing"))]
mod store;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod table;
#[cfg(not(feature = "testing"))]
mod table;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod token;
#[cfg(not(feature = "testing"))]
mod token;

pub use backend::native::{IntoReply, Singleton};
pub use base::text::query::{Query, QueryPairs};
pub use base::{Confirm, DeviceId, RequestId, RestoreMode, SessionId, Timestamp};
pub use flow::rates::Wait as RetryAfter;
pub use flow::session::{DeviceView, Privileges, RestoreOptions, Session, SessionError};
#[cfg(any(test, feature = "testing"))]
pub use gate::{Answer as ClientResponse, Call as ClientRequest, Client};
pub use gate::{Gate, GateBuilder, GateError, Listeners, Reload};
pub use http::conn::server::Drained;
pub use http::message::incoming::{BadJson, Picture};
pub use http::message::parse::form::{BadForm, Field as FormField, Form};
pub use http::message::reply::{BadReply, ReplyBody};
pub use http::{ConnInfo, HandlerError, IncomingMessage, OutgoingMessage, Reply, ResponseBody};
pub use settings::{InvalidSettings, Settings};
pub use token::{MintOptions, MintRefused, Outcome};

/// What most handlers and programs need: `use callgate::prelude::*;`.
pub mod prelude {
    pub use crate::{Gate, HandlerError, IncomingMessage, MintOptions, Outcome};
    pub use crate::{OutgoingMessage, Session, Settings, Singleton};
}

/// What a store of your own is made of. See [`port::Store`] for the rules, and the feature
/// `testing` for the suite that checks them.
#[cfg(feature = "port")]
pub mod port {
    pub use crate::base::{Caller, ClaimId, Digest, TokenId};
    pub use crate::session::{Access, AccessChange, Device, JsonText, Lifetime, Patch};
    pub use crate::session::{PatchRefused, Record, Right, Storage};
    pub use crate::store::StoreError;
    #[cfg(feature = "testing")]
    pub use crate::store::contract;
    pub use crate::store::memory::MemoryStore;
    pub use crate::store::port::*;
    pub use crate::token::{Attempt, Callback, ClaimMark, Consent, Question, Repeat, ReplayKey};
    pub use crate::token::{ReplayOptions, Run, RunStage, SealedAnswer, Token, Verdict};
}

/// Runs the `callgate` program with the arguments and the environment of this process.
#[doc(hidden)]
pub fn main() -> std::process::ExitCode {
    cli::main()
}
