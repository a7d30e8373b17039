//! How answers are dressed: the cookie, and the headers that every answer to a request has.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::RequestId;
use crate::http::answer::AnswerBody;
use crate::http::brought::Brought;
use crate::http::brought::brings_token;
use crate::http::cookie::CookieRule;
use crate::http::cors::Grant;
use crate::http::fault::Speaks;
use crate::table::Reserved;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
/// A year, and every host below, as the lists that browsers ship with ask for (RFC 6797 §6.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Drops a `Set-Cookie` by which a handler would give away a cookie of callgate's of its own
/// making.
pub(crate) fn without_own_cookie(mut headers: HeaderMap, rule: &CookieRule) -> HeaderMap {
    let is_own = |value: &HeaderValue| {
        let bytes = value.as_bytes().trim_ascii();
        // A cookie without a name comes back as its bare value (RFC 6265bis §5.8.3), which may
        // look like one with a name.
        let bytes = bytes.strip_prefix(b"=").unwrap_or(bytes);
        let given = bytes.split(|byte| b"=;".contains(byte)).next();
        given.is_some_and(|given| rule.reserves(given))
    };
    if headers.get_all(header::SET_COOKIE).iter().any(is_own) {
        let kept: Vec<_> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter(|value| !is_own(value))
            .cloned()
            .collect();
        headers.remove(header::SET_COOKIE);
        headers.extend(kept.into_iter().map(|value| (header::SET_COOKIE, value)));
    }
    headers
}

/// 204, with the methods that are answered if there is something to say about them.
pub(crate) fn no_content(allow: Option<&str>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(allow).ok()) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// How every answer to one request is dressed, whatever it says.
pub(crate) struct Manner {
    pub(crate) speaks: Speaks,
    /// The session cookie that the browser is to keep.
    pub(crate) cookie: Option<HeaderValue>,
    /// The binding cookie that it is to keep.
    pub(crate) binding: Option<HeaderValue>,
    is_head: bool,
    /// Whether the request carried a token, spent or not.
    pub(crate) saw_token: bool,
    /// What the answer says about origins, where there are rules for them.
    pub(crate) grant: Option<Grant>,
    /// Whether browsers are told to come over https only.
    pub(crate) hsts: bool,
}

impl Manner {
    pub(crate) fn of(head: &Head) -> Self {
        let saw_token = head.uri.query().is_some_and(brings_token);
        let is_head = head.method == Method::HEAD;
        let speaks = Speaks::of(&head.headers);
        let (cookie, binding) = (None, None);
        Self { speaks, cookie, binding, is_head, saw_token, grant: None, hsts: false }
    }

    /// Under `/rest`, failures have the model's own shape.
    pub(crate) fn speak_to(&mut self, reserved: Reserved) {
        if reserved == Reserved::Rest {
            self.speaks = Speaks::ErrorStack;
        }
    }

    /// Remembers whether the request carried something in the place of a token.
    pub(crate) fn watch(&mut self, brought: &Brought) {
        self.saw_token |= !matches!(brought, Brought::Nothing);
    }

    /// A token must not leave in a `Referer` or stay in a cache, on whatever answer
    /// (docs/SECURITY.md T04). The rest are the defaults of docs/SECURITY.md D.10.
    pub(crate) fn dress(self, response: &mut Response<AnswerBody>, id: RequestId) {
        let headers = response.headers_mut();
        for cookie in [self.cookie, self.binding].into_iter().flatten() {
            headers.append(header::SET_COOKIE, cookie);
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
        if self.saw_token {
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
        headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(NOSNIFF);
        headers.entry(header::REFERRER_POLICY).or_insert(REFERRER_POLICY);
        if self.hsts {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
        if let Some(grant) = self.grant {
            grant.dress(headers);
        }
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        cut_body(response, self.is_head);
    }
}

/// Takes away a body that must not be sent (RFC 9110 §6.4.1). hyper does so over HTTP/1.1; over
/// HTTP/2 it sends the body, and clients reset the stream.
pub(crate) fn cut_body(response: &mut Response<AnswerBody>, is_head: bool) {
    let is_empty = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !is_head && !is_empty {
        return;
    }
    let body = std::mem::take(response.body_mut());
    let length = body.size_hint().exact().filter(|_| !is_empty);
    // What an upstream says about the body that it was not asked for is better known to it.
    if let (AnswerBody::Whole(_), Some(length)) = (body, length) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
