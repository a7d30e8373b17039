//! Converts what a handler returned into the response of its row.

use bytes::Bytes;
use rquickjs::{Array, Value};

use crate::{
    backend::script::host::Base64Bytes,
    http::{
        OutgoingMessage, Reply,
        message::reply::{BadReply, ReplyBody},
    },
};

/// Why a returned value cannot be sent as a response.
pub(crate) enum ReplyError {
    /// An error text for the author of the class.
    Refused(String),
    /// Reading the value threw. The engine holds the exception.
    Thrown,
}

impl From<rquickjs::Error> for ReplyError {
    fn from(_: rquickjs::Error) -> Self {
        Self::Thrown
    }
}

impl From<BadReply> for ReplyError {
    fn from(bad: BadReply) -> Self {
        Self::Refused(bad.to_string())
    }
}

/// Converts a returned value into a response (docs/CONTRACT.md §4). The prelude has already reduced
/// it to one of three forms: `undefined`, the JSON text of a result, or `[status, [name, value, …],
/// text, bytes]` of an `OutgoingMessage`.
pub(crate) fn from_value(value: &Value<'_>, bytes_max: usize) -> Result<Reply, ReplyError> {
    if let Some(parts) = value.as_array() {
        return message(parts, bytes_max).map(Reply::Message);
    }
    let Some(text) = value.as_string() else { return Ok(Reply::Nothing) };
    let text = text.to_string()?;
    within(text.len(), bytes_max)?;
    // The text is sent unchanged, so it is not parsed and serialized again.
    let mut message = OutgoingMessage::new().with_body(text);
    message.set_header("Content-Type", "application/json")?;
    Ok(Reply::Message(message))
}

fn message(parts: &Array<'_>, bytes_max: usize) -> Result<OutgoingMessage, ReplyError> {
    let mut message = OutgoingMessage::new();
    let (text, packed): (Option<String>, Option<Base64Bytes>) = (parts.get(2)?, parts.get(3)?);
    if let Some(body) = text.map(Bytes::from).or(packed.map(|packed| packed.0.into())) {
        within(body.len(), bytes_max)?;
        message.set_body(ReplyBody::Blob(body));
    }
    let headers: Vec<String> = parts.get(1)?;
    let (headers, _) = headers.as_chunks::<2>();
    for [name, value] in headers {
        message.set_header(name, value)?;
    }
    message.set_status(parts.get(0)?)?;
    Ok(message)
}

fn within(bytes: usize, bytes_max: usize) -> Result<(), ReplyError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(ReplyError::Refused(format!("the answer has {bytes} bytes; {bytes_max} are the limit")))
}
