//! Host functions, which only the prelude can call. No class ever holds one of them.
//!
//! # How a host function is added
//!
//! 1. Define it in the [`Bindings`], in the file of the member that needs it, under the name by
//!    which the prelude calls it.
//!
//! 2. A function that belongs to a `request` or `session` takes the id of its call first.
//!    [`Bindings::getter`], [`Bindings::method`] and [`Bindings::async_method`] look the call up
//!    and throw if its request has ended. Global functions (`fetch`, timers) use
//!    [`Operations::require_current`].
//!
//! 3. Return a [`Failure`] to throw an error in the class. The failure may carry the error for the
//!    client.
//!
//! 4. An asynchronous function clones what it needs from the call. Its future runs on the runtime's
//!    threads, must not hold values of the engine, and returns a [`Completion`]. It is dropped if
//!    its call ends first.
//!
//! 5. The prelude (`prelude/*.js`) wraps the function. It defines the members that a class sees and
//!    checks the types of their arguments.
//!
//! [`Failure`]: crate::backend::script::isolate::completion::Failure
//! [`Completion`]: crate::backend::script::isolate::completion::Completion

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

use rquickjs::{Ctx, Object};

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::isolate::operations::Operations;

/// Creates all host functions, for [`crate::backend::script::prelude::MAIN`].
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
    functions.set("sessionCookieName", &*operations.environment.cookie_name)?;
    functions.set("keepsSessions", operations.environment.keeps_sessions)?;
    Ok(functions)
}
