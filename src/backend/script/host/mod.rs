//! The functions that callgate gives to its own prelude; no class ever holds one of them.
//!
//! # How a host function is added
//!
//! 1. Put it onto the [`Shelf`], in the file of the member that needs it, under the name by which
//!    the prelude calls it.
//! 2. A function that belongs to a `request` or `session` takes the number of its call first:
//!    [`Shelf::tells`], [`Shelf::does`] and [`Shelf::awaits`] look it up and raise when that
//!    request has ended. A function of the global world (`fetch`, timers) asks [`Desk::current`].
//! 3. What it refuses is a [`Failure`], raised in the class; it may keep what it means for the
//!    caller of the row.
//! 4. What waits clones what it needs out of the call; its future runs on the runtime's threads,
//!    may hold nothing of the engine, and ends in a [`Landed`]. It is dropped when its call ends.
//! 5. The prelude (`prelude/*.js`) wraps it: it is where the members that a class sees are
//!    defined, with the types of their arguments checked.
//!
//! [`Failure`]: crate::backend::script::landed::Failure
//! [`Landed`]: crate::backend::script::landed::Landed

mod address;
mod bindings;
mod console;
mod crypto;
mod fetch;
mod message;
mod request;
mod session;
mod storage;
mod text;
mod timers;

pub(super) use bindings::Base64Bytes;

use std::rc::Rc;

use rquickjs::Ctx;
use rquickjs::Object;

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::operations::Operations;

/// All host functions, for [`crate::backend::script::prelude::MAIN`].
pub(super) fn functions<'js>(
    ctx: &Ctx<'js>,
    operations: &Rc<Operations>,
) -> rquickjs::Result<Object<'js>> {
    let functions = Object::new(ctx.clone())?;
    let bindings = Bindings { ctx, operations, functions: &functions };
    request::bind(&bindings)?;
    session::bind(&bindings)?;
    storage::bind(&bindings)?;
    message::bind(&bindings)?;
    console::bind(&bindings)?;
    timers::bind(&bindings)?;
    fetch::bind(&bindings)?;
    address::bind(&bindings)?;
    text::bind(&bindings)?;
    crypto::bind(&bindings)?;
    Ok(functions)
}
