//! What a handler is given: one request, read-only.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use crate::base::RequestId;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::text::query::Query;
use crate::base::text::query::QueryPairs;
use crate::http::message::parse::charset;
use crate::http::message::parse::form::BadForm;
use crate::http::message::parse::form::Form;
use crate::table::CanonicalPath;
use crate::token::Outcome;

/// One request (4D `IncomingMessage`); cheap to clone.
#[derive(Clone)]
pub struct IncomingMessage {
    parts: Arc<MessageParts>,
    /// The parameters of a function call; `None` for the request of a row.
    arguments: Option<Arc<[Value]>>,
}

/// What a request is made of.
pub(crate) struct MessageParts {
    pub(crate) id: RequestId,
    pub(crate) verb: String,
    pub(crate) url: String,
    pub(crate) path: CanonicalPath,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// The body, decoded where it was compressed for the way.
    pub(crate) body: Bytes,
    /// The body as it was sent, where that is something else.
    pub(crate) sent: Option<Bytes>,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) otp: Outcome,
}

/// A picture in a request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its media type, such as `image/png`.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A body that is no JSON, or JSON nested too deeply.
#[derive(Debug)]
pub struct BadJson(String);

impl fmt::Display for BadJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is not valid JSON: {}", self.0)
    }
}

impl std::error::Error for BadJson {}

impl IncomingMessage {
    pub(crate) fn new(parts: MessageParts) -> Self {
        Self { parts: Arc::new(parts), arguments: None }
    }

    /// The name of this request in logs and in the `X-Request-Id` of its response.
    pub fn id(&self) -> RequestId {
        self.parts.id
    }

    /// Path and query as they were received, still encoded.
    pub fn url(&self) -> &str {
        &self.parts.url
    }

    /// The path that was matched: decoded, runs of `/` merged, without mount prefix and query.
    pub fn path(&self) -> &str {
        self.parts.path.as_str()
    }

    /// The parts of the path between its slashes; empty ones are left out.
    pub fn url_path(&self) -> Vec<&str> {
        self.parts.path.segments().collect()
    }

    /// The parameters of the query as the URL Standard reads them, where `+` is a blank.
    pub fn query(&self) -> QueryPairs {
        let raw = self.parts.url.split_once('?').map_or("", |(_, query)| query);
        QueryPairs::read(raw)
    }

    /// The parameters of the query as 4D reads them.
    pub fn url_query(&self) -> &Query {
        &self.parts.query
    }

    /// The method in upper case.
    pub fn verb(&self) -> &str {
        &self.parts.verb
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The value of a header field, whatever the case of its name; empty when it is absent or
    /// not text. Of several values of one name, the first.
    pub fn header(&self, name: &str) -> &str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The named captures of the row's `regexPattern`.
    pub fn params(&self) -> &[(String, String)] {
        &self.parts.params
    }

    /// The value of one named capture.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.parts.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The address of the client: the peer of the connection or, behind a proxy that the setting
    /// `trusted_proxies` names, the client that it stands for. `None` when the request came
    /// through no socket.
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.parts.remote
    }

    /// What became of the token that this request carried (docs/CONTRACT.md §6.3).
    pub fn otp(&self) -> Outcome {
        self.parts.otp
    }

    /// The parameters of a function call (docs/CONTRACT.md §10); empty for the request of a row.
    pub fn arguments(&self) -> &[Value] {
        self.arguments.as_deref().unwrap_or_default()
    }

    /// The parameters of a function call as a JSON array, for handlers that read it with a parser
    /// of their own; `None` for the request of a row.
    #[cfg(feature = "script")]
    pub(crate) fn arguments_json(&self) -> Option<String> {
        serde_json::to_string(self.arguments.as_ref()?).ok()
    }

    /// The same request as a call with these parameters.
    #[must_use]
    pub(crate) fn with_arguments(self, arguments: Vec<Value>) -> Self {
        Self { arguments: Some(arguments.into()), ..self }
    }

    /// The body as text, in the charset that its content type names and without a byte order mark.
    /// What cannot be decoded is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        charset::text(self.content_type(), &self.parts.body)
    }

    /// The body as JSON, whatever the content type says. A byte order mark is skipped.
    pub fn json(&self) -> Result<Value, BadJson> {
        self.parsed().map(|(_, value)| value)
    }

    /// The text of a body that is JSON, for handlers that read it with a parser of their own.
    #[cfg(feature = "script")]
    pub(crate) fn json_text(&self) -> Result<Cow<'_, str>, BadJson> {
        self.parsed::<serde::de::IgnoredAny>().map(|(text, _)| text)
    }

    fn parsed<T: serde::de::DeserializeOwned>(&self) -> Result<(Cow<'_, str>, T), BadJson> {
        let text = charset::json(self.content_type(), &self.parts.body);
        if nesting(text.as_bytes()) > JSON_DEPTH_MAX {
            return Err(BadJson(format!("it is nested more than {JSON_DEPTH_MAX} deep")));
        }
        match serde_json::from_str(&text) {
            Ok(value) => Ok((text, value)),
            Err(error) => Err(BadJson(error.to_string())),
        }
    }

    fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE.as_str())
    }

    /// The body as it was sent: what signatures are made of.
    pub fn blob(&self) -> &Bytes {
        self.parts.sent.as_ref().unwrap_or(&self.parts.body)
    }

    /// The body as a picture; `None` unless the content type says image and the bytes agree.
    pub fn picture(&self) -> Option<Picture> {
        let claimed = self.content_type().to_ascii_lowercase();
        let media_type = Picture::sniff(&self.parts.body)?;
        claimed
            .starts_with("image/")
            .then(|| Picture { media_type, bytes: self.parts.body.clone() })
    }

    /// The fields of a submitted form, urlencoded or multipart.
    pub async fn form(&self) -> Result<Form, BadForm> {
        Form::read(self.content_type(), self.parts.body.clone()).await
    }
}

/// Method and path only: query, headers and body may carry secrets.
impl fmt::Debug for IncomingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingMessage({} {})", self.verb(), self.path())
    }
}

impl Picture {
    /// The media type that the first bytes of a picture give away.
    pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
        const SIGNATURES: [(&[u8], &str); 6] = [
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\xff\xd8\xff", "image/jpeg"),
            (b"GIF87a", "image/gif"),
            (b"GIF89a", "image/gif"),
            (b"BM", "image/bmp"),
            (b"II*\0", "image/tiff"),
        ];
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Some("image/webp");
        }
        SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| *kind)
    }
}

/// How deep JSON text is nested, without parsing it.
pub(crate) fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_counts_brackets_outside_of_texts() {
        assert_eq!(nesting(br#"{"a":[1,{"b":"[[[\"["}]}"#), 3);
        assert_eq!(nesting(b"1"), 0);
        assert_eq!(nesting("[".repeat(99).as_bytes()), 99);
    }

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        assert_eq!(Picture::sniff(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(Picture::sniff(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(Picture::sniff(b"<svg>"), None);
    }
}
