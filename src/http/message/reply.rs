//! What a handler gives back: a message, any other value, or nothing.

use std::fmt;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use serde_json::Value;

use crate::base::limits::HEADER_VALUE_BYTES_MAX;
use crate::base::limits::REPLY_HEADERS_MAX;
use crate::http::message::incoming::Picture;

/// A response under the handler's full control (4D `OutgoingMessage`).
#[derive(Clone)]
pub struct OutgoingMessage {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What a handler may return.
#[derive(Clone)]
pub enum Reply {
    /// Sent as it is.
    Message(OutgoingMessage),
    /// Sent as `{"result": value}`.
    Value(Value),
    /// Sent as 200 with an empty body.
    Nothing,
}

/// A body that sets its own content type.
#[derive(Clone)]
pub enum ReplyBody {
    /// `text/plain; charset=utf-8`.
    Text(String),
    /// `application/octet-stream`.
    Blob(Bytes),
    /// `application/json`, as it is.
    Object(Value),
    /// The type of the picture.
    Picture(Picture),
}

/// A header or status that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadReply {
    /// Not the name of a header field (RFC 9110 §5.1).
    Name(String),
    /// The value of this field has bytes that are not visible ASCII, spaces or tabs, or is too
    /// long; the value itself is not told, it may be a secret.
    Value(String),
    /// The field belongs to the connection, or to callgate.
    Reserved(String),
    /// Too many fields.
    TooMany,
    /// Not a final status: 200 to 599.
    Status(u16),
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a header name"),
            Self::Value(name) => write!(
                f,
                "the value of header {name:?} must be visible ASCII, at most \
                 {HEADER_VALUE_BYTES_MAX} bytes; encode anything else"
            ),
            Self::Reserved(name) => write!(f, "header {name:?} is set by callgate itself"),
            Self::TooMany => write!(f, "an answer has at most {REPLY_HEADERS_MAX} headers"),
            Self::Status(status) => write!(f, "{status} is not a status from 200 to 599"),
        }
    }
}

impl std::error::Error for BadReply {}

/// Fields that only the connection may set: a handler that could write them could end its response
/// early and write another one (docs/SECURITY.md T41).
const RESERVED: [HeaderName; 7] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::DATE,
    header::TRAILER,
    HeaderName::from_static("keep-alive"),
];

impl OutgoingMessage {
    /// An empty response with status 200.
    pub fn new() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Sets the body, and the content type that goes with it.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<ReplyBody>) -> Self {
        self.set_body(body);
        self
    }

    /// Sets the status.
    pub fn with_status(mut self, status: u16) -> Result<Self, BadReply> {
        self.set_status(status)?;
        Ok(self)
    }

    /// Sets a header field.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, BadReply> {
        self.set_header(name, value)?;
        Ok(self)
    }

    /// An HTML page.
    #[must_use]
    pub fn html(page: impl Into<String>) -> Self {
        let mut message = Self::new().with_body(page.into());
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        message.headers.insert(header::CONTENT_TYPE, kind);
        message
    }

    /// A redirection with status 303 (RFC 9110 §15.4.4): the browser goes there with a GET.
    pub fn redirect(location: &str) -> Result<Self, BadReply> {
        Self::new().with_status(303)?.with_header("Location", location)
    }

    /// Sets the body; the content type is always rewritten.
    pub fn set_body(&mut self, body: impl Into<ReplyBody>) {
        let (kind, bytes) = match body.into() {
            ReplyBody::Text(text) => ("text/plain; charset=utf-8", Bytes::from(text)),
            ReplyBody::Blob(bytes) => ("application/octet-stream", bytes),
            ReplyBody::Object(value) => ("application/json", Bytes::from(value.to_string())),
            ReplyBody::Picture(picture) => (picture.media_type, picture.bytes),
        };
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = bytes;
    }

    /// Sets a header field, replacing its value; `Set-Cookie` adds one more.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), BadReply> {
        let field: HeaderName = name.parse().map_err(|_| BadReply::Name(name.to_owned()))?;
        let safe = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        if value.len() > HEADER_VALUE_BYTES_MAX || !value.bytes().all(safe) {
            return Err(BadReply::Value(name.to_owned()));
        }
        if RESERVED.contains(&field) {
            return Err(BadReply::Reserved(name.to_owned()));
        }
        let value = HeaderValue::from_str(value).map_err(|_| BadReply::Value(name.to_owned()))?;
        if field == header::SET_COOKIE {
            self.headers.append(field, value);
        } else {
            self.headers.insert(field, value);
        }
        if self.headers.len() > REPLY_HEADERS_MAX {
            return Err(BadReply::TooMany);
        }
        Ok(())
    }

    /// Sets the status, 200 to 599: interim responses belong to the connection.
    pub fn set_status(&mut self, status: u16) -> Result<(), BadReply> {
        let allowed = (200..600).contains(&status);
        let code = StatusCode::from_u16(status).ok().filter(|_| allowed);
        self.status = code.ok_or(BadReply::Status(status))?;
        Ok(())
    }

    /// The status; 200 until it is set.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) fn into_parts(self) -> (StatusCode, HeaderMap, Bytes) {
        (self.status, self.headers, self.body)
    }
}

/// Status and size only: a page may hold the link with a token.
impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutgoingMessage({}, {} bytes)", self.status.as_u16(), self.body.len())
    }
}

/// The kind only, as above.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Value(_) => f.write_str("Value(..)"),
            Self::Nothing => f.write_str("Nothing"),
        }
    }
}

/// The kind only, as above.
impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Blob(_) => "Blob(..)",
            Self::Object(_) => "Object(..)",
            Self::Picture(_) => "Picture(..)",
        })
    }
}

impl Default for OutgoingMessage {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    /// The message that is sent (docs/CONTRACT.md §4).
    pub(crate) fn into_message(self) -> OutgoingMessage {
        match self {
            Self::Message(message) => message,
            Self::Value(value) => {
                OutgoingMessage::new().with_body(serde_json::json!({ "result": value }))
            }
            Self::Nothing => OutgoingMessage::new(),
        }
    }
}

impl From<OutgoingMessage> for Reply {
    fn from(message: OutgoingMessage) -> Self {
        Self::Message(message)
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

macro_rules! value_reply {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Reply {
            fn from(value: $kind) -> Self {
                Self::Value(value.into())
            }
        })*
    };
}

value_reply!(String, &str, bool, i64, u64, f64, Vec<String>);

impl From<String> for ReplyBody {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ReplyBody {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for ReplyBody {
    fn from(bytes: Bytes) -> Self {
        Self::Blob(bytes)
    }
}

impl From<Vec<u8>> for ReplyBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes.into())
    }
}

impl From<Value> for ReplyBody {
    fn from(value: Value) -> Self {
        Self::Object(value)
    }
}

impl From<Picture> for ReplyBody {
    fn from(picture: Picture) -> Self {
        Self::Picture(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(message: &OutgoingMessage) -> &str {
        message.headers()[header::CONTENT_TYPE].to_str().unwrap()
    }

    #[test]
    fn every_body_rewrites_the_content_type() {
        let mut message = OutgoingMessage::html("<p>");
        message.set_body("text");
        assert_eq!(kind(&message), "text/plain; charset=utf-8");
        message.set_body(vec![1_u8]);
        assert_eq!(kind(&message), "application/octet-stream");
        message.set_body(json!({"a": 1}));
        assert_eq!((kind(&message), &**message.body()), ("application/json", &br#"{"a":1}"#[..]));
        message.set_header("content-type", "text/html").unwrap();
        assert_eq!(kind(&message), "text/html");
    }

    #[test]
    fn a_handler_cannot_split_the_answer_or_frame_it() {
        let mut message = OutgoingMessage::new();
        for value in ["a\r\nb", "a\nb", "\0", "\x7f", "é", &"x".repeat(9000)] {
            assert!(matches!(message.set_header("X-A", value), Err(BadReply::Value(_))));
        }
        for name in ["Content-Length", "transfer-encoding", "CONNECTION", "Date"] {
            assert!(matches!(message.set_header(name, "1"), Err(BadReply::Reserved(_))), "{name}");
        }
        assert!(matches!(message.set_header("a b", "1"), Err(BadReply::Name(_))));
        for status in [0, 99, 101, 199, 600, 1000] {
            assert_eq!(message.set_status(status), Err(BadReply::Status(status)));
        }
        assert!(message.headers().is_empty() && message.status() == 200);
    }

    #[test]
    fn other_values_are_results_and_nothing_is_empty() {
        let body = |reply: Reply| reply.into_message().body().clone();
        assert_eq!(body(json!([1]).into()), r#"{"result":[1]}"#);
        assert_eq!(body("x".into()), r#"{"result":"x"}"#);
        assert_eq!(body(().into()), "");
    }
}
