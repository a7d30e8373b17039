//! A callback on a row with `repeat`: its first run is concluded, its repeats get that answer.
//!
//! ```text
//!   redeem ──▶ began ──▶ handler ──▶ settled ──▶ concluded ──▶ sent
//!      │                                              │ rings
//!      └─────▶ repeats: wait while it runs ◀──────────┘
//!                  └──▶ the kept answer, or 409
//! ```
//!
//! Nothing is sent that is not kept, so whoever has seen an answer sees the same one again.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use crate::base::ClaimId;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::CLAIM_RETRY_WINDOW;
use crate::base::limits::RUN_SLACK;
use crate::http::exchange::Exchange;
use crate::http::exchange::routes::Route;
use crate::http::message::body::collected::Collected;
use crate::http::message::body::collected::collect;
use crate::http::message::body::outgoing::AnswerBody;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::http::runs::Seat;
use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::http::sessions::Sessions;
use crate::store::StoreError;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::table::OnInterrupted;
use crate::table::RepeatRule;
use crate::table::Row;
use crate::token::Answer;
use crate::token::Callback;
use crate::token::Outcome;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::RepeatKey;
use crate::token::RepeatWish;
use crate::token::TokenSecret;
use crate::token::answer::NotSealedHere;

/// How often a repeat asks whether a run on another node is over: at first after this, then after
/// twice as long each time, up to [`ASKING_PAUSE_MAX`]. One on this node wakes it.
const ASKING_PAUSE_MIN: Duration = Duration::from_millis(50);
const ASKING_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The run of a callback that this request holds.
///
/// Dropped without being concluded, it leaves the run to be taken for cut off once its time is
/// over.
#[derive(Debug)]
pub(crate) struct FirstRun {
    secret: TokenSecret,
    claim: ClaimId,
    seat: Seat,
    /// How long the whole answer may take to arrive.
    patience: Duration,
}

/// How a request to a row with `repeat` goes on.
pub(crate) enum Turn {
    /// Like any other, with what became of its token.
    On(Outcome),
    /// A person must be asked first.
    Asks(Question),
    /// It is a repeat, and this is its answer.
    Told(Response<AnswerBody>),
}

impl Turn {
    /// The turn of a request whose repeats are nothing special.
    fn of(redemption: &Redemption) -> Self {
        match redemption {
            Redemption::Ended(otp) => Self::On(*otp),
            Redemption::Asks(question) => Self::Asks(*question),
            Redemption::Began(..) => Self::On(Outcome::Restored),
            Redemption::Repeats(at, ..) => Self::On(Outcome::Used { at: *at }),
        }
    }
}

/// Redeems the token of a request. On a row with `repeat` this finds out whether the callback came
/// before, and waits for the response that is being made.
pub(super) async fn redeem(
    exchange: &mut Exchange,
    route: &Route,
    session: &Session,
    patience: Duration,
) -> Result<Turn, Fault> {
    let secret = match &exchange.brought {
        Brought::Token(secret) => secret,
        Brought::Garbage => return Ok(Turn::of(&session.redeem_brought(None, None).await?)),
        // No token was tried: it does not count against a platform that calls back often.
        Brought::Other => return Ok(Turn::On(Outcome::Unknown)),
        Brought::Nothing | Brought::Several => return Ok(Turn::On(Outcome::Absent)),
    };
    let Some(rule) = route.row.repeat() else {
        return Ok(Turn::of(&session.redeem_brought(Some(secret), None).await?));
    };
    let wish = wish(exchange, (&route.row, secret, rule), session, patience)?;
    let secret = secret.clone();
    // Apart, so that the requests of other rows need no room for it.
    Box::pin(take_turn(exchange, (&secret, wish), session, patience)).await
}

async fn take_turn(
    exchange: &mut Exchange,
    (secret, wish): (&TokenSecret, RepeatWish),
    session: &Session,
    patience: Duration,
) -> Result<Turn, Fault> {
    let house = session.house();
    let seat = house.runs.seat(secret.digest(house.app())).ok_or_else(Fault::repeat_running)?;
    let mut over = pin!(tokio::time::sleep(patience));
    let mut pause = ASKING_PAUSE_MIN;
    loop {
        let news = seat.news();
        let (first, (repeat, secret)) =
            match session.redeem_brought(Some(secret), Some(wish)).await? {
                Redemption::Began(claim, secret) => {
                    drop(news);
                    exchange.first = Some(FirstRun { secret, claim, seat, patience });
                    return Ok(Turn::On(Outcome::Restored));
                }
                Redemption::Repeats(first, repeat, secret) => (first, (repeat, secret)),
                other => return Ok(Turn::of(&other)),
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
            return tell(house, &secret, repeat).map(Turn::Told);
        }
    }
}

fn wish(
    exchange: &Exchange,
    (row, secret, rule): (&Row, &TokenSecret, RepeatRule),
    session: &Session,
    patience: Duration,
) -> Result<RepeatWish, Fault> {
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
    Ok(RepeatWish {
        key: RepeatKey::of(secret, &callback),
        window: rule.window,
        // The handler, and a response that arrives as slowly as it may.
        run_within: patience * 2 + RUN_SLACK,
        may_take_over: rule.on_interrupted == OnInterrupted::Run,
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

fn tell(
    house: &Sessions,
    secret: &TokenSecret,
    repeat: Repeat,
) -> Result<Response<AnswerBody>, Fault> {
    match repeat {
        Repeat::Answered(sealed) => {
            let answer = Answer::open(&sealed, secret, house.app()).map_err(Fault::internal)?;
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
    house: &Sessions,
    exchange: &mut Exchange,
    result: Result<Response<AnswerBody>, Fault>,
    development: bool,
) -> Result<Response<AnswerBody>, Fault> {
    let Some(run) = exchange.first.take() else { return result };
    let manners = (exchange.policy.format, development);
    Box::pin(run.conclude(house, (result, exchange.handler_called), manners)).await
}

impl FirstRun {
    async fn conclude(
        self,
        house: &Sessions,
        (result, begun): (Result<Response<AnswerBody>, Fault>, bool),
        (format, development): (ErrorFormat, bool),
    ) -> Result<Response<AnswerBody>, Fault> {
        let (ending, result) = match result {
            Ok(response) => {
                let (collected, response) = collect(response, self.patience).await;
                (self.ending(house, collected)?, Ok(response))
            }
            Err(fault) if !begun || fault.leaves_all_undone() => (Ending::Unbegun, Err(fault)),
            Err(fault) if fault.leaves_open_what_happened() => (Ending::Interrupted, Err(fault)),
            Err(fault) => {
                // The handler ran, and this is what came of it.
                let response = fault.response(format, development);
                let (collected, _) = collect(response, self.patience).await;
                (self.ending(house, collected)?, Err(fault))
            }
        };
        let is_answer = matches!(ending, Ending::Answered(_) | Ending::TooLarge);
        match self.keep(house, ending).await {
            // What is not kept as the answer is not sent as the answer either.
            Err(fault) if is_answer => Err(fault),
            _ => result,
        }
    }

    fn ending(&self, house: &Sessions, collected: Collected) -> Result<Ending, Fault> {
        match collected {
            Collected::Whole(mut answer) => {
                // Its cookies are for the browser that had it first.
                answer.headers.retain(|(name, _)| !is_cookie(name));
                let sealed = answer.seal(&self.secret, house.app(), &*house.entropy);
                Ok(Ending::Answered(sealed.map_err(Fault::internal)?))
            }
            Collected::TooLarge => Ok(Ending::TooLarge),
            Collected::CutShort => Ok(Ending::Interrupted),
        }
    }

    /// Tells the store how the run ended, and once more when its reply was lost: the store knows
    /// the run again. Whoever waits is woken in any case, when this run is dropped.
    async fn keep(self, house: &Sessions, ending: Ending) -> Result<(), Fault> {
        failpoint::reached(Place::BeforeConclude).map_err(StoreError::from)?;
        let token = self.secret.digest(house.app());
        let conclusion = Conclusion { token, run: self.claim, ending };
        let concluded = match house.store.conclude(house.clock.now(), conclusion.clone()).await {
            Err(StoreError::Unreachable(cause)) => {
                let again = house.store.conclude(house.clock.now(), conclusion);
                let again = tokio::time::timeout(CLAIM_RETRY_WINDOW, again).await;
                again.map_err(|_| StoreError::Unreachable(cause))??
            }
            concluded => concluded?,
        };
        if concluded == Concluded::Late {
            tracing::warn!(event = "token.run_late", fingerprint = %token.fingerprint());
        }
        failpoint::reached(Place::AfterConclude).map_err(StoreError::from)?;
        Ok(())
    }
}

/// The response that a kept answer stands for; `None` for one that no version of callgate keeps.
fn response(answer: Answer) -> Option<Response<AnswerBody>> {
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers {
        if is_cookie(&name) {
            continue;
        }
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_bytes(&value).ok()?);
    }
    let mut response = Response::new(AnswerBody::from(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).ok()?;
    *response.headers_mut() = headers;
    Some(response)
}

fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("set-cookie")
}

impl Drop for FirstRun {
    fn drop(&mut self) {
        self.seat.ring();
    }
}
