//! What timers ask of the host.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::Ctx;
use rquickjs::Function;
use rquickjs::Object;

use crate::backend::script::desk::Desk;
use crate::backend::script::desk::OperationId;

/// Longest delay of a timer: no request lives that long.
const DELAY_MAX: Duration = Duration::from_hours(1);

pub(super) fn functions<'js>(
    ctx: &Ctx<'js>,
    desk: &Rc<Desk>,
    host: &Object<'js>,
) -> rquickjs::Result<()> {
    host.set("setTimeout", {
        let desk = Rc::clone(desk);
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, millis: f64, run: Function<'js>| {
            let call = desk.current(&ctx)?;
            let delay = Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or_default();
            desk.later(&ctx, &call, (delay.min(DELAY_MAX), run))
        })
    })?;
    host.set("clearTimeout", {
        let desk = Rc::clone(desk);
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, timer: Option<OperationId>| {
            let call = desk.current(&ctx)?;
            if let Some(timer) = timer {
                desk.forget(&call, timer);
            }
            Ok::<_, rquickjs::Error>(())
        })
    })
}
