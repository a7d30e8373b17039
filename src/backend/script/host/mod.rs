//! The functions that callgate gives to its own prelude; no class ever holds one of them.
//!
//! # How a host function is added
//!
//! 1. Write it here as a closure over `Rc<Desk>` and put it into the object that [`functions`]
//!    makes, under the name by which the prelude calls it.
//! 2. A function that belongs to a `request` or `session` takes the number of its call first and
//!    looks it up with [`Desk::call`], which raises when that request has ended. A function of
//!    the global world (`fetch`, timers) asks [`Desk::current`].
//! 3. What is answered at once returns `rquickjs::Result<T>`; errors are made by
//!    [`Desk::raise`] from a [`Failure`], which may keep what it means for the caller of the row.
//! 4. What waits clones what it needs out of the call and hands a future to [`Desk::promise`];
//!    the future runs on the runtime's threads, may hold nothing of the engine, and ends in a
//!    [`Landed`]. It is dropped when its call ends.
//! 5. The prelude (`prelude/*.js`) wraps it: it is where the members that a class sees are
//!    defined. It keeps the built-ins it needs in constants, because a class may change them.

mod session;
mod timers;

use std::rc::Rc;

use rquickjs::Ctx;
use rquickjs::Function;
use rquickjs::Object;

use crate::backend::script::call::CallId;
use crate::backend::script::desk::Desk;

/// All host functions, for [`crate::backend::script::prelude::MAIN`].
pub(super) fn functions<'js>(ctx: &Ctx<'js>, desk: &Rc<Desk>) -> rquickjs::Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    host.set("verb", {
        let desk = Rc::clone(desk);
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, call: CallId| {
            Ok::<_, rquickjs::Error>(desk.call(&ctx, call)?.request.verb().to_owned())
        })
    })?;
    session::functions(ctx, desk, &host)?;
    timers::functions(ctx, desk, &host)?;
    Ok(host)
}
