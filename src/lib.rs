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
//! # Where things are
//!
//! The crate is built in floors, and imports go down only; `tests/tidy.rs` holds that up.
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 0 | [`base`] | values, limits, and the only two sources of uncertainty: clock and randomness |
//! | 1 | [`table`] | `handlers.json`: reading, checking, matching, explaining, proving |
//! | 1 | [`session`] | what a session is, who may open it, how long it lives |
//! | 1 | [`token`] | what a token is, and every way a redemption can end |
//! | 2 | [`store`] | keeping both: the port, its contract, the stores |
//! | 3 | [`flow`] | what happens to sessions and tokens on behalf of one request, without HTTP |
//! | 4 | [`http`] | the life of a request, from a connection to a response |
//! | 5 | [`backend`] | what handles a row: native handlers, class files in JavaScript, forward rows |
//! | 5 | `rest` | functions that are called by name, below `/rest` and `/4DACTION` |
//! | 5 | [`admin`] | the internal listener: health, the operator's view, the session API |
//! | 6 | [`settings`] | flags, environment and file, made into one checked value |
//! | 7 | [`gate`] | everything put together, to serve or to drive in a test |
//! | 8 | [`cli`] | the `callgate` program |
//!
//! To follow a request, begin at [`http::conn`] and read [`http::exchange`]; to follow a token,
//! read [`token`], [`flow`] and the [`store::Store`] port.
//!
//! Comments cite what callgate does as `docs/CONTRACT.md §…`, and threats, guarantees and limits as
//! `docs/SECURITY.md …`, by the ids of these pages.
//!
//! # Invariants
//!
//! Most of them are absences.
//!
//! 1. Floors 0 and 1 are pure: no `async`, no lock, no I/O. Only [`base::clock`] reads the time,
//!    only [`base::entropy`] asks for randomness, only `settings::sources` reads the environment,
//!    only [`cli`] prints.
//! 2. [`flow`] never names [`http`]; [`http`] never names a concrete store or backend;
//!    [`backend`], `rest` and [`admin`] never name each other; only [`gate`] and [`cli`] name
//!    [`settings`].
//! 3. Secrets are types without `Display`, `Serialize` and `PartialEq`, with a redacted `Debug`,
//!    wiped on drop. What is stored of them is a digest.
//! 4. Of any number of requests that carry a token, one redeems it. A redemption whose outcome is
//!    unknown counts as spent; its response is 503.
//! 5. A session that ended never comes back: no verb of the port creates on update, and its id
//!    is remembered for longer than any cookie could create it again.
//! 6. No public text of a response is made from an inner error ([`http::message::fault`]).
//! 7. A store that fails makes no client a guest.
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
//!     it was used ([`store::shared`]).
//! 13. Nothing is passed on to others that could open a session: not the token, not a cookie of
//!     ours ([`http::exchange::routes::proxy`]).
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `embedded` | yes | the durable store for one machine |
//! | `redis` | yes | the store for many nodes on Redis or Valkey |
//! | `postgres` | yes | the store for many nodes on PostgreSQL |
//! | `script` | yes | classes written in JavaScript |
//! | `failpoints` | no | places where a test breaks callgate off, makes it fail or holds it up |
//! | `testing` | no | a manual clock, seeded entropy, the store contract suite, the faulty store, the rules that fuzzers try to break |

pub mod base;

pub mod session;
pub mod table;
pub mod token;

pub mod store;

pub mod flow;

pub mod http;

pub mod admin;
pub mod backend;
pub(crate) mod rest;

pub mod settings;

pub mod gate;

pub mod cli;
#[cfg(feature = "testing")]
pub mod fuzz;

pub use backend::Singleton;
pub use gate::Gate;
pub use http::{IncomingMessage, OutgoingMessage, Session};
pub use settings::Settings;
