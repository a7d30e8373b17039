//! Handlers written in JavaScript: class files, each class in an isolate of its own.
//!
//! ```text
//!   Sources ── the class files, read at one moment ──▶ Classes ── one generation
//!                                                         │ one for each class that a row names
//!   request ─▶ Method ─▶ Isolate ── Command ──▶ │ thread of the class                       │
//!                  ▲        │                   │ Realm: slices of calls, on a Meter        │
//!                  │        └── Cancel ───────▶ │   Engine: heap, globals, Library          │
//!                  │                            │   Desk: calls, what the host does for them│
//!                  └──────── answer ─────────── │     ▲ Landed                              │
//!                                                     │
//!                     host operations, on the runtime's threads
//! ```
//!
//! A class is a singleton: one engine, one global object, one instance, one thread. Isolates
//! share nothing, so a class that spins or eats its memory hurts no other class.
//!
//! Nothing in an isolate waits. Its thread takes one `isolate::Command` at a time, runs a slice
//! of the call that the command is for, and then every job that came of it; whatever takes time
//! happens outside and comes back as a command. So every step that a script makes belongs to one
//! call, whose budget it is on.

mod answer;
mod call;
mod classes;
mod compiled;
mod desk;
mod engine;
mod environment;
mod facts;
pub mod fetch;
mod heap;
mod host;
mod isolate;
mod landed;
mod library;
mod limits;
mod literals;
mod log;
mod meter;
mod prelude;
mod problem;
mod realm;
mod sources;
mod thrown;

/// What a class sees, declared for editors and type checkers (TypeScript): the file that
/// `callgate init` writes as `callgate.d.ts`.
pub const DECLARATIONS: &str = include_str!("callgate.d.ts");

pub use classes::Classes;
pub use environment::Environment;
pub use fetch::Fetcher;
pub use limits::Limits;
pub(crate) use literals::Literal;
pub(crate) use literals::LiteralKind;
pub(crate) use literals::literals;
pub use problem::ClassProblem;
pub use sources::Sources;
