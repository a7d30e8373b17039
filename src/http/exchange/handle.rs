//! The phase `handle`: the handler of the row is given the request, or an upstream is.

use std::mem;

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
use crate::http::exchange::response_policy::without_own_cookie;
use crate::http::exchange::routes::Backend;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::proxy;
use crate::http::exchange::routes::proxy::ClientOrigin;
use crate::http::exchange::routes::proxy::ProxyRequest;
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
                let message = exchange.take_message(&route.row);
                session.promote(route.access.promote());
                let replying = handler.call(message, session.clone());
                let reply = tokio::time::timeout(self.config.timeout(route), replying).await;
                session.promote(&[]);
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
            let whole = RequestBody::Whole(Full::new(exchange.take_body_to_pass(place)));
            Upload::new(whole, u64::MAX, self.config.pace)?
        };
        let head = &mut exchange.head;
        let upgrade = head::asks_for_websocket(head).then(|| head.extensions.remove());
        let mut headers = mem::take(&mut head.headers);
        let Head { method, uri, .. } = &*head;
        let mut query = token_place::without_token(uri.query().unwrap_or(""), place);
        if let Brought::Token(token) = &exchange.brought {
            let digits = Digits::of(token);
            query = digits.remove_from_query(&query);
            digits.remove_from_headers(&mut headers);
            // A token may be damaged in its own place in ways that are understood there only.
            if let Some(TokenPlace::Header(name)) = place {
                headers.remove(&**name);
            }
        }
        let conn = exchange.client.conn;
        let origin = ClientOrigin {
            address: exchange.client.address,
            host: self.config.policy.told_host((uri, &headers), conn.as_ref()),
            is_https: conn.is_some_and(|conn| conn.tls) || self.site.is_https(),
        };
        let path = token_place::path_without_token(row, &exchange.path);
        Ok(ProxyRequest {
            id: exchange.id,
            method: method.clone(),
            path: path.unwrap_or_else(|| exchange.path.clone()),
            query,
            headers: proxy::without_secrets(headers, &self.site.cookie),
            body,
            session: session.clone(),
            otp: exchange.outcome,
            origin,
            within: self.config.timeout(route),
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

    /// A body without the token that it held, no longer compressed; any other body as it was sent.
    fn take_body_to_pass(&mut self, place: Option<&TokenPlace>) -> Bytes {
        let kept = token_place::body_without_token(place, &self.head.headers, &self.body);
        if let Some(kept) = kept.map(Bytes::from).filter(|kept| *kept != self.body) {
            self.head.headers.remove(header::CONTENT_ENCODING);
            return kept;
        }
        self.sent.take().unwrap_or_else(|| self.body.clone())
    }
}
