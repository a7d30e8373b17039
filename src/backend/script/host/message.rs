//! What `OutgoingMessage` asks of the host: whether a header or a status can be sent.

use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::Function;

use crate::backend::script::host::shelf::Shelf;
use crate::base::limits::REPLY_HEADERS_MAX;
use crate::http::OutgoingMessage;
use crate::http::message::reply::BadReply;

pub(super) fn put<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    let ctx = shelf.ctx;
    let check = |ctx: Ctx<'js>, name: String, value: String, beside: usize| {
        check_header(&name, &value, beside)
            .map_err(|bad| Exception::throw_range(&ctx, &bad.to_string()))
    };
    shelf.put("checkHeader", Function::new(ctx.clone(), check)?)?;
    let check = |ctx: Ctx<'js>, status: f64| {
        check_status(status).map_err(|bad| Exception::throw_range(&ctx, &bad))
    };
    shelf.put("checkStatus", Function::new(ctx.clone(), check)?)
}

/// The name by which a field is known, in lower case, if it can be sent with `beside` others.
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
