//! The phase `handle`: the handler of the row is given the request, or an upstream is.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderName;
use hyper::http::request::Parts as Head;

use crate::flow::session::Session;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::respond::response_policy::without_own_cookie;
use crate::http::exchange::routes::Backend;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::proxy;
use crate::http::exchange::routes::proxy::ClientOrigin;
use crate::http::exchange::routes::proxy::ProxyRequest;
use crate::http::exchange::session::SESSION_ID;
use crate::http::message::body::content_coding::Coding;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::upload::Upload;
use crate::http::message::expunge::Digits;
use crate::http::message::fault::Fault;
use crate::http::message::head;
use crate::http::message::incoming::IncomingMessage;
use crate::http::message::incoming::MessageParts;
use crate::http::message::reply::OutgoingMessage;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::table::CanonicalPath;
use crate::table::Row;
use crate::table::TokenPlace;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Fields that describe the bytes of a body as it was sent (RFC 9110 §8.4, RFC 9530, RFC 3230).
const OF_THE_BODY_AS_SENT: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Privileges for as long as a function runs, however it ends.
struct Promoted<'s>(&'s Session);

impl<'s> Promoted<'s> {
    fn new(session: &'s Session, names: &[Arc<str>]) -> Self {
        session.promote(names);
        Self(session)
    }
}

impl Drop for Promoted<'_> {
    fn drop(&mut self) {
        self.0.promote(&[]);
    }
}

impl Dispatch {
    /// Calls the handler of the row, or passes the request on.
    pub(super) async fn handle(
        &self,
        exchange: &mut Exchange,
        route: &Route,
        session: &Session,
    ) -> PhaseResult<Response<ResponseBody>> {
        exchange.handler_called = true;
        match &route.by {
            Backend::Handler(handler) => {
                let permit = match exchange.permit.take() {
                    Some(permit) => permit,
                    None => handler.reserve().map_err(Fault::from)?,
                };
                let message = exchange.take_message(&route.row);
                let _promoted = Promoted::new(session, route.access.promote());
                let replying = handler.call(message, session.clone(), permit);
                let reply = tokio::time::timeout(self.config.timeout(route), replying).await;
                let reply = reply.map_err(|_| Fault::handler_too_slow()).and_then(|it| Ok(it?));
                let reply =
                    reply.map_err(|fault| fault.of_handler(&route.target, handler.excerpt()))?;
                Ok(self.response(reply.into_message()))
            }
            Backend::Proxy(proxy) => {
                let request = self.proxy_request(exchange, route, session)?;
                Ok(self.passed_on(proxy.pass(request).await?))
            }
        }
    }

    /// The request as it is passed on to an upstream.
    fn proxy_request(
        &self,
        exchange: &mut Exchange,
        route: &Route,
        session: &Session,
    ) -> Result<ProxyRequest, Fault> {
        let (row, place) = (&route.row, route.row.otp().param.as_ref());
        let body = if let Some(upload) = exchange.upload.take() {
            upload
        } else {
            let bytes = if session.is_off() {
                exchange.body_as_sent().clone()
            } else {
                exchange.take_body_to_pass(place)
            };
            let whole = RequestBody::Whole(Full::new(bytes));
            Upload::new(whole, u64::MAX, self.config.limits.pace())?
        };
        // Without sessions there are no tokens: what looks like one is the application's own.
        let path =
            if session.is_off() { exchange.path.clone() } else { exchange.path_to_pass(row) };
        let head = &mut exchange.head;
        let upgrade = head::asks_for_websocket(head).then(|| head.extensions.remove());
        let mut headers = mem::take(&mut head.headers);
        let Head { method, uri, .. } = &*head;
        let mut query = uri.query().unwrap_or("").to_owned();
        if !session.is_off() {
            query = token_place::without_token(&query, place);
        }
        if let Brought::Token(token) = &exchange.brought {
            let digits = Digits::of(token);
            query = digits.remove_from_query(&query);
            digits.remove_from_headers(&mut headers);
            // A token may be damaged in its own place in ways that are understood there only.
            if let Some(TokenPlace::Header(name)) = place {
                headers.remove(&**name);
            }
        }
        // Clients of the accounts may send it with every request. The field of another application
        // is its own.
        let shown = headers.get(SESSION_ID).and_then(|value| value.to_str().ok());
        if shown.is_some_and(|text| session.opens(text)) {
            headers.remove(SESSION_ID);
        }
        let conn = exchange.client.conn;
        let origin = ClientOrigin {
            address: exchange.client.address,
            host: self.config.policy.told_host((uri, &headers), conn.as_ref()),
            is_https: conn.is_some_and(|conn| conn.tls) || self.site.is_https(),
        };
        Ok(ProxyRequest {
            id: exchange.id,
            method: method.clone(),
            path,
            query,
            headers: proxy::without_secrets(headers, &self.site.cookie),
            body,
            session: session.clone(),
            otp: exchange.outcome,
            origin,
            timeout: self.config.timeout(route),
            upgrade: upgrade.flatten(),
        })
    }

    /// The response of an upstream, which must not change what browsers keep for callgate
    /// (docs/SECURITY.md T38).
    fn passed_on(&self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let (mut head, body) = response.into_parts();
        head.headers.remove(CLEAR_SITE_DATA);
        head.headers = without_own_cookie(head.headers, &self.site.cookie);
        Response::from_parts(head, body)
    }

    /// The response that a message asks for.
    pub(super) fn response(&self, message: OutgoingMessage) -> Response<ResponseBody> {
        let (status, headers, body) = message.into_parts();
        let mut response = Response::new(ResponseBody::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = without_own_cookie(headers, &self.site.cookie);
        response
    }
}

impl Exchange {
    /// The request as its handler is given it, which is the last to need its parts.
    fn take_message(&mut self, row: &Row) -> IncomingMessage {
        let head = &mut self.head;
        let url = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        IncomingMessage::new(MessageParts {
            id: self.id,
            verb: head.method.as_str().to_owned(),
            url,
            params: row.params(&self.path),
            path: mem::replace(&mut self.path, CanonicalPath::root()),
            query: mem::take(&mut self.query),
            headers: mem::take(&mut head.headers),
            body: mem::take(&mut self.body),
            sent: self.sent.take(),
            remote: self.client.address,
            otp: self.outcome,
        })
    }

    /// A body without the token of the request, no longer compressed; any other body as it was sent.
    fn take_body_to_pass(&mut self, place: Option<&TokenPlace>) -> Bytes {
        let kept = token_place::body_without_token(place, &self.head.headers, &self.body);
        let mut kept = kept.map_or_else(|| self.body.clone(), Bytes::from);
        if let Brought::Token(token) = &self.brought
            && self.body_is_decoded()
            && let Some(masked) = Digits::of(token).masked(&kept)
        {
            kept = masked.into();
        }
        if kept == self.body {
            return self.sent.take().unwrap_or(kept);
        }
        for field in OF_THE_BODY_AS_SENT {
            self.head.headers.remove(field);
        }
        kept
    }

    /// Whether the body that was read is in no content coding.
    fn body_is_decoded(&self) -> bool {
        self.sent.is_some() || matches!(Coding::of(&self.head.headers), Ok(None))
    }

    /// The path without the token of the request.
    fn path_to_pass(&self, row: &Row) -> CanonicalPath {
        let path = token_place::path_without_token(row, &self.path);
        let path = path.unwrap_or_else(|| self.path.clone());
        let Brought::Token(token) = &self.brought else { return path };
        let masked = Digits::of(token).masked(path.as_str().as_bytes());
        let masked = masked.and_then(|masked| String::from_utf8(masked).ok());
        masked.and_then(|masked| CanonicalPath::of_decoded(&masked)).unwrap_or(path)
    }
}
