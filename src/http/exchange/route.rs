//! The phases `admit` and `route`: whether a request is let in, and which row is for it.

use std::mem;
use std::sync::Arc;

use http_body_util::Full;
use hyper::Method;

use crate::account::is_of_accounts;
use crate::base::text::query::Query;
use crate::base::text::query::QueryTooLarge;
use crate::flow::session::ShownConsent;
use crate::http::confirm;
use crate::http::confirm::hop;
use crate::http::edge::cors::CorsGrant;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::reserved::ReservedRequest;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::body::outgoing::no_content;
use crate::http::message::fault::Fault;
use crate::http::message::token_place::Brought;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::Reserved;
use crate::table::Row;

impl Dispatch {
    /// Refuses a request by its head alone, or responds to a preflight.
    pub(super) fn admit(&self, exchange: &mut Exchange) -> PhaseResult<()> {
        let client = exchange.client;
        exchange.policy.hsts = self.admission.may_require_https(client.conn);
        let admitted = self.admission.admit(&mut exchange.head, &client, exchange.now);
        exchange.policy.grant = admitted.grant;
        match admitted.verdict {
            Ok(None) => Ok(()),
            Ok(Some(preflight)) => Err(EarlyEnd::respond(preflight)),
            Err(fault) => {
                // Only its row knows which of its parameters may be a token, and no row is looked up.
                exchange.policy.saw_token = true;
                if let Ok(path) = self.path_of(exchange)
                    && let Some(reserved) = path.reserved()
                {
                    exchange.policy.format_for(reserved);
                }
                Err(fault.into())
            }
        }
    }

    /// Finds the row of a request, and what handles it.
    pub(super) async fn route(&self, exchange: &mut Exchange) -> PhaseResult<Arc<Route>> {
        if exchange.head.method == Method::OPTIONS && exchange.head.uri.path() == "*" {
            return Err(EarlyEnd::respond(no_content(None)));
        }
        exchange.path = self.path_of(exchange)?;
        let part = exchange.path.reserved();
        if let Some(part) = part {
            exchange.policy.format_for(part);
        }
        // No token is redeemed below `/rest` or without sessions, so that no page has asked about
        // one and no request is kept for a redirection.
        if part != Some(Reserved::Rest) && self.site.sessions.enabled {
            self.replace_by_original(exchange).await?;
        }
        if let Some(part) = exchange.path.reserved() {
            return self.route_reserved(exchange, part);
        }
        let routes = self.routes.load();
        let row = match routes.table().find(exchange.head.method.as_str(), &exchange.path) {
            Lookup::Row(row) => row,
            Lookup::NoSuchPath => return Err(Fault::not_found().into()),
            Lookup::VerbNotAllowed(allow) if exchange.head.method == Method::OPTIONS => {
                return Err(EarlyEnd::respond(no_content(Some(&allow.to_string()))));
            }
            Lookup::VerbNotAllowed(allow) => {
                return Err(Fault::method_not_allowed(allow.to_string()).into());
            }
        };
        exchange.row = Some(row.number());
        read_query(exchange, row)?;
        let Some(connected) = routes.of_row(row) else { return Err(Fault::not_found().into()) };
        exchange.target = Some(Arc::clone(&connected.target));
        if is_of_accounts(&connected.target) {
            exchange.policy.format_for_accounts();
        }
        match &connected.route {
            Ok(route) => Ok(Arc::clone(route)),
            Err(missing) => Err(Fault::missing_target(missing.text())
                .of_handler(&connected.target, None)
                .into()),
        }
    }

    /// Finds what handles a request below a reserved path.
    fn route_reserved(&self, exchange: &mut Exchange, part: Reserved) -> PhaseResult<Arc<Route>> {
        let routes = self.routes.load();
        let Exchange { head, path, policy, .. } = &*exchange;
        let is_allowed = policy.grant.as_ref().is_some_and(CorsGrant::includes_cookies);
        let is_foreign = !is_allowed && confirm::comes_from_elsewhere(&self.site, head);
        let asked = ReservedRequest { part, head, path, is_foreign };
        let route = match routes.of_reserved(&asked) {
            Ok(route) => route,
            Err(fault) => match fault.allow() {
                Some(allow) if head.method == Method::OPTIONS => {
                    return Err(EarlyEnd::respond(no_content(Some(allow))));
                }
                _ => return Err(fault.into()),
            },
        };
        exchange.target = Some(Arc::clone(&route.target));
        read_query(exchange, &route.row)?;
        Ok(route)
    }

    /// Puts the request that was asked about, or kept, in the place of the one that stands for it:
    /// the form of the page that asks, and the GET that shows the cookies of a kept request.
    async fn replace_by_original(&self, exchange: &mut Exchange) -> Result<(), Fault> {
        if confirm::is_click(&exchange.head) {
            exchange.policy.saw_token = true;
            let form = mem::replace(&mut exchange.arriving, RequestBody::empty());
            let head = &mut exchange.head;
            exchange.consent =
                confirm::hear(&self.site, head, form, self.config.limits.pace()).await?;
        }
        if let Some(kept) = hop::arrive(&self.site, &mut exchange.head)? {
            exchange.policy.saw_token = true;
            exchange.path = self.path_of(exchange)?;
            exchange.arriving = RequestBody::Whole(Full::new(kept.body));
            exchange.shown = Some(kept.shown);
            if exchange.consent == ShownConsent::Opened {
                exchange.consent = ShownConsent::Sent;
            }
        }
        Ok(())
    }

    fn path_of(&self, exchange: &Exchange) -> Result<CanonicalPath, Fault> {
        Ok(CanonicalPath::of(exchange.head.uri.path(), &self.config.base_path)?)
    }
}

fn read_query(exchange: &mut Exchange, row: &Row) -> Result<(), Fault> {
    let raw = exchange.head.uri.query().unwrap_or("");
    exchange.policy.watch(&Brought::in_query(raw, row.otp().param.as_ref()));
    exchange.query = Query::read(raw).map_err(|QueryTooLarge| {
        Fault::bad_request("query_too_large", "The query is too large.")
    })?;
    Ok(())
}
