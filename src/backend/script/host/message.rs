//! Host functions of `OutgoingMessage`: whether a header field or status can be sent.

use rquickjs::{Ctx, Exception, Function};

use crate::{
    backend::script::host::bindings::Bindings,
    base::limits::REPLY_HEADERS_MAX,
    http::{OutgoingMessage, message::reply::BadReply},
};

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let ctx = bindings.ctx;
    let check = |ctx: Ctx<'js>, name: String, value: String, beside: usize| {
        check_header(&name, &value, beside)
            .map_err(|bad| Exception::throw_range(&ctx, &bad.to_string()))
    };
    bindings.set("checkHeader", Function::new(ctx.clone(), check)?)?;
    let check = |ctx: Ctx<'js>, status: f64| {
        check_status(status).map_err(|bad| Exception::throw_range(&ctx, &bad))
    };
    bindings.set("checkStatus", Function::new(ctx.clone(), check)?)
}

/// Returns the field name in lower case if the field can be sent with `beside` other fields.
fn check_header(name: &str, value: &str, beside: usize) -> Result<String, BadReply> {
    let mut message = OutgoingMessage::new();
    message.set_header(name, value)?;
    if beside >= REPLY_HEADERS_MAX {
        return Err(BadReply::TooMany);
    }
    Ok(name.to_ascii_lowercase())
}

fn check_status(status: f64) -> Result<(), String> {
    let bad = || format!("{status} is not a status from 200 to 599");
    if status.fract() != 0.0 || !(200.0..600.0).contains(&status) {
        return Err(bad());
    }
    Ok(())
}
