//! Host functions of `TextEncoder`, `TextDecoder` and the bodies of `fetch`.

use rquickjs::{Ctx, Exception, Function};

use crate::backend::script::host::bindings::{Base64Bytes, Bindings, Bytes};

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let bytes = |text: String| Bytes(text);
    bindings.set("utf8Bytes", Function::new(bindings.ctx.clone(), bytes)?)?;
    let text = |ctx: Ctx<'js>, bytes: Base64Bytes, fatal: bool| match String::from_utf8(bytes.0) {
        Ok(text) => Ok(text),
        Err(_) if fatal => Err(Exception::throw_type(&ctx, "the bytes are no UTF-8")),
        Err(error) => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    };
    bindings.set("utf8Text", Function::new(bindings.ctx.clone(), text)?)
}
