//! What timers ask of the host.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::Ctx;
use rquickjs::Function;

use crate::backend::script::desk::OperationId;
use crate::backend::script::host::shelf::Shelf;

/// Longest delay of a timer: no request lives that long.
const DELAY_MAX: Duration = Duration::from_hours(1);

pub(super) fn put<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    let desk = Rc::clone(shelf.desk);
    let set = move |ctx: Ctx<'js>, millis: f64, run: Function<'js>, repeats: bool| {
        let call = desk.current(&ctx)?;
        let delay = Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(DELAY_MAX);
        let timer = desk.later(&ctx, &call, (delay.min(DELAY_MAX), run))?;
        if repeats {
            desk.disinherit(timer);
        }
        Ok::<_, rquickjs::Error>(timer)
    };
    shelf.put("setTimeout", Function::new(shelf.ctx.clone(), set)?)?;
    let desk = Rc::clone(shelf.desk);
    let clear = move |timer: OperationId| {
        if let Some(call) = desk.owner(timer) {
            desk.forget(&call, timer);
        }
    };
    shelf.put("clearTimeout", Function::new(shelf.ctx.clone(), clear)?)
}
