//! A callback on a row with `repeat`: the response of its first run is kept, and its repeats get
//! the same one.
//!
//! ```text
//!   redeem ──▶ began ──▶ handler ──▶ settled ──▶ concluded ──▶ sent
//!      │                                              │ notifies
//!      └─────▶ repeats: wait while it runs ◀──────────┘
//!                  └──▶ the kept response, or 409
//! ```
//!
//! A response is sent once it is kept, so a client that has seen one sees the same one again. One
//! that is too large to be kept, or left open what the handler did, is sent all the same; its
//! repeats get 409. From `began` to `concluded` a task renews the lease of the run, so that other nodes learn within
//! seconds when this one has died.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::RUN_LEASE;
use crate::base::limits::RUN_RENEWAL;
use crate::base::limits::RUN_SLACK;
use crate::flow::redeem::CallbackRedemption;
use crate::flow::redeem::Redemption;
use crate::flow::retry::retry_lost;
use crate::flow::session::Session;
use crate::flow::sessions::Sessions;
use crate::http::exchange::EarlyEnd;
use crate::http::exchange::Exchange;
use crate::http::exchange::FirstRun;
use crate::http::exchange::PhaseResult;
use crate::http::message::body::collected::Collected;
use crate::http::message::body::collected::collect;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::fault::Fault;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::store::StoreError;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::table::OnInterrupted;
use crate::table::Row;
use crate::token::Answer;
use crate::token::Callback;
use crate::token::Outcome;
use crate::token::Repeat;
use crate::token::ReplayKey;
use crate::token::ReplayOptions;
use crate::token::TokenSecret;
use crate::token::answer::NotSealedHere;

/// How often a repeat asks whether a run on another node is over: at first after this, then after
/// twice as long each time, up to [`ASKING_PAUSE_MAX`]. A run on this node wakes it.
const ASKING_PAUSE_MIN: Duration = Duration::from_millis(50);
const ASKING_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A token on a row with `repeat`, and what makes two requests with it the same callback.
pub(super) struct Repeatable {
    token: TokenSecret,
    options: ReplayOptions,
}

impl Repeatable {
    /// `None` for a request without a token, and on a row without `repeat`.
    pub(super) fn of(
        exchange: &Exchange,
        row: &Row,
        session: &Session,
    ) -> Result<Option<Self>, Fault> {
        let (Some(rule), Brought::Token(token)) = (row.repeat(), &exchange.brought) else {
            return Ok(None);
        };
        let head = &exchange.head;
        let body = if head.method == Method::GET { &[][..] } else { &exchange.body };
        let raw = head.uri.query().unwrap_or("");
        let callback = Callback {
            method: head.method.as_str(),
            path: exchange.path.as_str(),
            query: &token_place::canonical_rest(raw, row.otp().param.as_ref()),
            browser: session.known_browser(rule.window).map_err(Fault::internal)?,
            body,
        };
        let options = ReplayOptions {
            key: ReplayKey::of(token, &callback),
            window: rule.window,
            lease: RUN_LEASE,
            may_take_over: rule.on_interrupted == OnInterrupted::Run,
        };
        Ok(Some(Self { token: token.clone(), options }))
    }
}

/// Redeems the token of a request to a row with `repeat`: the first run goes on to the handler, and
/// a repeat waits for its response and ends here.
pub(super) async fn redeem(
    exchange: &mut Exchange,
    Repeatable { token, options }: Repeatable,
    session: &Session,
    timeout: Duration,
) -> PhaseResult<Redemption> {
    let sessions = session.sessions();
    let digest = token.digest(sessions.app());
    let waiter = sessions.waiters.waiter(digest).ok_or_else(Fault::repeat_running)?;
    let mut over = pin!(tokio::time::sleep(timeout));
    let mut pause = ASKING_PAUSE_MIN;
    loop {
        let news = waiter.news();
        // Whatever the clock says of its lease, a run of this process is not cut off.
        let runs_here = waiter.is_run_here();
        let may_take_over = options.may_take_over && !runs_here;
        let options = ReplayOptions { may_take_over, ..options };
        let (first, repeat, secret) = match session.redeem_callback(&token, options).await? {
            CallbackRedemption::Granted(claim, secret) => {
                drop(news);
                let waiter = waiter.into_runner();
                let renewal = renew(sessions, secret.digest(sessions.app()), claim, timeout);
                let session = session.id();
                exchange.first =
                    Some(FirstRun { secret, claim, session, waiter, renewal, timeout });
                return Ok(Redemption::Ended(Outcome::Restored));
            }
            CallbackRedemption::Repeats(first, repeat, secret) => (first, repeat, secret),
            CallbackRedemption::Refused(redemption) => return Ok(redemption),
        };
        let repeat = match repeat {
            Repeat::Interrupted if runs_here => Repeat::Running,
            repeat => repeat,
        };
        let mut is_over = repeat != Repeat::Running;
        if !is_over {
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(ASKING_PAUSE_MAX),
                () = &mut over => is_over = true,
            }
        }
        if is_over {
            exchange.outcome = Outcome::Used { at: first };
            exchange.repeat = Some(name(&repeat));
            session.give_no_cookie();
            return Err(EarlyEnd::respond(replayed(sessions, &secret, repeat)?));
        }
    }
}

/// Renews the lease of a run as long as it may take: its handler, and a response that arrives as
/// slowly as it may.
fn renew(
    sessions: &Arc<Sessions>,
    token: Digest,
    run: ClaimId,
    timeout: Duration,
) -> JoinHandle<()> {
    let sessions = Arc::clone(sessions);
    let at_most = timeout * 2 + RUN_SLACK;
    tokio::spawn(async move {
        let renewing = async {
            let mut ticks = tokio::time::interval(RUN_RENEWAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            let mut is_held = true;
            while is_held {
                ticks.tick().await;
                let conclusion = Conclusion { token, run, ending: Ending::Running };
                let renewed = sessions.store.conclude(sessions.clock.now(), conclusion);
                let renewed = tokio::time::timeout(RUN_RENEWAL, renewed).await;
                // One that is lost ends nothing: the lease bears that.
                is_held = matches!(renewed, Err(_) | Ok(Err(_) | Ok(Concluded::Renewed)));
            }
        };
        let _ = tokio::time::timeout(at_most, renewing).await;
    })
}

/// The word for the log line.
const fn name(repeat: &Repeat) -> &'static str {
    match repeat {
        Repeat::Running => "running",
        Repeat::Answered(_) => "answered",
        Repeat::NotKept => "not_kept",
        Repeat::Interrupted => "interrupted",
        Repeat::Differs => "differs",
    }
}

fn replayed(
    sessions: &Sessions,
    secret: &TokenSecret,
    repeat: Repeat,
) -> Result<Response<ResponseBody>, Fault> {
    match repeat {
        Repeat::Answered(sealed) => {
            let answer = Answer::open(&sealed, secret, sessions.app()).map_err(Fault::internal)?;
            response(answer).ok_or_else(|| Fault::internal(NotSealedHere))
        }
        Repeat::Running => Err(Fault::repeat_running()),
        Repeat::NotKept => Err(Fault::answer_not_kept()),
        Repeat::Interrupted => Err(Fault::interrupted()),
        Repeat::Differs => Err(Fault::repeat_differs()),
    }
}

/// Concludes the run that a request held, if it held one, and returns the response to send.
pub(super) async fn conclude(
    sessions: &Sessions,
    exchange: &mut Exchange,
    result: Result<Response<ResponseBody>, Fault>,
) -> Result<Response<ResponseBody>, Fault> {
    match exchange.first.take() {
        Some(run) => Box::pin(run.conclude(sessions, exchange, result)).await,
        None => result,
    }
}

impl FirstRun {
    async fn conclude(
        self,
        sessions: &Sessions,
        exchange: &mut Exchange,
        result: Result<Response<ResponseBody>, Fault>,
    ) -> Result<Response<ResponseBody>, Fault> {
        let (ending, result) = match result {
            Ok(response) => {
                let (collected, response) = collect(response, self.timeout).await;
                (self.ending(exchange, sessions, collected)?, Ok(response))
            }
            Err(fault) if !exchange.handler_called || fault.leaves_all_undone() => {
                (Ending::NotStarted, Err(fault))
            }
            Err(fault) if fault.leaves_open_what_happened() => (Ending::Interrupted, Err(fault)),
            Err(fault) => {
                // The handler ran, and this is its result.
                let response = exchange.policy.error(&fault);
                let (collected, _) = collect(response, self.timeout).await;
                (self.ending(exchange, sessions, collected)?, Err(fault))
            }
        };
        let is_answer = matches!(ending, Ending::Answered { .. } | Ending::TooLarge);
        match self.report(sessions, ending).await {
            // A response that is not kept is not sent either.
            Err(fault) if is_answer => Err(fault),
            _ => result,
        }
    }

    fn ending(
        &self,
        exchange: &Exchange,
        sessions: &Sessions,
        collected: Collected,
    ) -> Result<Ending, Fault> {
        match collected {
            Collected::Whole(mut answer) => {
                // Its cookies are for the browser that sent the first request.
                answer.headers.retain(|(name, _)| !is_cookie(name));
                let sealed = answer.seal(&self.secret, sessions.app(), &*sessions.entropy);
                let session = exchange.session.as_ref();
                let right = session.and_then(|session| session.answer_right(self.session));
                Ok(Ending::Answered { answer: sealed.map_err(Fault::internal)?, right })
            }
            Collected::TooLarge => Ok(Ending::TooLarge),
            Collected::CutShort => Ok(Ending::Interrupted),
        }
    }

    /// Reports to the store how the run ended, and once more when the reply was lost: the store
    /// recognizes the run. Waiting requests are woken in any case, when this run is dropped.
    async fn report(self, sessions: &Sessions, ending: Ending) -> Result<(), Fault> {
        failpoint::reached(Place::BeforeConclude).map_err(StoreError::from)?;
        let token = self.secret.digest(sessions.app());
        let conclusion = Conclusion { token, run: self.claim, ending };
        let conclude = || sessions.store.conclude(sessions.clock.now(), conclusion.clone());
        let concluded = retry_lost(conclude).await?;
        if matches!(concluded, Concluded::Late | Concluded::Forgotten) {
            tracing::warn!(event = "token.run_late", fingerprint = %token.fingerprint());
        }
        failpoint::reached(Place::AfterConclude).map_err(StoreError::from)?;
        if concluded == Concluded::Late {
            // Its repeats get the response of the request that runs the handler now.
            return Err(Fault::repeat_running());
        }
        Ok(())
    }
}

/// The response that was kept; `None` for one that no version of callgate keeps.
fn response(answer: Answer) -> Option<Response<ResponseBody>> {
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers {
        if is_cookie(&name) {
            continue;
        }
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_bytes(&value).ok()?);
    }
    let mut response = Response::new(ResponseBody::from(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).ok()?;
    *response.headers_mut() = headers;
    Some(response)
}

fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("set-cookie")
}
