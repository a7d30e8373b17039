//! The inputs of the rule, and their combinations.

use std::time::Duration;

use crate::base::Caller;
use crate::base::ClaimId;
use crate::base::Confirm;
use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::DEVICES_PER_SESSION_MAX;
use crate::session::Device;
use crate::session::Lifetime;
use crate::session::Record;
use crate::session::codec;
use crate::store::port::Claim;
use crate::store::shared::engine::NEVER;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::Unspent;
use crate::token::ClaimMark;
use crate::token::Consent;
use crate::token::ReplayKey;
use crate::token::ReplayOptions;
use crate::token::Run;
use crate::token::RunStage;
use crate::token::SealedAnswer;
use crate::token::Token;

/// When every session was last used and every token minted.
const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);
/// When every token expires.
const EXPIRES_AT: Timestamp = Timestamp::from_millis(START.millis() + 600_000);
const HANDLER: &str = "Pay.done";
const MODES: [RestoreMode; 4] =
    [RestoreMode::Auto, RestoreMode::Share, RestoreMode::Context, RestoreMode::Transfer];
const POLICIES: [Confirm; 3] = [Confirm::Never, Confirm::Foreign, Confirm::Always];

/// The inputs of one case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    /// How long after the mint the claim arrives.
    after: Duration,
    claimed: Option<Claimed>,
    /// Whether the token has lost its fence.
    is_void: bool,
    handlers: &'static [&'static str],
    session: State,
    minted_mode: Option<RestoreMode>,
    row_mode: RestoreMode,
    caller: Caller,
    minted_confirm: Option<Confirm>,
    /// Whether the token names the browser that minted it.
    is_bound: bool,
    consent: Given,
    current: Option<Current>,
    /// Whether the session has as many devices as it may.
    is_full: bool,
    repeat: Option<Callback>,
}

/// Who claimed the token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claimed {
    ThisAttempt,
    Another,
    SignIn,
    /// Another attempt, whose run has this stage.
    Run(Stage),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    CutOff,
    Answered,
    NotKept,
    Interrupted,
    NotStarted,
}

/// The state of the token's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Living,
    /// Its idle timeout is over, and it lives for its token.
    LivesForToken,
    /// Its absolute limit is reached at this time after the mint.
    Limited(Duration),
    Ended,
}

/// A session, relative to the one of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Elsewhere,
}

/// A browser, relative to the one that minted the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    Same,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Given,
    Clicked(Option<Place>),
    Open(Confirm, Option<Browser>, Option<Place>),
}

/// The session that the request works in, and whether the token's session knows the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Current(Place, bool);

/// The callback of the claim, relative to that of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callback {
    Same { may_take_over: bool },
    OtherBody,
    Other,
}

/// A case that is plain.
const PLAIN: Inputs = Inputs {
    after: MINUTE,
    claimed: None,
    is_void: false,
    handlers: &[],
    session: State::Living,
    minted_mode: None,
    row_mode: RestoreMode::Auto,
    caller: Caller::Browser,
    minted_confirm: None,
    is_bound: false,
    consent: Given::Given,
    current: None,
    is_full: false,
    repeat: None,
};

/// All combinations within each group of inputs that the rule looks at together, and each input of
/// one group with all of the others.
pub(super) fn all(with_every_mode: bool) -> Vec<Inputs> {
    let modes = modes(with_every_mode);
    let consents = consents();
    let joins = joins();
    let lives = lives();
    let mut all = lives.clone();
    for mode in &modes {
        all.extend(consents.iter().chain(&joins).map(|inputs| mode.and_mode_of(*inputs)));
    }
    // A reason to refuse counts whatever the others say.
    for reason in lives.iter().filter(|inputs| inputs.reasons() == 1) {
        all.extend(
            consents.iter().step_by(5).chain(&joins).map(|inputs| inputs.and_life_of(*reason)),
        );
    }
    all.extend(repeats());
    all
}

/// Modes of the mint, the row and the caller.
fn modes(every: bool) -> Vec<Inputs> {
    let mut modes = Vec::new();
    for minted_mode in [None].into_iter().chain(MODES.map(Some)) {
        for row_mode in MODES {
            for caller in [Caller::Browser, Caller::Server] {
                modes.push(Inputs { minted_mode, row_mode, caller, ..PLAIN });
            }
        }
    }
    if !every {
        let auto = RestoreMode::Auto;
        modes.retain(|mode| match mode.minted_mode {
            None => mode.caller == Caller::Browser || mode.row_mode == auto,
            Some(_) => mode.row_mode == RestoreMode::Transfer && mode.caller == Caller::Server,
        });
    }
    modes
}

/// Times, earlier claims, fences, handlers and states of the session.
fn lives() -> Vec<Inputs> {
    let mut lives = Vec::new();
    let moment = Duration::from_millis(1);
    let handlers: [&[&str]; 5] =
        [&[], &[HANDLER], &["Pay.failed", HANDLER], &["Pay.done2"], &["xPay.done", "Pay"]];
    for after in [MINUTE, MINUTE * 10 - moment, MINUTE * 10] {
        let states = [
            State::Living,
            State::LivesForToken,
            State::Limited(after),
            State::Limited(after + moment),
            State::Ended,
        ];
        let claims = [Claimed::ThisAttempt, Claimed::Another, Claimed::SignIn];
        for claimed in [None].into_iter().chain(claims.map(Some)) {
            for is_void in [false, true] {
                for handlers in handlers {
                    for session in states {
                        lives.push(Inputs { after, claimed, is_void, handlers, session, ..PLAIN });
                    }
                }
            }
        }
    }
    lives
}

/// Confirmation policies, browsers and the session that the browser is signed in to.
fn consents() -> Vec<Inputs> {
    let places = [None, Some(Place::Here), Some(Place::Elsewhere)];
    let mut given = vec![Given::Given];
    given.extend(places.map(Given::Clicked));
    for policy in POLICIES {
        for browser in [None, Some(Browser::Same), Some(Browser::Other)] {
            given.extend(places.map(|place| Given::Open(policy, browser, place)));
        }
    }
    let mut consents = Vec::new();
    for consent in given {
        for minted_confirm in [None].into_iter().chain(POLICIES.map(Some)) {
            for is_bound in [false, true] {
                consents.push(Inputs { consent, minted_confirm, is_bound, ..PLAIN });
            }
        }
    }
    consents
}

/// What decides whether the bearer joins, and whether there is room.
fn joins() -> Vec<Inputs> {
    let mut joins = Vec::new();
    let current = [Place::Here, Place::Elsewhere]
        .map(|place| [true, false].map(|is_known| Some(Current(place, is_known))));
    for current in current.into_iter().flatten().chain([None]) {
        for is_full in [false, true] {
            for repeat in [None, Some(Callback::Same { may_take_over: false })] {
                joins.push(Inputs { current, is_full, repeat, ..PLAIN });
            }
        }
    }
    joins
}

/// Repeats of a callback in every stage of its run. None of them is plain.
fn repeats() -> Vec<Inputs> {
    let stages = [
        Stage::Running,
        Stage::CutOff,
        Stage::Answered,
        Stage::NotKept,
        Stage::Interrupted,
        Stage::NotStarted,
    ];
    let callbacks = [
        None,
        Some(Callback::Same { may_take_over: false }),
        Some(Callback::Same { may_take_over: true }),
        Some(Callback::OtherBody),
        Some(Callback::Other),
    ];
    let mut repeats = Vec::new();
    for stage in stages {
        for repeat in callbacks {
            for handlers in [&[] as &[&str], &["Pay.failed"]] {
                let claimed = Some(Claimed::Run(stage));
                repeats.push(Inputs { claimed, repeat, handlers, ..PLAIN });
            }
        }
    }
    repeats
}

impl Inputs {
    /// A case that is plain but for the handlers of the token.
    pub(super) fn of_another_handler() -> Self {
        Self { handlers: &["Pay.done2"], repeat: Some(Callback::Other), ..PLAIN }
    }

    /// A handler that may redeem the token.
    pub(super) fn handler(&self) -> &'static str {
        self.handlers.first().unwrap_or(&HANDLER)
    }

    pub(super) fn is_void(&self) -> bool {
        self.is_void
    }

    pub(super) fn now(&self) -> Timestamp {
        START.after(self.after)
    }

    /// How many inputs of [`lives`] differ from a plain case.
    fn reasons(&self) -> usize {
        let differs = [
            self.after != PLAIN.after,
            self.claimed.is_some(),
            self.is_void,
            !self.handlers.is_empty(),
            self.session != State::Living,
        ];
        differs.into_iter().filter(|differs| *differs).count()
    }

    fn and_mode_of(&self, other: Self) -> Self {
        let Self { minted_mode, row_mode, caller, .. } = *self;
        Self { minted_mode, row_mode, caller, ..other }
    }

    fn and_life_of(&self, other: Self) -> Self {
        let Self { after, claimed, is_void, handlers, session, .. } = other;
        Self { after, claimed, is_void, handlers, session, ..*self }
    }

    pub(super) fn token(&self, number: u64) -> Token {
        let claim = self.claimed.map(|by| match by {
            Claimed::ThisAttempt => ClaimMark { id: attempt(number), at: START },
            Claimed::Another | Claimed::Run(_) => ClaimMark { id: other_attempt(), at: START },
            Claimed::SignIn => ClaimMark::by_sign_in(START),
        });
        Token {
            digest: digest(1, number),
            id: TokenId::from_bytes(bytes(1, number)),
            session: session(number),
            minted_at: START,
            expires_at: EXPIRES_AT,
            handlers: self.handlers.iter().map(|name| (*name).into()).collect(),
            mode: self.minted_mode,
            confirm: self.minted_confirm,
            binding: self.is_bound.then(|| browser(Browser::Same)),
            generation: 0,
            claim,
            run: match self.claimed {
                Some(Claimed::Run(stage)) => Some(run(stage)),
                _ => None,
            },
        }
    }

    /// The row of the session of `token`.
    pub(super) fn session(
        &self,
        number: u64,
        token: &Token,
    ) -> Result<SessionRow, serde_json::Error> {
        if self.session == State::Ended {
            let ended_at = Some(START);
            return Ok(SessionRow {
                version: 1,
                seen_at: START,
                ended_at,
                ..SessionRow::default()
            });
        }
        let seen_at = match self.session {
            State::LivesForToken => Timestamp::from_millis(START.millis() - 7_200_000),
            _ => START,
        };
        let (created_at, absolute_minutes) = match self.session {
            State::Limited(after) => {
                let millis = START.after(after).millis() - 24 * 3_600_000;
                (Timestamp::from_millis(millis), Some(24 * 60))
            }
            _ => (Timestamp::from_millis(START.millis() - 7_200_000), None),
        };
        let lifetime = Lifetime { absolute_minutes, ..Lifetime::default() };
        let mut record = Record::new(token.session, created_at, lifetime, device(2, number));
        while self.is_full && record.devices.len() < DEVICES_PER_SESSION_MAX {
            let seed = u8::try_from(record.devices.len()).unwrap_or(u8::MAX);
            record.devices.push(device(100 + seed, number));
        }
        Ok(SessionRow {
            version: 1,
            seen_at,
            idle_ms: u64::try_from(lifetime.idle().as_millis()).unwrap_or(u64::MAX),
            absolute_at: lifetime.expires_at(created_at, NEVER, NEVER).min(NEVER),
            doc: codec::encode(&record)?,
            devices: record.devices.iter().map(|device| device.digest).collect(),
            unspent: token.claim.is_none().then(|| Unspent::of(token)).into_iter().collect(),
            ..SessionRow::default()
        })
    }

    pub(super) fn claim(&self, number: u64) -> Claim {
        Claim {
            token: digest(1, number),
            id: attempt(number),
            handler: HANDLER.into(),
            row_mode: self.row_mode,
            caller: self.caller,
            consent: match self.consent {
                Given::Given => Consent::Given,
                Given::Clicked(signed_in) => {
                    Consent::Clicked { signed_in: signed_in.map(|place| place.session(number)) }
                }
                Given::Open(row, from, signed_in) => Consent::Open {
                    row,
                    browser: from.map(browser),
                    signed_in: signed_in.map(|place| place.session(number)),
                },
            },
            current: self.current.map(|Current(place, is_known)| {
                (place.session(number), digest(if is_known { 2 } else { 3 }, number))
            }),
            newcomer: device(4, number),
            repeat: self.repeat.map(options),
        }
    }
}

impl Place {
    fn session(self, number: u64) -> SessionId {
        match self {
            Self::Here => session(number),
            Self::Elsewhere => SessionId::from_bytes([0xEE; 16]),
        }
    }
}

/// Bytes that are different for each kind of value and each case.
fn bytes<const N: usize>(kind: u8, number: u64) -> [u8; N] {
    let mut bytes = [kind; N];
    for (byte, own) in bytes.iter_mut().rev().zip(number.to_le_bytes()) {
        *byte = own;
    }
    // The shards of a Cluster go by the first byte.
    if let (Some(first), [own, ..]) = (bytes.first_mut(), number.to_le_bytes()) {
        *first = own;
    }
    bytes
}

fn digest(kind: u8, number: u64) -> Digest {
    Digest::from_bytes(bytes(kind, number))
}

fn session(number: u64) -> SessionId {
    SessionId::from_bytes(bytes(1, number))
}

fn attempt(number: u64) -> ClaimId {
    ClaimId::from_bytes(bytes(1, number))
}

fn other_attempt() -> ClaimId {
    ClaimId::from_bytes([0xA7; 16])
}

fn browser(browser: Browser) -> Digest {
    Digest::from_bytes(match browser {
        Browser::Same => [0xB1; 32],
        Browser::Other => [0xB2; 32],
    })
}

fn device(kind: u8, number: u64) -> Device {
    let id = DeviceId::from_bytes(bytes(kind, number));
    Device { id, digest: digest(kind, number), since: START, label: "Firefox on Linux".to_owned() }
}

fn options(callback: Callback) -> ReplayOptions {
    let (call, body, may_take_over) = match callback {
        Callback::Same { may_take_over } => (1, 1, may_take_over),
        Callback::OtherBody => (1, 2, true),
        Callback::Other => (2, 1, true),
    };
    ReplayOptions {
        key: ReplayKey {
            call: Digest::from_bytes([call; 32]),
            body: Digest::from_bytes([body; 32]),
        },
        window: MINUTE * 30,
        lease: Duration::from_secs(10),
        may_take_over,
    }
}

fn run(stage: Stage) -> Run {
    let begun =
        Run::begin(other_attempt(), &options(Callback::Same { may_take_over: false }), START);
    let stage = match stage {
        // The lease ends before the claim arrives.
        Stage::CutOff => RunStage::Running,
        Stage::Running => return Run { deadline: EXPIRES_AT, ..begun },
        Stage::Answered => {
            let answer = SealedAnswer::from_bytes(vec![7; 64]);
            RunStage::Answered { at: START, answer, right: None }
        }
        Stage::NotKept => RunStage::NotKept,
        Stage::Interrupted => RunStage::Interrupted,
        Stage::NotStarted => RunStage::NotStarted,
    };
    Run { stage, ..begun }
}
