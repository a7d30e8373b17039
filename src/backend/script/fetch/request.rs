//! A validated `fetch` request, and how a redirect changes it.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, header,
    header::{HeaderName, HeaderValue},
};
use url::Url;

use crate::{
    backend::script::fetch::{FetchError, build_request, origin_of},
    http::outbound::SentBody,
};

/// A request that a class sends.
pub(crate) struct FetchRequest {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) redirect: RedirectMode,
    pub(crate) timeout: Option<Duration>,
}

/// How redirects are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectMode {
    /// The redirect is followed.
    Follow,
    /// The class gets the redirect response.
    Manual,
    /// A redirect is an error.
    Error,
}

/// Header fields that frame the request or belong to the connection. With these a class could end
/// its request early and smuggle another one behind it.
const RESERVED: [HeaderName; 10] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// Header fields that are removed on a redirect to another origin (Fetch Standard, §4.4).
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

impl FetchRequest {
    /// Creates a `GET` request for a URL.
    pub(crate) fn get(url: &str) -> Result<Self, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Address)?;
        Ok(Self {
            url,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            redirect: RedirectMode::Follow,
            timeout: None,
        })
    }

    /// Sets the method. The common ones are converted to upper case, as in browsers.
    pub(crate) fn set_method(&mut self, name: &str) -> Result<(), FetchError> {
        const COMMON: [Method; 5] =
            [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD];
        let common = COMMON.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name));
        let method = common.or_else(|| Method::from_bytes(name.as_bytes()).ok());
        let method = method.filter(|method| ![Method::CONNECT, Method::TRACE].contains(method));
        self.method = method.ok_or_else(|| FetchError::Method(name.to_owned()))?;
        Ok(())
    }

    /// Sets the body. `GET` and `HEAD` cannot have one (Fetch Standard, §5.4).
    pub(crate) fn set_body(&mut self, body: Bytes) -> Result<(), FetchError> {
        if matches!(self.method, Method::GET | Method::HEAD) {
            return Err(FetchError::Body(self.method.to_string()));
        }
        self.body = body;
        Ok(())
    }

    /// Adds a header field.
    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<(), FetchError> {
        let bad = || FetchError::Header(name.to_owned());
        let field: HeaderName = name.parse().map_err(|_| bad())?;
        if RESERVED.contains(&field) {
            return Err(FetchError::Reserved(name.to_owned()));
        }
        let safe = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        if !value.bytes().all(safe) {
            return Err(bad());
        }
        let value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
        self.headers.append(field, value);
        Ok(())
    }

    /// Creates the request to send.
    pub(super) fn to_request(&self) -> Result<Request<SentBody>, FetchError> {
        let mut headers = self.headers.clone();
        let mut default = |name: HeaderName, value: &'static str| {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        };
        default(header::ACCEPT, "*/*");
        default(header::USER_AGENT, concat!("callgate/", env!("CARGO_PKG_VERSION")));
        // Responses are not decompressed.
        default(header::ACCEPT_ENCODING, "identity");
        build_request(self.method.clone(), &self.url, headers, self.body.clone())
    }

    /// The request that follows a redirect, if the response is one (Fetch Standard, §4.4).
    pub(super) fn redirected<B>(&self, response: &Response<B>) -> Option<Result<Self, FetchError>> {
        let status = response.status();
        let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = response.headers().get(header::LOCATION).filter(|_| redirects)?;
        let url = location.to_str().ok().and_then(|to| self.url.join(to).ok());
        Some(url.ok_or_else(|| FetchError::BadRedirect(origin_of(&self.url))).map(|url| {
            let mut next = Self {
                method: self.method.clone(),
                headers: self.headers.clone(),
                body: self.body.clone(),
                redirect: self.redirect,
                timeout: None,
                url,
            };
            next.redirected_from(&self.url, status);
            next
        }))
    }

    fn redirected_from(&mut self, before: &Url, status: StatusCode) {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if before.origin() != self.url.origin() {
            for name in CREDENTIALS {
                self.headers.remove(name);
            }
        }
    }
}

impl std::str::FromStr for RedirectMode {
    type Err = FetchError;

    fn from_str(word: &str) -> Result<Self, FetchError> {
        match word {
            "follow" => Ok(Self::Follow),
            "manual" => Ok(Self::Manual),
            "error" => Ok(Self::Error),
            _ => Err(FetchError::RedirectMode(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(method: &str, status: u16, to: &'static str) -> FetchRequest {
        let mut request = FetchRequest::get("https://a.example/pay?key=1").unwrap();
        request.set_method(method).unwrap();
        request.add_header("Authorization", "Bearer x").unwrap();
        request.add_header("Content-Type", "text/plain").unwrap();
        request.body = Bytes::from_static(b"body");
        let response = Response::builder().status(status).header("location", to);
        request.redirected(&response.body(()).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn a_redirection_keeps_the_body_only_where_it_may() {
        for (method, status, then) in [
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("PUT", 303, "GET"),
            ("PUT", 302, "PUT"),
            ("POST", 307, "POST"),
            ("post", 308, "POST"),
        ] {
            let next = redirected(method, status, "/done");
            assert_eq!((next.method.as_str(), next.url.as_str()), (then, "https://a.example/done"));
            assert_eq!(next.body.is_empty(), then == "GET", "{method} {status}");
            assert_eq!(next.headers.contains_key("content-type"), then != "GET");
            assert!(next.headers.contains_key("authorization"));
        }
    }

    #[test]
    fn credentials_are_removed_on_a_redirect_to_another_origin() {
        for to in
            ["https://b.example/", "http://a.example/", "https://a.example:8443/", "//b.example"]
        {
            assert!(!redirected("GET", 302, to).headers.contains_key("authorization"), "{to}");
        }
    }

    #[test]
    fn a_class_cannot_set_fields_that_frame_a_request() {
        let mut request = FetchRequest::get("https://a.example/").unwrap();
        for name in ["Host", "content-length", "Transfer-Encoding", "connection", "upgrade"] {
            assert!(
                matches!(request.add_header(name, "1"), Err(FetchError::Reserved(_))),
                "{name}"
            );
        }
        for value in ["a\r\nb: c", "a\0", "ü"] {
            assert!(matches!(request.add_header("x-a", value), Err(FetchError::Header(_))));
        }
        for method in ["CONNECT", "TRACE", "A B", ""] {
            assert!(matches!(request.set_method(method), Err(FetchError::Method(_))), "{method}");
        }
    }
}
