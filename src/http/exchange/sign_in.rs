//! The way of a guest's browser to the page where it signs in, and back (`requires.signIn`).

use hyper::Method;

use crate::base::Caller;
use crate::flow::session::Session;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::PhaseResult;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::routes::Route;
use crate::http::message::fault::Fault;
use crate::http::message::head;
use crate::http::message::reply::OutgoingMessage;
use crate::http::message::token_place::target_without_token;

impl Dispatch {
    /// Sends a browser that the row has refused to the page of the row where it signs in, if it
    /// opened a page of its own: what a script, a form or an embedded page asked for is refused.
    ///
    /// The way back is kept in the session. In the query of the sign-in page, a link of a stranger
    /// could choose it.
    pub(super) async fn send_to_sign_in(
        &self,
        exchange: &Exchange,
        route: &Route,
        session: &Session,
    ) -> PhaseResult<()> {
        let Some(page) = route.row.sign_in().filter(|_| session.is_guest()) else { return Ok(()) };
        let headers = &exchange.head.headers;
        let opens_page = exchange.head.method == Method::GET
            && head::caller(headers) == Caller::Browser
            && head::navigates(headers);
        if !opens_page || session.has_no_cookie() {
            return Ok(());
        }
        let back = target_without_token(&exchange.head.uri, route.row.otp().param.as_ref());
        session.keep_return_path(&back).await?;
        let location = format!("{}{page}", session.base_path());
        let message = OutgoingMessage::redirect(&location).map_err(Fault::internal)?;
        Err(EarlyEnd::respond(self.response(message)))
    }
}
