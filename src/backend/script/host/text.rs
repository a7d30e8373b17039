//! What `TextEncoder`, `TextDecoder` and the bodies of `fetch` ask of the host.

use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::Function;
use rquickjs::TypedArray;

use crate::backend::script::host::shelf::Bytes;
use crate::backend::script::host::shelf::Shelf;

pub(super) fn put<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    let bytes = |text: String| Bytes(text);
    shelf.put("utf8Bytes", Function::new(shelf.ctx.clone(), bytes)?)?;
    let text = |ctx: Ctx<'js>, bytes: TypedArray<'js, u8>, fatal: bool| {
        let bytes = bytes.as_bytes().unwrap_or_default();
        if fatal && str::from_utf8(bytes).is_err() {
            return Err(Exception::throw_type(&ctx, "the bytes are no UTF-8"));
        }
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    shelf.put("utf8Text", Function::new(shelf.ctx.clone(), text)?)
}
