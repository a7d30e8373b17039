//! The same-site redirect of a form that another site sends with a token (docs/CONTRACT.md §6.2).
//!
//! The request is restored as it was sent, without cookies. The cookies of the redirected GET only
//! show whether the browser is signed in. Otherwise any site could make a browser POST to this one
//! as if `SameSite=Lax` were not set.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::Caller;
use crate::base::RestoreMode;
use crate::base::secret::entropy::NoEntropy;
use crate::http::confirm::Site;
use crate::http::confirm::comes_from_here;
use crate::http::confirm::held::HeldFor;
use crate::http::confirm::held::HeldRequest;
use crate::http::confirm::held::NotHeld;
use crate::http::confirm::held::Waiting;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::cookie::SameSite;
use crate::http::message::fault::Fault;
use crate::http::message::head;
use crate::http::message::token_place::path_on_this_site;
use crate::table::Row;
use crate::token::text::brings_token;

/// The query parameter with a ticket.
pub(crate) const HOP: &str = "$4DHOP";

/// A request that was kept, and came back.
pub(crate) struct KeptRequest {
    pub(crate) body: Bytes,
    /// The cookies that the browser has shown for it.
    pub(crate) shown: HeaderMap,
}

/// Whether the body of a form must be read before its token is redeemed, because the browser may
/// have to be redirected, or a person asked.
pub(crate) fn may_be_due(head: &Head) -> bool {
    is_navigation(head) && brings_token(head.uri.query().unwrap_or(""))
}

/// Whether a request with a token is sent from another site, so that the cookie of a browser that
/// is signed in would not have come along.
pub(crate) fn is_due(site: &Site, head: &Head, row: &Row) -> bool {
    let mode = RestoreMode::decide(None, row.otp().mode, Caller::Browser);
    is_navigation(head)
        && mode != RestoreMode::Context
        && site.cookie.same_site() != SameSite::None
        && site.cookie.read(&head.headers).session.values().is_empty()
        && is_from_another_site(site, head)
}

/// Keeps a request, and sends the browser to the GET that shows its cookie.
pub(crate) fn send_on(
    site: &Site,
    (head, body): (&Head, &Bytes),
    client: Option<IpAddr>,
) -> Result<Response<ResponseBody>, Fault> {
    let ticket = keep(site, (head, body), HeldFor::Cookie, client)?;
    let location = format!("{}?{HOP}={ticket}", path_on_this_site(&head.uri));
    let location = HeaderValue::from_str(&location).map_err(Fault::internal)?;
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Stores a request of this client; its ticket.
pub(crate) fn keep(
    site: &Site,
    (head, body): (&Head, &Bytes),
    held_for: HeldFor,
    client: Option<IpAddr>,
) -> Result<String, Fault> {
    let waiting = Waiting { held_for, client, since: site.sessions.clock.now() };
    let ticket = site.held.keep(&HeldRequest::of(head, body), waiting, &*site.sessions.entropy);
    ticket.map_err(|error| match error {
        NotHeld::TooLarge => Fault::body_too_large(),
        NotHeld::Full => Fault::held_full(),
        NotHeld::NoEntropy => Fault::internal(NoEntropy),
    })
}

/// Turns a GET with a ticket into the stored request. `None` for any other request, which is left
/// unchanged.
pub(crate) fn arrive(site: &Site, head: &mut Head) -> Result<Option<KeptRequest>, Fault> {
    let Some(ticket) = ticket(head) else { return Ok(None) };
    if head::prefetches(&head.headers) {
        return Err(Fault::prefetched());
    }
    let kept = site.held.take(&ticket, site.sessions.clock.now()).ok_or_else(Fault::held_lost)?;
    let mut shown = HeaderMap::new();
    for cookies in head.headers.get_all(header::COOKIE) {
        shown.append(header::COOKIE, cookies.clone());
    }
    (head.method, head.uri, head.headers) = (kept.method, kept.uri, kept.headers);
    Ok(Some(KeptRequest { body: kept.body, shown }))
}

fn ticket(head: &Head) -> Option<String> {
    if head.method != Method::GET {
        return None;
    }
    let (name, ticket) = head.uri.query()?.split_once('=')?;
    matches!(name, HOP | "%244DHOP").then(|| ticket.to_owned())
}

/// Whether the response would be displayed as a page, without which no confirmation can be shown.
fn is_navigation(head: &Head) -> bool {
    head.method == Method::POST
        && head::caller(&head.headers) == Caller::Browser
        && head::navigates(&head.headers)
}

/// Browsers send the origin of every POST (Fetch §3.2), most of them also `Sec-Fetch-Site`.
fn is_from_another_site(site: &Site, head: &Head) -> bool {
    const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let mut sites = head.headers.get_all(FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| site == "cross-site");
    }
    head.headers.contains_key(header::ORIGIN) && !comes_from_here(site, head)
}
