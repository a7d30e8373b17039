//! A request that has found its row: what it brings along, and what its handler is given.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Uri;
use hyper::header;
use hyper::http::request::Parts as Head;

use crate::base::RequestId;
use crate::http::arrival::Arrival;
use crate::http::body::RequestBody;
use crate::http::brought;
use crate::http::brought::Brought;
use crate::http::confirm::Agreement;
use crate::http::dispatch::Config;
use crate::http::expunge::Digits;
use crate::http::fault::Fault;
use crate::http::head;
use crate::http::message::IncomingMessage;
use crate::http::message::Parts;
use crate::http::plan::Plan;
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
use crate::table::TokenPlace;
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
    /// What stands in the places where a token may stand.
    pub(crate) brought: Brought,
    /// The cookies that a browser has shown for a request that it sent without; `None` for one that
    /// came as it is.
    pub(crate) shown: Option<HeaderMap>,
}

impl Run {
    /// What the request brings to be redeemed, if it is one that may redeem, or be asked to.
    pub(crate) fn brought(&self, may_redeem: bool) -> Result<Brought, Fault> {
        match &self.brought {
            Brought::Several => Err(Fault::several_tokens()),
            Brought::Token(_) if head::prefetches(&self.head.headers) => Err(Fault::prefetched()),
            _ if !may_redeem => Ok(Brought::Nothing),
            brought => Ok(brought.clone()),
        }
    }

    /// The same address without the token.
    pub(crate) fn target_without_token(&self, rule: &OtpRule) -> String {
        without_token(&self.head.uri, rule.param.as_ref())
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
        let place = row.otp().param.as_ref();
        let body = if let Some(upload) = self.upload.take() {
            upload
        } else {
            let whole = Full::new(self.body_to_pass(place));
            Upload::new(RequestBody::Whole(whole), u64::MAX, config.pace)?
        };
        let upgrade = head::asks_for_websocket(&self.head).then(|| self.head.extensions.remove());
        let path = brought::path_without_token(row, &self.path).unwrap_or(self.path);
        let Head { method, uri, mut headers, .. } = self.head;
        let mut query = brought::without_token(uri.query().unwrap_or(""), place);
        if let Brought::Token(token) = &self.brought {
            let digits = Digits::of(token);
            query = digits.leave_query(&query);
            digits.leave_header(&mut headers);
        }
        let over_tls = self.arrival.is_some_and(|arrival| arrival.tls);
        let origin = Origin {
            address: self.remote,
            host: config.policy.told_host((&uri, &headers), self.arrival.as_ref()),
            is_https: over_tls || house.is_https(),
        };
        Ok(Passage {
            id: self.id,
            method,
            path,
            query,
            headers: relay::without_secrets(headers, &house.cookie),
            body,
            session,
            otp,
            origin,
            within: config.timeout(row, None),
            upgrade: upgrade.flatten(),
        })
    }

    /// A body without the token that it brought, no longer compressed; any other body as it was
    /// sent.
    fn body_to_pass(&mut self, place: Option<&TokenPlace>) -> Bytes {
        let kept = brought::body_without_token(place, &self.head.headers, &self.body);
        if let Some(kept) = kept.map(Bytes::from).filter(|kept| *kept != self.body) {
            self.head.headers.remove(header::CONTENT_ENCODING);
            return kept;
        }
        self.sent.take().unwrap_or_else(|| self.body.clone())
    }
}

/// The address of a request without its token. It begins with a single slash, because the path of
/// the request does; the browser stays on this site.
pub(crate) fn without_token(uri: &Uri, place: Option<&TokenPlace>) -> String {
    let rest = brought::without_token(uri.query().unwrap_or(""), place);
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
    brought::may_be_in_body(row.otp().param.as_ref(), &head.headers)
}
