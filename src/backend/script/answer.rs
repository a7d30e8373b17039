//! What a handler returned, made into the answer of its row.

use bytes::Bytes;
use rquickjs::Array;
use rquickjs::Value;

use crate::backend::script::host::Packed;
use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::http::message::reply::BadReply;
use crate::http::message::reply::Body;

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

/// The answer that stands for a returned value (docs/CONTRACT.md §4), from what the prelude has
/// made of it: nothing, the JSON text of a result, or `[status, [name, value, …], text, bytes]` of
/// an `OutgoingMessage`.
pub(super) fn reply(value: &Value<'_>, bytes_max: usize) -> Result<Reply, NoAnswer> {
    if let Some(parts) = value.as_array() {
        return message(parts, bytes_max).map(Reply::Message);
    }
    let Some(text) = value.as_string() else { return Ok(Reply::Nothing) };
    let text = text.to_string()?;
    within(text.len(), bytes_max)?;
    // The text is sent as it is: nothing is parsed only to be written again.
    let mut message = OutgoingMessage::new().with_body(text);
    message.set_header("Content-Type", "application/json")?;
    Ok(Reply::Message(message))
}

fn message(parts: &Array<'_>, bytes_max: usize) -> Result<OutgoingMessage, NoAnswer> {
    let mut message = OutgoingMessage::new();
    let (text, packed): (Option<String>, Option<Packed>) = (parts.get(2)?, parts.get(3)?);
    if let Some(body) = text.map(Bytes::from).or(packed.map(|packed| packed.0.into())) {
        within(body.len(), bytes_max)?;
        message.set_body(Body::Blob(body));
    }
    let headers: Vec<String> = parts.get(1)?;
    let (headers, _) = headers.as_chunks::<2>();
    for [name, value] in headers {
        message.set_header(name, value)?;
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
