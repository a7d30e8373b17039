//! The combinations of inputs that make up the table.

use std::time::Duration;

use crate::base::Caller;
use crate::base::Confirm;
use crate::base::RestoreMode;

use super::inputs::Agreed;
use super::inputs::Browser;
use super::inputs::Callback;
use super::inputs::Claimed;
use super::inputs::Current;
use super::inputs::HANDLER;
use super::inputs::Inputs;
use super::inputs::MINUTE;
use super::inputs::PLAIN;
use super::inputs::Place;
use super::inputs::Stage;
use super::inputs::State;

const MODES: [RestoreMode; 4] =
    [RestoreMode::Auto, RestoreMode::Share, RestoreMode::Context, RestoreMode::Transfer];
const POLICIES: [Confirm; 3] = [Confirm::Never, Confirm::Foreign, Confirm::Always];

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
    for after in [MINUTE, MINUTE * 9 + Duration::from_millis(59_999), MINUTE * 10] {
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
    let mut given = vec![Agreed::Given];
    given.extend(places.map(Agreed::Clicked));
    for policy in POLICIES {
        for browser in [None, Some(Browser::Same), Some(Browser::Other)] {
            given.extend(places.map(|place| Agreed::Open(policy, browser, place)));
        }
    }
    let mut consents = Vec::new();
    for consent in given {
        for minted_confirm in [None].into_iter().chain(POLICIES.map(Some)) {
            for is_bound in [false, true] {
                consents.push(Inputs { minted_confirm, is_bound, consent, ..PLAIN });
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
                repeats.push(Inputs { claimed, handlers, repeat, ..PLAIN });
            }
        }
    }
    repeats
}

impl Inputs {
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
}
