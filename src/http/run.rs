//! A request that has found its row: what it brings along, and what its handler is given.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::header;
use hyper::http::request::Parts as Head;

use crate::base::Confirm;
use crate::base::RequestId;
use crate::http::confirm::Agreement;
use crate::http::fault::Fault;
use crate::http::form::is_urlencoded;
use crate::http::message::IncomingMessage;
use crate::http::message::Parts;
use crate::http::plan::Plan;
use crate::http::query;
use crate::http::query::Brought;
use crate::http::query::Query;
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
    pub(crate) body: Bytes,
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
            remote: self.remote,
            otp,
        })
    }
}

/// The address of a request without its token. It begins with a single slash, because the path of
/// the request does; the browser stays on this site.
pub(crate) fn without_token(uri: &Uri, param: Option<&str>) -> String {
    let rest = query::without_token(uri.query().unwrap_or(""), param);
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    if rest.is_empty() { path } else { format!("{path}?{rest}") }
}

/// The fields of an ordinary form, as they were sent.
pub(crate) fn submitted<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<&'b str> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.filter(|kind| is_urlencoded(kind)).and(std::str::from_utf8(body).ok())
}
