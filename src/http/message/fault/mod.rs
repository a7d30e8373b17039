//! Errors as responses: the only place that turns one into a status and a text.
//!
//! A fault has two sides. What the client reads is fixed text from this file; what went wrong
//! inside is kept as the cause, for the log. No word of a cause can reach a client.

mod format;
mod handlers;
mod page;
mod repeats;
mod rest;
mod sessions;
mod upstreams;

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderValue;
use serde_json::json;

use crate::base::limits::RETRY_AFTER_SECS;
use crate::flow::rates::Wait;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::fault::page::HandlerFailure;
use crate::store::StoreError;
use crate::table::BadPath;
pub(crate) use format::ErrorFormat;

/// A failure of callgate itself, or of a handler that raised.
#[derive(Debug)]
pub struct Fault {
    status: StatusCode,
    code: &'static str,
    public: &'static str,
    shape: Shape,
    allow: Option<String>,
    closes: bool,
    /// Whether it is certain that the request has not reached the handler or upstream.
    unheard: bool,
    /// `Retry-After`, in seconds.
    retry_after: Option<u64>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    /// What is known of a handler that failed, shown in development only.
    failed: Option<Box<HandlerFailure>>,
    /// Codes and texts of an `__ERROR` array; empty where the status and the public text are it.
    stack: &'static [(u16, &'static str)],
}

/// Which of the two documented bodies a fault has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// RFC 9457, or a page for people.
    Problem,
    /// `{"__ERROR":[…]}`, as in 4D (docs/CONTRACT.md §4).
    ErrorStack,
}

impl Fault {
    /// A failure that is none of those named below; all its text is fixed.
    pub(crate) const fn new(status: StatusCode, code: &'static str, public: &'static str) -> Self {
        let shape = Shape::Problem;
        Self {
            status,
            code,
            public,
            shape,
            allow: None,
            closes: false,
            unheard: false,
            retry_after: None,
            cause: None,
            failed: None,
            stack: &[],
        }
    }

    fn because(self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// No row matches this path.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Nothing answers this address.")
    }

    /// Rows answer this path, but not this method; `allow` lists those that are answered.
    pub fn method_not_allowed(allow: String) -> Self {
        let text = "This address does not answer this method.";
        let fault = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        Self { allow: Some(allow), ..fault }
    }

    /// The method is one that no handler may see: `TRACE`, `CONNECT`, or not upper case.
    pub fn method_unknown() -> Self {
        let text = "This method is not supported.";
        Self::new(StatusCode::NOT_IMPLEMENTED, "method_unknown", text)
    }

    /// The request is ambiguous or malformed in some way that `code` names.
    pub fn bad_request(code: &'static str, public: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, public)
    }

    /// The request does not say plainly where it ends; its connection is closed.
    pub fn bad_framing() -> Self {
        let text = "The request does not say plainly where its body ends.";
        Self { closes: true, ..Self::bad_request("bad_framing", text) }
    }

    /// The request came over plain HTTP, and is none that could be sent on.
    pub fn not_encrypted() -> Self {
        let text = "This is answered over https only.";
        Self { closes: true, ..Self::bad_request("not_encrypted", text) }
    }

    /// The request target is longer than allowed.
    pub fn target_too_long() -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "target_too_long", "The address is too long.")
    }

    /// The body is longer than the row allows.
    pub fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large.")
    }

    /// The body did not come in time.
    pub fn body_too_slow() -> Self {
        let text = "The body did not arrive in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", text)
    }

    /// The body is compressed in a way that is not undone here (RFC 9110 §15.5.16).
    pub fn body_encoded() -> Self {
        let text = "Send the body without content encoding, or with gzip or deflate.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_encoded", text)
    }

    /// The body breaks off, or is not what its header says.
    pub fn broken_body() -> Self {
        Self::bad_request("bad_body", "The body is broken.")
    }

    /// The handler asked for a body of another kind, such as JSON; why it is none is for the log.
    pub fn bad_body(why: String) -> Self {
        let text = "The body is not what this address takes.";
        Self::bad_request("bad_body", text).because(why)
    }

    /// The header has too many fields, or one that is too long (RFC 6585 §5).
    pub fn header_too_large() -> Self {
        let text = "The header of the request is too large.";
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_large", text)
    }

    /// The request names a host that is none of ours (RFC 9110 §15.5.20).
    pub fn misdirected_host(host: &str) -> Self {
        let text = "This server does not answer for that host. If it should, its operator can list \
                    the host in the setting hosts, or have the proxy in front pass on the host that \
                    was asked for.";
        let why = format!("the host {host} is not listed in the setting hosts");
        let fault = Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected_host", text);
        fault.because(std::io::Error::other(why))
    }

    /// The request came in early data, and might do something if it came again (RFC 8470 §5.2).
    pub fn too_early() -> Self {
        let text = "Send this again once the connection is fully set up.";
        Self::new(StatusCode::TOO_EARLY, "too_early", text)
    }

    /// A page of this origin may not send this request (Fetch standard §3.2).
    pub fn origin_not_allowed() -> Self {
        let text = "Pages of this origin may not ask this.";
        Self::new(StatusCode::FORBIDDEN, "origin_not_allowed", text)
    }

    /// The client does something more often than it may (RFC 6585 §4).
    pub fn rate_limited(wait: Wait) -> Self {
        let text = "That was too often. Try again a little later.";
        let fault = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", text);
        Self { retry_after: Some(wait.secs()), ..fault }
    }

    /// The request would begin a session, and too many were begun just now.
    pub fn too_many_guests(wait: Wait) -> Self {
        let text = "Too many visitors have just arrived. Try again in a moment.";
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_guests", text);
        Self { retry_after: Some(wait.secs()), ..fault }
    }

    /// The session is a guest's, and the row requires a privilege.
    pub fn sign_in_first() -> Self {
        let text = "Sign in first.";
        Self::new(StatusCode::UNAUTHORIZED, "sign_in_first", text)
    }

    /// The session's user lacks the privilege that the row requires.
    pub fn not_allowed() -> Self {
        let text = "You are not allowed to do this.";
        Self::new(StatusCode::FORBIDDEN, "not_allowed", text)
    }

    /// The request has several tokens, and it is unknown which one is meant (docs/SECURITY.md T16).
    pub(crate) fn several_tokens() -> Self {
        let text = "The request brings more than one token; none was used.";
        Self::bad_request("several_tokens", text)
    }

    /// The request brings a token and is made in advance, so that its response would be shown
    /// later. The browser asks again when the person really comes.
    pub(crate) fn prefetched() -> Self {
        let text = "This address is not to be loaded in advance.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "prefetched", text)
    }

    /// A request that was kept for a moment is not here any more, or on another node.
    pub(crate) fn held_lost() -> Self {
        let text = "This took too long. Go back and send it again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "held_lost", text)
    }

    /// There is no room for another request that has to wait.
    pub(crate) fn held_full() -> Self {
        let text = "Too many requests are waiting. Try again in a moment.";
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "held_full", text);
        Self { retry_after: Some(RETRY_AFTER_SECS), ..fault }
    }

    /// The form that brings a token has more fields than a handler can read.
    pub(crate) fn form_too_large() -> Self {
        Self::bad_request("form_too_large", "The form has too many fields; its token was not used.")
    }

    /// The token was refused and the row wants this status (`otp.onRefused`).
    pub fn token_refused(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, "token_refused", "This link is not valid, or not valid any more.")
    }

    /// The form of the confirmation page is not one of ours, or has stood too long; the token is
    /// left alone.
    pub fn confirm_refused() -> Self {
        let text = "This page is not valid any more. Open the link again.";
        Self::new(StatusCode::FORBIDDEN, "confirm_refused", text)
    }

    /// callgate itself failed in a way that only its log can tell.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        let text = "Something went wrong on our side.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text).because(cause)
    }

    /// The same, and nothing more is read from the connection.
    #[must_use]
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// Whether the client was over a rate limit. The log counts it as no error of this server,
    /// although `too_many_guests` has the status 503.
    pub(crate) fn is_over_a_limit(&self) -> bool {
        matches!(self.code, "rate_limited" | "too_many_guests")
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The methods that the address answers, for a method that it does not.
    pub(crate) fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What a log may say about the inside: each cause in turn.
    pub fn inside(&self) -> Option<String> {
        use fmt::Write as _;
        if let Some(text) = self.text_raised() {
            return Some(text.to_owned());
        }
        let mut next: Option<&(dyn StdError + 'static)> = Some(&**self.cause.as_ref()?);
        let mut text = String::new();
        while let Some(error) = next {
            let between = if text.is_empty() { "" } else { ": " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{between}{error}");
            next = error.source();
        }
        Some(text)
    }

    /// The response in this format. With `development` it shows what a handler raised.
    pub(crate) fn response(
        &self,
        format: ErrorFormat,
        development: bool,
    ) -> Response<ResponseBody> {
        let detail = self.text_raised().filter(|_| development).unwrap_or(self.public);
        let (kind, body) = match (self.shape, format) {
            (_, ErrorFormat::Page) => ("text/html; charset=utf-8", self.page(development)),
            (_, ErrorFormat::Accounts) => ("application/json", self.coded()),
            (Shape::ErrorStack, _) | (_, ErrorFormat::ErrorStack) => {
                ("application/json", self.error_stack(detail))
            }
            (Shape::Problem, ErrorFormat::Problem) => ("application/problem+json", self.problem()),
        };
        let mut response = Response::new(ResponseBody::from(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if format == ErrorFormat::Page {
            let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        if let Some(secs) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            let codings = HeaderValue::from_static("gzip, deflate");
            headers.insert(header::ACCEPT_ENCODING, codings);
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(allow) =
            self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok())
        {
            headers.insert(header::ALLOW, allow);
        }
        response
    }

    fn problem(&self) -> String {
        json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.public,
        })
        .to_string()
    }

    fn coded(&self) -> String {
        let (code, status) = (self.code.to_uppercase(), self.status.as_u16());
        json!({ "code": code, "status": status, "message": self.public }).to_string()
    }

    fn error_stack(&self, detail: &str) -> String {
        let entry = |(code, text): (u16, &str)| json!({ "message": text, "componentSignature": "callgate", "errCode": code });
        let own = [(self.status.as_u16(), detail)];
        let stack = if self.stack.is_empty() { own.iter() } else { self.stack.iter() };
        let stack: Vec<_> = stack.map(|at| entry(*at)).collect();
        json!({ "__ERROR": stack }).to_string()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

impl StdError for Fault {}

impl From<StoreError> for Fault {
    /// Whatever fails in the store, no client is treated as a guest because of it.
    fn from(error: StoreError) -> Self {
        let text = "The service cannot answer just now. Try again in a moment.";
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", text);
        Self { retry_after: Some(RETRY_AFTER_SECS), ..fault.because(error) }
    }
}

impl From<BadPath> for Fault {
    fn from(bad: BadPath) -> Self {
        match bad {
            BadPath::OutsideMount => Self::not_found(),
            bad => Self::bad_request("bad_path", "The address is malformed.").because(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn no_word_of_a_cause_reaches_the_client() {
        for format in [
            ErrorFormat::Problem,
            ErrorFormat::Page,
            ErrorFormat::ErrorStack,
            ErrorFormat::Accounts,
        ] {
            for fault in [
                Fault::from(StoreError::Corrupt("secret-of-the-store".into())),
                Fault::raised("secret-of-the-handler".into()),
            ] {
                assert!(fault.inside().unwrap().contains("secret-of"));
                let response = fault.response(format, false);
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert!(!String::from_utf8_lossy(&body).contains("secret-of"));
            }
        }
    }

    #[tokio::test]
    async fn a_handlers_own_text_is_shown_in_development() {
        let response = Fault::raised("division by zero".into()).response(ErrorFormat::Page, true);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("division by zero"));
    }

    #[test]
    fn an_unavailable_store_says_when_to_come_back() {
        let response = Fault::from(StoreError::Full).response(ErrorFormat::Problem, false);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
