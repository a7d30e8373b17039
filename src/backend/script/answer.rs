//! What a handler returned, made into the answer of its row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rquickjs::Array;
use rquickjs::Ctx;
use rquickjs::Function;
use rquickjs::Value;

use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::http::reply::BadReply;
use crate::http::reply::Body;

/// Why what a handler returned is no answer.
pub(super) enum NoAnswer {
    /// In words for the author of the class.
    Refused(String),
    /// It threw while it was read; the engine holds what.
    Thrown,
}

impl From<rquickjs::Error> for NoAnswer {
    fn from(_: rquickjs::Error) -> Self {
        Self::Thrown
    }
}

impl From<BadReply> for NoAnswer {
    fn from(bad: BadReply) -> Self {
        Self::Refused(bad.to_string())
    }
}

/// The answer that a returned value stands for (contract §4). `unpack` is the prelude's, which
/// knows an `OutgoingMessage` from anything else.
pub(super) fn reply<'js>(
    ctx: &Ctx<'js>,
    unpack: &Function<'js>,
    value: Value<'js>,
    bytes_max: usize,
) -> Result<Reply, NoAnswer> {
    if value.is_undefined() {
        return Ok(Reply::Nothing);
    }
    if value.is_object() {
        let unpacked: Value<'js> = unpack.call((value.clone(),))?;
        if let Some(parts) = unpacked.as_array() {
            return message(parts, bytes_max).map(Reply::Message);
        }
    }
    let kind = value.type_name();
    let Some(text) = ctx.json_stringify(value)? else {
        return Err(NoAnswer::Refused(format!("a {kind} was returned, which is no JSON")));
    };
    let text = text.to_string()?;
    within(text.len(), bytes_max)?;
    // The text is sent as it is, inside an object: nothing is parsed only to be written again.
    let mut message = OutgoingMessage::new().with_body(format!("{{\"result\":{text}}}"));
    message.set_header("Content-Type", "application/json")?;
    Ok(Reply::Message(message))
}

/// A message from `[status, [[name, value]…], kind, text]`.
fn message(parts: &Array<'_>, bytes_max: usize) -> Result<OutgoingMessage, NoAnswer> {
    let (kind, text): (String, String) = (parts.get(2)?, parts.get(3)?);
    within(text.len() - if kind == "base64" { text.len() / 4 } else { 0 }, bytes_max)?;
    let mut message = OutgoingMessage::new();
    match &*kind {
        "none" => {}
        "base64" => {
            let bytes =
                STANDARD.decode(text).map_err(|error| NoAnswer::Refused(error.to_string()))?;
            message.set_body(Body::Blob(Bytes::from(bytes)));
        }
        kind => {
            message.set_body(text);
            if kind == "json" {
                message.set_header("Content-Type", "application/json")?;
            }
        }
    }
    for header in parts.get::<Array<'_>>(1)?.iter::<Array<'_>>() {
        let header = header?;
        let (name, value): (String, String) = (header.get(0)?, header.get(1)?);
        message.set_header(&name, &value)?;
    }
    message.set_status(parts.get(0)?)?;
    Ok(message)
}

fn within(bytes: usize, bytes_max: usize) -> Result<(), NoAnswer> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(NoAnswer::Refused(format!("the answer has {bytes} bytes; {bytes_max} are the limit")))
}
