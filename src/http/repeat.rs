//! A callback on a row with `repeat`: its first run is concluded, its repeats get that answer.
//!
//! ```text
//!   redeem ──▶ began ──▶ handler ──▶ settled ──▶ concluded ──▶ sent
//!      │                                              │ rings
//!      └─────▶ repeats: wait while it runs ◀──────────┘
//!                  └──▶ the kept answer, or 409
//! ```
//!
//! Nothing is sent that is not kept, so whoever has seen an answer sees the same one again. From
//! `began` to `concluded` a task renews the lease of the run, so that other nodes learn within
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

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::limits::CLAIM_RETRY_WINDOW;
use crate::base::limits::RUN_LEASE;
use crate::base::limits::RUN_RENEWAL;
use crate::base::limits::RUN_SLACK;
use crate::http::answer::AnswerBody;
use crate::http::brought;
use crate::http::brought::Brought;
use crate::http::collected::Collected;
use crate::http::collected::collect;
use crate::http::fault::Fault;
use crate::http::fault::Speaks;
use crate::http::redemption;
use crate::http::run::Run;
use crate::http::runs::Seat;
use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::http::sessions::Sessions;
use crate::http::visit::Trace;
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
/// Dropped without being concluded, it leaves the run to be taken for cut off once its lease is
/// over.
#[derive(Debug)]
pub(crate) struct FirstRun {
    secret: TokenSecret,
    claim: ClaimId,
    seat: Seat,
    /// Renews the lease until this is dropped.
    renewal: JoinHandle<()>,
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

/// Redeems what a request brings, as [`redemption::redeem`] does; on a row with `repeat` it finds
/// out whether the callback came before, and waits for the answer that is being made.
pub(crate) async fn redeem(
    (run, row): (&Run, &Row),
    brought: &Brought,
    (session, trace): (&Session, &Trace),
    patience: Duration,
) -> Result<Turn, Fault> {
    let (Some(rule), Brought::Token(secret)) = (row.repeat(), brought) else {
        return Ok(Turn::of(&redemption::redeem(session, brought).await?));
    };
    let wish = wish((run, row, secret), rule, session)?;
    // Apart, so that the requests of other rows need no room for it.
    Box::pin(take_turn((secret, wish), (session, trace), patience)).await
}

async fn take_turn(
    (secret, wish): (&TokenSecret, RepeatWish),
    (session, trace): (&Session, &Trace),
    patience: Duration,
) -> Result<Turn, Fault> {
    let house = session.house();
    let token = secret.digest(house.app());
    let seat = house.runs.seat(token).ok_or_else(Fault::repeat_running)?;
    let mut over = pin!(tokio::time::sleep(patience));
    let mut pause = ASKING_PAUSE_MIN;
    loop {
        let news = seat.news();
        // Whatever the clock says of its lease, a run of this process is not cut off.
        let runs_here = seat.is_run_here();
        let may_take_over = wish.may_take_over && !runs_here;
        let wish = RepeatWish { may_take_over, ..wish };
        let (first, (repeat, secret)) =
            match session.redeem_brought(Some(secret), Some(wish)).await? {
                Redemption::Began(claim, secret) => {
                    drop(news);
                    let seat = seat.that_runs();
                    let renewal = renew(house, (token, claim), patience);
                    let run = FirstRun { secret, claim, seat, renewal, patience };
                    // A request redeems once, so nothing was there.
                    let _ = trace.first.set(run);
                    return Ok(Turn::On(Outcome::Restored));
                }
                Redemption::Repeats(first, repeat, secret) => (first, (repeat, secret)),
                other => return Ok(Turn::of(&other)),
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
            // Each is set here and nowhere else.
            let _ = trace.otp.set(Outcome::Used { at: first });
            let _ = trace.repeat.set(name(&repeat));
            session.mute();
            return tell(house, &secret, repeat).map(Turn::Told);
        }
    }
}

fn wish(
    (run, row, secret): (&Run, &Row, &TokenSecret),
    rule: RepeatRule,
    session: &Session,
) -> Result<RepeatWish, Fault> {
    let method = &run.head.method;
    let body = if *method == Method::GET { &[][..] } else { &run.body };
    let raw = run.head.uri.query().unwrap_or("");
    let callback = Callback {
        method: method.as_str(),
        path: run.path.as_str(),
        query: &brought::canonical_rest(raw, row.otp().param.as_ref()),
        browser: session.known_browser(rule.window).map_err(Fault::internal)?,
        body,
    };
    Ok(RepeatWish {
        key: RepeatKey::of(secret, &callback),
        window: rule.window,
        lease: RUN_LEASE,
        may_take_over: rule.on_interrupted == OnInterrupted::Run,
    })
}

/// Renews the lease of a run as long as it may take: its handler, and an answer that arrives as
/// slowly as it may.
fn renew(
    house: &Arc<Sessions>,
    (token, run): (Digest, ClaimId),
    patience: Duration,
) -> JoinHandle<()> {
    let house = Arc::clone(house);
    let at_most = patience * 2 + RUN_SLACK;
    tokio::spawn(async move {
        let renewing = async {
            let mut is_held = true;
            while is_held {
                tokio::time::sleep(RUN_RENEWAL).await;
                let conclusion = Conclusion { token, run, ending: Ending::Running };
                let renewed = house.store.conclude(house.clock.now(), conclusion);
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

/// Concludes the run that a request held, if it held one, and gives back what is to be sent.
pub(crate) async fn conclude(
    house: &Sessions,
    trace: &mut Trace,
    result: Result<Response<AnswerBody>, Fault>,
    manners: (Speaks, bool),
) -> Result<Response<AnswerBody>, Fault> {
    let Some(run) = trace.first.take() else { return result };
    let begun = trace.begun.get().is_some();
    Box::pin(run.conclude(house, (result, begun), manners)).await
}

impl FirstRun {
    async fn conclude(
        self,
        house: &Sessions,
        (result, begun): (Result<Response<AnswerBody>, Fault>, bool),
        (speaks, development): (Speaks, bool),
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
                let response = fault.response(speaks, development);
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
        if matches!(concluded, Concluded::Late | Concluded::Forgotten) {
            tracing::warn!(event = "token.run_late", fingerprint = %token.fingerprint());
        }
        failpoint::reached(Place::AfterConclude).map_err(StoreError::from)?;
        if concluded == Concluded::Late {
            // Its repeats get the answer of whoever runs the handler now.
            return Err(Fault::repeat_running());
        }
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
        self.renewal.abort();
        self.seat.ring();
    }
}
