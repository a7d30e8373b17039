//! What `TextEncoder`, `TextDecoder` and the bodies of `fetch` ask of the host.

use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::Function;

use crate::backend::script::host::shelf::Bytes;
use crate::backend::script::host::shelf::Packed;
use crate::backend::script::host::shelf::Shelf;

pub(super) fn put<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    let bytes = |text: String| Bytes(text);
    shelf.put("utf8Bytes", Function::new(shelf.ctx.clone(), bytes)?)?;
    let text = |ctx: Ctx<'js>, bytes: Packed, fatal: bool| match String::from_utf8(bytes.0) {
        Ok(text) => Ok(text),
        Err(_) if fatal => Err(Exception::throw_type(&ctx, "the bytes are no UTF-8")),
        Err(error) => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    };
    shelf.put("utf8Text", Function::new(shelf.ctx.clone(), text)?)
}
