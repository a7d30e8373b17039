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
//!
//! # How a call ends on its budget
//!
//! The engine asks the `meter` whether to go on. As it is published it does so between the
//! functions of a script only, so that one search in a long text ran for minutes. callgate is built
//! with an engine that asks by the clock, in its own loops too (`vendor/rquickjs-sys`). What else
//! was considered, in 2026:
//!
//! - **Replacing built-ins in the prelude** leaves the operators: `[...list]`, `{...map}`, `a === b`
//!   and `a * b` of long integers take as long as one likes, and no script can put anything in their place.
//! - **A watchdog** can give the class a new engine, but cannot end the thread of the old one.
//! - **A process for each class** can be killed. A round trip to it takes no more processor time
//!   than one to a thread (5 µs against 7 µs), but `request.url` or `session.storage.a` would each
//!   be one more; it takes some 6 MB for each class, and a program that embeds callgate would have
//!   to start as a worker when it is told to.
//! - **The engine that asks** costs nothing per call. A built-in that was overlooked would still be
//!   a hole: `tests/heavy/endings.rs` calls every function of the realm on what makes it work long.

mod call;
mod class_info;
mod classes;
mod compiled;
mod completion;
mod cpu_budget;
mod engine;
mod environment;
pub mod fetch;
mod heap;
mod host;
mod interrupts;
mod isolate;
mod limits;
mod literals;
mod log;
mod module_loader;
mod operations;
mod prelude;
mod problem;
mod realm;
mod reply;
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
