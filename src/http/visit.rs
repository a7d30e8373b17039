//! A request in its session: what it brings is redeemed, its row answers, what was written is kept.

use std::sync::Arc;
use std::sync::OnceLock;

use hyper::Method;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderName;

use crate::http::answer::AnswerBody;
use crate::http::brought::Brought;
use crate::http::confirm;
use crate::http::confirm::Agreement;
use crate::http::confirm::Asking;
use crate::http::confirm::NONCE_SECS;
use crate::http::dispatch::Config;
use crate::http::fault::Fault;
use crate::http::head;
use crate::http::hop;
use crate::http::manner::without_own_cookie;
use crate::http::plan::Answer;
use crate::http::plan::Answerer;
use crate::http::redemption;
use crate::http::repeat;
use crate::http::repeat::FirstRun;
use crate::http::repeat::Turn;
use crate::http::reply::OutgoingMessage;
use crate::http::run::Run;
use crate::http::session::Session;
use crate::http::sessions::Errand;
use crate::http::sessions::Sessions;
use crate::http::sessions::label;
use crate::table::Row;
use crate::token::Outcome;
use crate::token::Question;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What has become known of a request while it ran; readable even when its handler panicked.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) session: OnceLock<Session>,
    pub(crate) otp: OnceLock<Outcome>,
    /// The run of a callback that may come again, until it is concluded.
    pub(crate) first: OnceLock<FirstRun>,
    /// Set once the handler is called: from then on nobody knows what it has done.
    pub(crate) begun: OnceLock<()>,
    /// What a repeat of such a callback is told.
    pub(crate) repeat: OnceLock<&'static str>,
}

/// One request that has found its row, on its way through a session.
pub(crate) struct Visit<'d> {
    pub(crate) sessions: &'d Arc<Sessions>,
    pub(crate) config: &'d Config,
    pub(crate) trace: &'d Trace,
}

impl Visit<'_> {
    /// Runs a request in its session and keeps what was written.
    pub(crate) async fn answer(&self, run: Box<Run>) -> Result<Response<AnswerBody>, Fault> {
        let plan = Arc::clone(&run.plan);
        let Some(row) = plan.table().rows().get(run.row - 1) else {
            return Err(Fault::not_found());
        };
        let Some(Answer { target, by: Ok(by) }) = plan.answer(row) else {
            return Err(Fault::not_found());
        };
        let errand = Errand {
            handler: Arc::clone(target),
            row_mode: row.otp().mode,
            caller: head::caller(&run.head.headers),
            may_redeem: head::may_redeem(&run.head.method, &run.head.headers),
            label: label(&run.head.headers),
            row_confirm: row.otp().confirm,
            agreement: run.agreement,
            navigates: head::navigates(&run.head.headers),
            binding: None,
            binding_doubled: false,
            host: run.head.headers.get(header::HOST).cloned(),
            client: run.remote,
        };
        let brought = run.brought(errand.may_redeem)?;
        if run.agreement == Agreement::Stale && matches!(brought, Brought::Token(_)) {
            return self.ask(&run, row, (Question::Click, String::new()));
        }
        let cookies = run.shown.as_ref().unwrap_or(&run.head.headers);
        let opened = self.sessions.open(cookies, errand).await?;
        let session = self.trace.session.get_or_init(|| opened);
        let timeout = self.config.timeout(row, by.patience());
        let visitor = (session, self.trace);
        let otp = match repeat::redeem((&run, row), &brought, visitor, timeout).await? {
            Turn::On(otp) => otp,
            Turn::Asks(question) => {
                return self.ask(&run, row, (question, session.user_name()));
            }
            Turn::Told(response) => return Ok(response),
        };
        let otp = *self.trace.otp.get_or_init(|| otp);
        if run.shown.is_some() && !otp.is_restored() {
            // It came without a cookie, and is a guest's without the token.
            session.become_guest().map_err(Fault::internal)?;
        }
        session.came_with(otp);
        redemption::admit(row, session)?;
        if let Some(message) = redemption::answer(&run, row, otp, session)? {
            return Ok(self.response(message));
        }
        let _ = self.trace.begun.set(());
        match by {
            Answerer::Handler(handler) => {
                let answering = handler.call(run.into_message(row, otp), session.clone());
                let reply = tokio::time::timeout(timeout, answering).await;
                let reply = reply.map_err(|_| Fault::handler_too_slow()).and_then(|it| Ok(it?));
                let reply = reply.map_err(|fault| fault.of_handler(target, handler.excerpt()))?;
                session.settle().await?;
                Ok(self.response(reply.into_message()))
            }
            Answerer::Relay(relay) => {
                let rules = (&**self.sessions, self.config);
                let passage = run.into_passage(row, (session.clone(), otp), rules)?;
                let response = relay.pass(passage).await?;
                session.settle().await?;
                Ok(self.passed_on(response))
            }
        }
    }

    /// The page that asks a person about the token of a request, instead of running it.
    fn ask(
        &self,
        run: &Run,
        row: &Row,
        (question, user): (Question, String),
    ) -> Result<Response<AnswerBody>, Fault> {
        let Brought::Token(token) = &run.brought else { return Err(Fault::confirm_refused()) };
        let _ = self.trace.otp.set(Outcome::AskFirst);
        let (head, place) = (&run.head, row.otp().param.as_ref());
        let is_stale = run.agreement == Agreement::Stale;
        let body = run.sent.as_ref().unwrap_or(&run.body);
        let is_get = head.method == Method::GET;
        let keep = || hop::keep(self.sessions, head, body, NONCE_SECS);
        let ticket = (!is_get).then(keep).transpose()?;
        let ticket = ticket.as_deref();
        let asking = Asking { head, token, ticket, place, question, user, is_stale };
        confirm::page(self.sessions, &self.config.confirm_page, &asking)
    }

    /// The answer of an upstream, which has no say about what browsers keep for callgate
    /// (docs/SECURITY.md T38).
    fn passed_on(&self, response: Response<AnswerBody>) -> Response<AnswerBody> {
        let (mut head, body) = response.into_parts();
        head.headers.remove(CLEAR_SITE_DATA);
        head.headers = without_own_cookie(head.headers, &self.sessions.cookie);
        Response::from_parts(head, body)
    }

    /// The answer that a message asks for.
    fn response(&self, message: OutgoingMessage) -> Response<AnswerBody> {
        let (status, headers, body) = message.into_parts();
        let mut response = Response::new(AnswerBody::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = without_own_cookie(headers, &self.sessions.cookie);
        response
    }
}
