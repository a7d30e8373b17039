//! The phases `conclude` and `respond`: what every response of the public listener has, whichever
//! phase it comes from.

pub(crate) mod response_policy;

use hyper::Method;
use hyper::Response;

use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::http::confirm;
use crate::http::exchange::Exchange;
use crate::http::exchange::access_log;
use crate::http::exchange::dispatch::Dispatch;
use crate::http::exchange::replay;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::fault::Fault;

impl Dispatch {
    /// Ends a request that had a session: its response is kept where repeats may ask for it, and
    /// the browser is given its cookies.
    pub(crate) async fn conclude(
        &self,
        exchange: &mut Exchange,
        result: Result<Response<ResponseBody>, Fault>,
    ) -> Result<Response<ResponseBody>, Fault> {
        let result = replay::conclude(&self.site.sessions, exchange, result).await;
        let is_click = exchange.consent.is_click();
        let result = if is_click { result.map(confirm::fit_for_form) } else { result };
        let result = failpoint::reached(Place::BeforeCookie).map_err(Fault::internal).and(result);
        if let Some(session) = &exchange.session {
            if result.is_err() {
                session.give_up().await;
            }
            session.check_renewal().await;
            session.begin_response();
            let cookie = &self.site.cookie;
            let credential = session.cookie_to_give(result.is_ok());
            let rest = credential.as_ref().filter(|_| exchange.gives_rest_cookie);
            exchange.policy.rest_cookie = rest.and_then(|value| cookie.set_rest(value));
            exchange.policy.cookie = credential.and_then(|value| cookie.set(&value));
            let binding = session.binding_to_give();
            exchange.policy.binding =
                binding.and_then(|it| cookie.set_binding(&it.value, it.max_age_secs));
            exchange.policy.saw_token |= session.was_given_a_token();
        }
        result
    }

    /// Makes the response, and writes the line of the access log.
    pub(crate) fn respond(
        &self,
        exchange: Box<Exchange>,
        result: Result<Response<ResponseBody>, Fault>,
    ) -> Response<ResponseBody> {
        let mut response = match result {
            Ok(response) => {
                access_log::write(&exchange, response.status(), None);
                response
            }
            Err(fault) => {
                let proxy = exchange.client.untrusted_proxy;
                if let Some(peer) = proxy.filter(|_| fault.is_over_a_limit()) {
                    self.site.sessions.rates.hint(peer, self.site.sessions.clock.now());
                }
                access_log::write(&exchange, fault.status(), Some(&fault));
                exchange.policy.error(&fault)
            }
        };
        let is_head = exchange.method == Method::HEAD;
        exchange.policy.apply(&mut response, exchange.id, is_head);
        response
    }
}
