//! The phase `receive`: the body of a request, and the token that stands somewhere in it.

use std::mem;

use hyper::Method;
use hyper::http::request::Parts as Head;

use crate::flow::session::ShownConsent;
use crate::http::confirm::hop;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::routes::Route;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::ReadBody;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::upload::Upload;
use crate::http::message::fault::Fault;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::http::message::token_place::Places;
use crate::http::message::token_place::has_too_many_fields;
use crate::table::Row;

impl Dispatch {
    /// Reads the body, or makes it ready to be passed on unread, and looks for the token.
    pub(super) async fn receive(&self, exchange: &mut Exchange, route: &Route) -> PhaseResult<()> {
        self.read_body(exchange, route).await?;
        let Exchange { head, path, body, .. } = &*exchange;
        if route.redeems() && self.site.sessions.enabled {
            exchange.brought = Brought::find(Places { head, path, body }, &route.row);
        }
        exchange.policy.watch(&exchange.brought);
        // A link opened by a person has no header field of its own: a program sends it.
        if token_place::is_in_header(&exchange.head, &route.row) {
            exchange.consent = ShownConsent::Sent;
        }
        refuse_large_form(exchange, route)?;
        let may_hop = matches!(exchange.brought, Brought::Token(_))
            && exchange.upload.is_none()
            && exchange.shown.is_none();
        if may_hop && hop::is_due(&self.site, &exchange.head, &route.row) {
            let (request, client) =
                ((&exchange.head, exchange.body_as_sent()), exchange.client.address);
            return Err(EarlyEnd::respond(hop::send_on(&self.site, request, client)?));
        }
        Ok(())
    }

    async fn read_body(&self, exchange: &mut Exchange, route: &Route) -> Result<(), Fault> {
        let limits = &self.config.limits;
        let pace = limits.pace();
        let arriving = mem::replace(&mut exchange.arriving, RequestBody::empty());
        let (row, head) = (&route.row, &exchange.head);
        let is_relayed = route.by.is_proxy();
        let streams = is_relayed && !must_be_read(row, head) && !hop::may_be_due(head);
        let default_max = if streams { limits.forward_body_bytes } else { limits.body_bytes };
        let bytes_max = row.limits().body_bytes.unwrap_or(default_max);
        if streams {
            exchange.upload = Some(Upload::new(arriving, bytes_max, pace)?);
        } else if is_relayed && !may_hold_token(row, head) {
            // It is read for its repeats only, and passed on in whatever coding it has.
            exchange.body = incoming::read_as_sent(arriving, bytes_max, pace).await?;
        } else {
            let ReadBody { bytes, sent } =
                incoming::read(arriving, &head.headers, bytes_max, pace).await?;
            (exchange.body, exchange.sent) = (bytes, sent);
        }
        Ok(())
    }
}

/// Refuses a form that the handler could not read, as long as its token is unspent.
fn refuse_large_form(exchange: &Exchange, route: &Route) -> Result<(), Fault> {
    let Exchange { head, body, .. } = exchange;
    let is_read = !route.by.is_proxy() && head.method != Method::GET;
    let brings = matches!(exchange.brought, Brought::Token(_));
    if is_read && brings && has_too_many_fields(&head.headers, body) {
        return Err(Fault::form_too_large());
    }
    Ok(())
}

/// Whether the body of a request to a row that forwards is needed before it can be passed on: it
/// may hold the token, or a repeat is recognized by it.
fn must_be_read(row: &Row, head: &Head) -> bool {
    row.repeat().is_some() || may_hold_token(row, head)
}

/// Whether the body may hold the token of its request.
fn may_hold_token(row: &Row, head: &Head) -> bool {
    token_place::may_be_in_body(row.otp().param.as_ref(), &head.headers)
}
