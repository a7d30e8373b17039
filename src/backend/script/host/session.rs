//! What `session` asks of the host.

use std::rc::Rc;

use rquickjs::Ctx;
use rquickjs::Function;
use rquickjs::Object;

use crate::backend::script::call::CallId;
use crate::backend::script::desk::Desk;
use crate::backend::script::landed::Failure;
use crate::backend::script::landed::Landed;
use crate::token::MintWish;

pub(super) fn functions<'js>(
    ctx: &Ctx<'js>,
    desk: &Rc<Desk>,
    host: &Object<'js>,
) -> rquickjs::Result<()> {
    host.set("sessionId", {
        let desk = Rc::clone(desk);
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, call: CallId| {
            Ok::<_, rquickjs::Error>(desk.call(&ctx, call)?.session.id().to_string())
        })
    })?;
    host.set("createOTP", {
        let desk = Rc::clone(desk);
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, call: CallId| {
            let call = desk.call(&ctx, call)?;
            let session = call.session.clone();
            desk.promise(&ctx, &call, async move {
                match session.create_otp(MintWish::default()).await {
                    Ok(token) => Landed::Text(token),
                    Err(error) => Landed::Failed(Failure::of(error)),
                }
            })
        })
    })
}
