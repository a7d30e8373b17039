//! The phases `open`, `redeem` and `authorize`: the session that a request works in.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::header;

use crate::account::is_of_accounts;
use crate::base::UserId;
use crate::flow::open::Presented;
use crate::flow::redeem::Redemption;
use crate::flow::session::Session;
use crate::flow::session::SessionContext;
use crate::flow::session::ShownConsent;
use crate::http::confirm;
use crate::http::confirm::Asking;
use crate::http::confirm::held::HeldFor;
use crate::http::confirm::hop;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::replay;
use crate::http::exchange::replay::Repeatable;
use crate::http::exchange::routes::Route;
use crate::http::exchange::routes::access;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::cookie::CookieRule;
use crate::http::message::fault::Fault;
use crate::http::message::head;
use crate::http::message::reply::OutgoingMessage;
use crate::http::message::token_place::Brought;
use crate::http::message::token_place::target_without_token;
use crate::session::permissions::GUEST;
use crate::table::CanonicalPath;
use crate::table::OnRefused;
use crate::table::Reserved;
use crate::table::Row;
use crate::token::Outcome;
use crate::token::Question;

/// The field by which a client without cookies names its session to `callgate.Accounts`.
pub(super) const SESSION_ID: &str = "x-session-id";

/// The credential that a client without cookies sends; it counts in place of the cookie. Only the
/// class of the accounts reads it: to other rows the field may mean something else.
fn told_session<'h>(route: &Route, headers: &'h HeaderMap) -> Result<Option<&'h str>, Fault> {
    if !is_of_accounts(&route.target) {
        return Ok(None);
    }
    let mut told = headers.get_all(SESSION_ID).iter();
    match (told.next(), told.next()) {
        (None, _) => Ok(None),
        (Some(told), None) => told.to_str().map(Some).map_err(|_| Fault::session_not_found()),
        (Some(_), Some(_)) => Err(Fault::session_not_found()),
    }
}

/// Whether the session has what the row requires.
fn is_fit(row: &Row, path: &CanonicalPath, session: &Session) -> bool {
    let required = row.requirement();
    let has = |name: &str| name.eq_ignore_ascii_case(GUEST) || session.has_privilege(name);
    let is_owner = |group: &str| {
        let named = row.params(path).into_iter().find(|(name, _)| name == group);
        let named = named.and_then(|(_, id)| id.parse::<UserId>().ok());
        named.is_some() && named == session.account()
    };
    required.is_nothing()
        || required.any.iter().any(|name| has(name))
        || (required.signed && !session.is_guest())
        || required.owner.as_deref().is_some_and(is_owner)
}

impl Dispatch {
    /// Opens the session of the cookie, or one of a guest. What can redeem nothing is refused before
    /// any store is asked.
    pub(super) async fn open(
        &self,
        exchange: &mut Exchange,
        route: &Route,
    ) -> PhaseResult<Session> {
        let headers = &exchange.head.headers;
        let may_redeem = head::may_redeem(&exchange.head.method, headers);
        match &exchange.brought {
            Brought::Several => return Err(Fault::several_tokens().into()),
            Brought::Token(_) if head::prefetches(headers) => {
                return Err(Fault::prefetched().into());
            }
            Brought::Token(_) if may_redeem && exchange.consent == ShownConsent::Stale => {
                return Err(self.ask(exchange, route, Question::Click, String::new()));
            }
            _ => {}
        }
        let otp = route.row.otp();
        let context = SessionContext {
            handler: Arc::clone(&route.target),
            row_mode: otp.mode,
            caller: head::caller(headers),
            may_redeem,
            label: head::label(headers),
            row_confirm: otp.confirm,
            consent: exchange.consent,
            navigates: head::navigates(headers),
            binding: None,
            binding_doubled: false,
            host: headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned),
            client: exchange.client.address,
        };
        if !self.site.sessions.enabled {
            return Ok(self.site.sessions.placeholder(context)?);
        }
        let cookies = exchange.shown.as_ref().unwrap_or(&exchange.head.headers);
        let mut cookies = self.site.cookie.read(cookies);
        let told = told_session(route, headers)?;
        if let Some(told) = told {
            cookies.session = Presented::One(told);
        }
        if route.part == Some(Reserved::Rest) {
            let rest = CookieRule::find_rest(headers);
            exchange.gives_rest_cookie = rest != Presented::Nothing;
            // The session cookie may have a prefix that keeps other hosts from setting it.
            if cookies.session == Presented::Nothing {
                cookies.session = rest;
            }
        }
        let session = self.site.sessions.open(&cookies, context).await?;
        if told.is_some() {
            if session.is_unstored() {
                return Err(Fault::session_not_found().into());
            }
            session.give_no_cookie();
        }
        exchange.session = Some(session.clone());
        Ok(session)
    }

    /// Redeems the token of the request, if it has one.
    pub(super) async fn redeem(
        &self,
        exchange: &mut Exchange,
        route: &Route,
        session: &Session,
    ) -> PhaseResult<()> {
        if !session.may_redeem() || session.is_off() {
            return Ok(());
        }
        // Each is boxed, so that requests without a token need no room for it.
        let repeatable = Repeatable::of(exchange, &route.row, session)?;
        let redemption = match (&exchange.brought, repeatable) {
            (_, Some(repeatable)) => {
                let timeout = self.config.timeout(route);
                Box::pin(replay::redeem(exchange, repeatable, session, timeout)).await?
            }
            (Brought::Token(token), None) => {
                exchange.permit = Some(route.by.reserve().map_err(Fault::from)?);
                Box::pin(session.redeem(Some(token))).await?
            }
            (Brought::Garbage, None) => Box::pin(session.redeem(None)).await?,
            // No token was tried: it does not count against a platform that calls back often.
            (Brought::Other, None) => Redemption::Ended(Outcome::Unknown),
            (Brought::Nothing | Brought::Several, None) => Redemption::Ended(Outcome::Absent),
        };
        exchange.outcome = match redemption {
            Redemption::Ended(outcome) => outcome,
            Redemption::Asks(question) => {
                return Err(self.ask(exchange, route, question, session.user_name()));
            }
        };
        if exchange.shown.is_some() && !exchange.outcome.is_restored() {
            // It came without a cookie, and is a guest's without the token.
            session.become_guest().map_err(Fault::internal)?;
        }
        session.set_outcome(exchange.outcome);
        Ok(())
    }

    /// Checks what the row and `roles.json` require, after the redemption, which may have given the
    /// session the privilege.
    /// Then responds in the place of the handler where the row says so about the token.
    pub(super) async fn authorize(
        &self,
        exchange: &Exchange,
        route: &Route,
        session: &Session,
    ) -> PhaseResult<()> {
        if !is_fit(&route.row, &exchange.path, session) || !route.access.allows(session) {
            Box::pin(self.send_to_sign_in(exchange, route, session)).await?;
            return Err(access::refusal(session, route.part).into());
        }
        let (rule, outcome, uri) = (route.row.otp(), exchange.outcome, &exchange.head.uri);
        // A browser that got no cookie would come back as a guest, and a form cannot be sent again.
        let strips = rule.strip && exchange.head.method == Method::GET && !session.has_no_cookie();
        let is_spared = rule.unless_signed_in && !session.is_guest();
        let is_refused = outcome.is_refused() && !is_spared && !session.was_regranted();
        let location = match &rule.on_refused {
            _ if outcome.is_restored() && strips => target_without_token(uri, rule.param.as_ref()),
            OnRefused::Redirect(path) if is_refused => format!("{}{path}", session.base_path()),
            OnRefused::Status(status) if is_refused => {
                return Err(Fault::token_refused(*status).into());
            }
            _ => return Ok(()),
        };
        let message = OutgoingMessage::redirect(&location).map_err(Fault::internal)?;
        Err(EarlyEnd::respond(self.response(message)))
    }

    /// The page that asks a person about the token of a request, instead of handling it.
    fn ask(
        &self,
        exchange: &mut Exchange,
        route: &Route,
        question: Question,
        user: String,
    ) -> EarlyEnd {
        exchange.outcome = Outcome::AskFirst;
        match self.page(exchange, route, question, user) {
            Ok(page) => EarlyEnd::respond(page),
            Err(fault) => EarlyEnd::Fail(fault),
        }
    }

    fn page(
        &self,
        exchange: &Exchange,
        route: &Route,
        question: Question,
        user: String,
    ) -> Result<Response<ResponseBody>, Fault> {
        let Brought::Token(token) = &exchange.brought else { return Err(Fault::confirm_refused()) };
        let (head, place) = (&exchange.head, route.row.otp().param.as_ref());
        let is_stale = exchange.consent == ShownConsent::Stale;
        let (request, client) = ((head, exchange.body_as_sent()), exchange.client.address);
        let keep = || hop::keep(&self.site, request, HeldFor::Consent, client);
        let ticket = (head.method != Method::GET).then(keep).transpose()?;
        let ticket = ticket.as_deref();
        let asking = Asking { head, token, ticket, place, question, user, is_stale };
        confirm::page(&self.site, &self.config.confirm_page, &asking)
    }
}
