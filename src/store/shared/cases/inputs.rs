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
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// When every token expires.
const EXPIRES_AT: Timestamp = Timestamp::from_millis(START.millis() + 600_000);
pub(super) const HANDLER: &str = "Pay.done";

/// The inputs of one case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    /// How long after the mint the claim arrives.
    pub(super) after: Duration,
    pub(super) claimed: Option<Claimed>,
    /// Whether the token has lost its fence.
    pub(super) is_void: bool,
    pub(super) handlers: &'static [&'static str],
    pub(super) session: State,
    pub(super) minted_mode: Option<RestoreMode>,
    pub(super) row_mode: RestoreMode,
    pub(super) caller: Caller,
    pub(super) minted_confirm: Option<Confirm>,
    /// Whether the token names the browser that minted it.
    pub(super) is_bound: bool,
    pub(super) consent: Agreed,
    pub(super) current: Option<Current>,
    /// Whether the session has as many devices as it may.
    pub(super) is_full: bool,
    pub(super) repeat: Option<Callback>,
}

/// Who claimed the token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    ThisAttempt,
    Another,
    SignIn,
    /// Another attempt, whose run has this stage.
    Run(Stage),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    CutOff,
    Answered,
    NotKept,
    Interrupted,
    NotStarted,
}

/// The state of the token's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Living,
    /// Its idle timeout is over, and it lives for its token.
    LivesForToken,
    /// Its absolute limit is reached at this time after the mint.
    Limited(Duration),
    Ended,
}

/// A session, relative to the one of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    Elsewhere,
}

/// A browser, relative to the one that minted the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Browser {
    Same,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreed {
    Given,
    Clicked(Option<Place>),
    Open(Confirm, Option<Browser>, Option<Place>),
}

/// The session that the request works in, and whether the token's session knows the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Current(pub(super) Place, pub(super) bool);

/// The callback of the claim, relative to that of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    Same { may_take_over: bool },
    OtherBody,
    Other,
}

/// A case that is plain.
pub(super) const PLAIN: Inputs = Inputs {
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
    consent: Agreed::Given,
    current: None,
    is_full: false,
    repeat: None,
};

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
                Agreed::Given => Consent::Given,
                Agreed::Clicked(signed_in) => {
                    Consent::Clicked { signed_in: signed_in.map(|place| place.session(number)) }
                }
                Agreed::Open(row, from, signed_in) => Consent::Open {
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
            RunStage::Answered { at: START, answer: SealedAnswer::from_bytes(vec![7; 64]) }
        }
        Stage::NotKept => RunStage::NotKept,
        Stage::Interrupted => RunStage::Interrupted,
        Stage::NotStarted => RunStage::NotStarted,
    };
    Run { stage, ..begun }
}
