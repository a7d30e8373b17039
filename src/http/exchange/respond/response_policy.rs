//! Response headers: the cookies of callgate, and what every response to a request carries.

use hyper::HeaderMap;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::RequestId;
use crate::http::edge::cors::CorsGrant;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::outgoing::cut_body;
use crate::http::message::cookie::CookieRule;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::http::message::token_place::Brought;
use crate::table::Reserved;
use crate::token::text::brings_token;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
/// A year, and every host below, as the lists that browsers ship with ask for (RFC 6797 §6.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Drops every `Set-Cookie` of a handler that names a cookie of callgate.
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

/// What the response to a request carries, whichever phase it comes from. Responses of the
/// redirecting and of the internal listener do not pass here.
pub(crate) struct ResponsePolicy {
    format: ErrorFormat,
    /// Whether errors show what a handler raised.
    development: bool,
    /// The session cookie that the browser is given.
    pub(crate) cookie: Option<HeaderValue>,
    /// The same for a client of `/rest`.
    pub(crate) rest_cookie: Option<HeaderValue>,
    /// The binding cookie that it is given.
    pub(crate) binding: Option<HeaderValue>,
    /// Whether the request carried a token, spent or not.
    pub(crate) saw_token: bool,
    /// What the response says about origins, where there are rules for them.
    pub(crate) grant: Option<CorsGrant>,
    /// Whether browsers are told to use https only.
    pub(crate) hsts: bool,
}

impl ResponsePolicy {
    pub(crate) fn of(head: &Head, development: bool) -> Self {
        let saw_token = head.uri.query().is_some_and(brings_token);
        let format = ErrorFormat::of(&head.headers);
        Self {
            format,
            development,
            cookie: None,
            rest_cookie: None,
            binding: None,
            saw_token,
            grant: None,
            hsts: false,
        }
    }

    /// Under `/rest`, errors have the shape that 4D documents.
    pub(crate) fn format_for(&mut self, reserved: Reserved) {
        if reserved == Reserved::Rest {
            self.format = ErrorFormat::ErrorStack;
        }
    }

    /// The rows of `callgate.Accounts` have errors of their own form.
    pub(crate) fn format_for_accounts(&mut self) {
        self.format = ErrorFormat::Accounts;
    }

    /// An error as a response that the client can read.
    pub(crate) fn error(&self, fault: &Fault) -> Response<ResponseBody> {
        fault.response(self.format, self.development)
    }

    /// Remembers whether the request carried something in the place of a token.
    pub(crate) fn watch(&mut self, brought: &Brought) {
        self.saw_token |= !matches!(brought, Brought::Nothing);
    }

    /// A token must not leave in a `Referer` or stay in a cache, on any response
    /// (docs/SECURITY.md T04). The rest are the defaults of docs/SECURITY.md D.10.
    pub(crate) fn apply(self, response: &mut Response<ResponseBody>, id: RequestId, is_head: bool) {
        let headers = response.headers_mut();
        for cookie in [self.cookie, self.rest_cookie, self.binding].into_iter().flatten() {
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
            grant.apply(headers);
        }
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        cut_body(response, is_head);
    }
}
