//! Handlers written in JavaScript. Each class of the classes folder runs in its own isolate.
//!
//! ```text
//!   Sources ── the class files, read at one moment ──▶ Classes ── one generation
//!                                                         │ one isolate per class in the table
//!   request ─▶ Method ─▶ Isolate ── Command ──▶ │ thread of the class                       │
//!                  ▲        │                   │ Realm: slices of calls, on a CpuBudget    │
//!                  │        └── Cancel ───────▶ │   Engine: heap, globals, ModuleLoader     │
//!                  │                            │   Operations: calls, host operations      │
//!                  └──────── reply ──────────── │     ▲ Completion                          │
//!                                                     │
//!                     host operations, on the runtime's threads
//! ```
//!
//! A class is a singleton: one engine, one global object, one instance, one thread. Isolates share
//! nothing, so a class that loops or exhausts its memory affects no other class.
//!
//! Nothing in an isolate blocks. Its thread takes one `isolate::Command` at a time, runs a slice of
//! the call that the command is for, and then every job that the slice queued. Work that takes time
//! runs outside and reports back with a command. So each step of a script belongs to one call and
//! is charged to that call's budget.
//!
//! # How a call is stopped
//!
//! The engine calls the interrupt handler, which asks the `CpuBudget` whether to continue. The
//! published engine does so only between script functions, so one search in a long string could run
//! for minutes. callgate is built with a patched engine that also checks the clock in its own loops
//! (`vendor/rquickjs-sys`). Alternatives that were considered in 2026:
//!
//! - **Replacing built-ins in the prelude** does not cover operators. `[...list]`, `{...map}`,
//!   `a === b` and `a * b` of long integers are unbounded as well, and no script can replace
//!   them.
//! - **A watchdog** can give the class a new engine, but cannot end the thread of the old one.
//! - **A process per class** can be killed. A round trip to it takes no more CPU time than one to a
//!   thread (5 µs against 7 µs). But `request.url` and `session.storage.a` would each become a
//!   round trip, each class would take some 6 MB, and a program that embeds callgate would have to
//!   be able to start as a worker.
//! - **The patched engine** costs nothing per call. A built-in that was overlooked would still be a
//!   hole, so `tests/heavy/endings.rs` calls every function of the realm with arguments that make
//!   it run long.

mod classes;
mod engine;
mod environment;
pub mod fetch;
mod host;
mod isolate;
mod log;
mod prelude;
mod source;

/// The declarations of everything that a class can use, for editors and type checkers (TypeScript).
/// `callgate init` writes them to `callgate.d.ts`.
pub const DECLARATIONS: &str = include_str!("callgate.d.ts");

pub use classes::Classes;
pub use environment::Environment;
pub use fetch::Fetcher;
pub use source::Sources;
pub(crate) use source::literals::{Literal, LiteralKind, literals};
pub use source::problem::ClassProblem;
