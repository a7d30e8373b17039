//! The way from plain HTTP to HTTPS, for people; never for a token (docs/SECURITY.md D.3).

use std::sync::Arc;

use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;

use crate::base::text::masked::masked;
use crate::flow::sessions::Sessions;
use crate::http::conn::server::Service;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::conn_info::ConnInfo;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::token::text::brings_token;

/// Longest address that is sent on (RFC 9110 §4.1 asks for 8,000).
const TARGET_BYTES_MAX: usize = 8_192;

/// Sends every `GET` on to the same place below the public origin, and nothing else.
///
/// A token that came over plain HTTP may have been read on its way. If it were sent on, it would
/// work, and the mistake would go unnoticed. It is refused instead, so that the author of the link
/// finds out, and logged without the token as `redirect.token_refused`.
#[derive(Debug)]
pub struct Redirect {
    sessions: Arc<Sessions>,
}

impl Redirect {
    /// Sends people on to the public origin of `sessions`.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }

    fn reply<B>(&self, request: &Request<B>, conn: ConnInfo) -> Result<HeaderValue, Fault> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        // Any long run of hex digits may be a token: a row may take one from a name of its own.
        let is_secret = masked(target, target.len()) != target;
        if is_secret || brings_token(request.uri().query().unwrap_or("")) {
            let peer = conn.peer.ip();
            tracing::warn!(event = "redirect.token_refused", %peer, "a token came unencrypted");
            return Err(Fault::not_encrypted());
        }
        let is_get = *request.method() == Method::GET || *request.method() == Method::HEAD;
        let fits = target.starts_with('/') && target.len() <= TARGET_BYTES_MAX;
        let origin = self.sessions.public_origin.get().filter(|_| is_get && fits);
        let location = origin.map(|origin| format!("{origin}{target}"));
        let location = location.and_then(|location| HeaderValue::from_str(&location).ok());
        location.ok_or_else(Fault::not_encrypted)
    }
}

impl Service for Redirect {
    async fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        conn: ConnInfo,
    ) -> Response<ResponseBody> {
        match self.reply(&request, conn) {
            Ok(location) => {
                let mut response = Response::new(ResponseBody::empty());
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            Err(fault) => fault.response(ErrorFormat::of(request.headers()), false),
        }
    }
}
