//! A request that has found its row: what it brings along, and what its handler is given.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::Confirm;
use crate::base::RequestId;
use crate::http::arrival::Arrival;
use crate::http::body::RequestBody;
use crate::http::confirm::Agreement;
use crate::http::dispatch::Config;
use crate::http::fault::Fault;
use crate::http::form::is_urlencoded;
use crate::http::head;
use crate::http::message::IncomingMessage;
use crate::http::message::Parts;
use crate::http::plan::Plan;
use crate::http::query;
use crate::http::query::Brought;
use crate::http::query::Query;
use crate::http::relay;
use crate::http::relay::Origin;
use crate::http::relay::Passage;
use crate::http::session::Session;
use crate::http::sessions::Sessions;
use crate::http::upload::Upload;
use crate::table::CanonicalPath;
use crate::table::OtpRule;
use crate::table::Row;
use crate::token::Outcome;

/// A request whose row, handler and body are there, ready to be run.
pub(crate) struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) row: usize,
    pub(crate) head: Head,
    pub(crate) path: CanonicalPath,
    pub(crate) query: Query,
    /// The body as far as it has been read, decoded where it was compressed for the way.
    pub(crate) body: Bytes,
    /// The same as it was sent, where that is something else.
    pub(crate) sent: Option<Bytes>,
    /// The body of a row that forwards, where it is passed on unread.
    pub(crate) upload: Option<Upload>,
    pub(crate) arrival: Option<Arrival>,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) id: RequestId,
    pub(crate) agreement: Agreement,
}

impl Run {
    /// What the request brings to be redeemed, if it is one that may redeem, or be asked to.
    pub(crate) fn brought(&self, rule: &OtpRule, may_redeem: bool) -> Result<Brought, Fault> {
        let raw = self.head.uri.query().unwrap_or("");
        // What a GET carries as its body means nothing (RFC 9110 §9.3.1).
        let is_get = self.head.method == Method::GET;
        let form = submitted(&self.head.headers, &self.body).filter(|_| !is_get);
        match query::find_token(raw, rule.param.as_deref(), form) {
            Brought::Several => Err(Fault::bad_request(
                "several_tokens",
                "The address brings more than one token; none was used.",
            )),
            // Whoever looks at a link that asks first may see what it asks.
            Brought::Token(secret) if is_get && !may_redeem && rule.confirm > Confirm::Never => {
                Ok(Brought::Token(secret))
            }
            _ if !may_redeem => Ok(Brought::Nothing),
            brought => Ok(brought),
        }
    }

    /// The same address without the token.
    pub(crate) fn target_without_token(&self, rule: &OtpRule) -> String {
        without_token(&self.head.uri, rule.param.as_deref())
    }

    /// The request as its handler is given it.
    pub(crate) fn into_message(self, row: &Row, otp: Outcome) -> IncomingMessage {
        let url = self.head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        IncomingMessage::new(Parts {
            id: self.id,
            verb: self.head.method.as_str().to_owned(),
            url,
            params: row.params(&self.path),
            path: self.path,
            query: self.query,
            headers: self.head.headers,
            body: self.body,
            sent: self.sent,
            remote: self.remote,
            otp,
        })
    }

    /// The request as it is passed on.
    pub(crate) fn into_passage(
        mut self: Box<Self>,
        row: &Row,
        (session, otp): (Session, Outcome),
        rules: (&Sessions, &Config),
    ) -> Result<Passage, Fault> {
        let (house, config) = rules;
        let param = row.otp().param.as_deref();
        let body = if let Some(upload) = self.upload.take() {
            upload
        } else {
            let whole = Full::new(self.body_to_pass(param));
            Upload::new(RequestBody::Whole(whole), u64::MAX, config.pace)?
        };
        let upgrade = head::asks_for_websocket(&self.head).then(|| self.head.extensions.remove());
        let Head { method, uri, headers, .. } = self.head;
        let over_tls = self.arrival.is_some_and(|arrival| arrival.tls);
        let origin = Origin {
            address: self.remote,
            host: host(&uri, &headers),
            is_https: over_tls || house.is_https(),
        };
        Ok(Passage {
            id: self.id,
            method,
            path: self.path,
            query: query::without_token(uri.query().unwrap_or(""), param),
            headers: relay::without_secrets(headers, &house.cookie),
            body,
            session,
            otp,
            origin,
            within: config.timeout(row, None),
            upgrade: upgrade.flatten(),
        })
    }

    /// A form without the field that brought the token, no longer compressed; any other body as it
    /// was sent.
    fn body_to_pass(&mut self, param: Option<&str>) -> Bytes {
        let form = submitted(&self.head.headers, &self.body).filter(|_| param.is_some());
        let kept = form.map(|form| Bytes::from(query::without_token(form, param)));
        if let Some(kept) = kept.filter(|kept| *kept != self.body) {
            self.head.headers.remove(header::CONTENT_ENCODING);
            return kept;
        }
        self.sent.take().unwrap_or_else(|| self.body.clone())
    }
}

/// The host that a request names; which of the two it is in has been found to make no difference.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let named = uri.authority().and_then(|named| HeaderValue::from_str(named.as_str()).ok());
    named.or_else(|| headers.get(header::HOST).cloned())
}

/// The address of a request without its token. It begins with a single slash, because the path of
/// the request does; the browser stays on this site.
pub(crate) fn without_token(uri: &Uri, param: Option<&str>) -> String {
    let rest = query::without_token(uri.query().unwrap_or(""), param);
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    if rest.is_empty() { path } else { format!("{path}?{rest}") }
}

/// Whether the body of a request to a row that forwards is needed before it can be passed on: it
/// may bring the token, or a repeat is to be known by it.
pub(crate) fn must_be_read(row: &Row, head: &Head) -> bool {
    row.repeat().is_some() || may_hold_token(row, head)
}

/// Whether the body may bring the token of its request.
pub(crate) fn may_hold_token(row: &Row, head: &Head) -> bool {
    row.otp().param.is_some() && submitted(&head.headers, &[]).is_some()
}

/// The fields of an ordinary form, as they were sent.
pub(crate) fn submitted<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<&'b str> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.filter(|kind| is_urlencoded(kind)).and(std::str::from_utf8(body).ok())
}
