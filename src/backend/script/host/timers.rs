//! Host functions of timers.

use std::{rc::Rc, time::Duration};

use rquickjs::{Ctx, Function};

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::isolate::operations::OperationId;

/// Longest delay of a timer. No request lasts this long.
const DELAY_MAX: Duration = Duration::from_hours(1);

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let operations = Rc::clone(bindings.operations);
    let set = move |ctx: Ctx<'js>, millis: f64, run: Function<'js>, repeats: bool| {
        let call = operations.require_current(&ctx)?;
        let delay = Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(DELAY_MAX);
        let timer = operations.set_timer(&ctx, &call, (delay.min(DELAY_MAX), run))?;
        if repeats {
            operations.end_with_call(timer);
        }
        Ok::<_, rquickjs::Error>(timer)
    };
    bindings.set("setTimeout", Function::new(bindings.ctx.clone(), set)?)?;
    let operations = Rc::clone(bindings.operations);
    let clear = move |timer: OperationId| {
        if let Some(call) = operations.call_of(timer) {
            operations.clear_timer(&call, timer);
        }
    };
    bindings.set("clearTimeout", Function::new(bindings.ctx.clone(), clear)?)
}
