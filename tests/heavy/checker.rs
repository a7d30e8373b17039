//! Decides from the record of what clients asked and were told whether a server kept its word.
//!
//! Operations are as in Jepsen: each has the moment it was begun and the moment its client knew
//! more, and ends `ok` (it happened), `fail` (it did not) or `info` (nobody knows). Moments are
//! numbers of one counter, so what ended before another began has a smaller number. An `info`
//! operation has happened before its end or never: its client saw the server die. Where a node may
//! have left word with a database that outlives it, its end is [`NEVER`].

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;

/// A session, token or key by number: what they are called is secret, or of no interest.
pub(crate) type Number = usize;

/// The end of an operation that may still happen at any time.
pub(crate) const NEVER: u64 = u64::MAX;

/// What was asked, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Writes a value that nobody else writes.
    Write { session: Number, key: Number, value: u64 },
    /// Mints a token.
    Mint { session: Number, token: Number },
    /// Redeems a token.
    Redeem { token: Number, saw: Redemption },
    /// Logs out.
    Logout { session: Number },
    /// Looks at a session: its values by key, or that it is not there.
    Read { session: Number, saw: Option<BTreeMap<Number, u64>> },
}

/// How a redemption ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redemption {
    /// In this session.
    Granted(Number),
    /// Why, in the word that a handler is given.
    Refused(&'static str),
    /// There was no answer.
    Unheard,
}

/// The refusal of an attempt that may have won all the same: its first reply was lost, and when it
/// asked again the session was over.
pub(crate) const SESSION_GONE: &str = "session gone";

impl Redemption {
    fn may_have_won(self) -> bool {
        !matches!(self, Self::Refused(why) if why != SESSION_GONE)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Ok,
    Fail,
    Info,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) act: Act,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) ending: Ending,
}

/// A word that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A token was granted twice.
    GrantedTwice { token: Number },
    /// A token that nobody has been given was granted, or into another's session.
    GrantedWrongly { token: Number },
    /// A token that was acknowledged and that nobody can have redeemed did not redeem.
    MintLost { token: Number },
    /// A session that nobody logged out was not there.
    SessionLost { session: Number },
    /// A value is not the last one acknowledged, nor one that was written at the same time.
    WriteLost { session: Number, key: Number, saw: Option<u64> },
    /// A session did something after its logout was acknowledged.
    LogoutUndone { session: Number },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Operation {
    fn is_ok(&self) -> bool {
        self.ending == Ending::Ok
    }

    /// Whether it may have happened before `moment`.
    fn may_precede(&self, moment: u64) -> bool {
        self.ending != Ending::Fail && self.began < moment
    }
}

/// Every word that was not kept, each once.
pub(crate) fn check(history: &[Operation]) -> Vec<Violation> {
    let index = Index::of(history);
    let mut found = Vec::new();
    for operation in history {
        match &operation.act {
            Act::Redeem { token, .. } => index.check_redemption(*token, operation, &mut found),
            Act::Read { session, saw: None } => {
                index.check_absence(*session, operation, &mut found);
            }
            Act::Read { session, saw: Some(values) } => {
                index.check_logout(*session, operation, &mut found);
                index.check_values(*session, values, operation, &mut found);
            }
            Act::Write { session, .. } | Act::Mint { session, .. } => {
                index.check_logout(*session, operation, &mut found);
            }
            Act::Logout { .. } => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The operations that a violation is about, for whoever looks for its cause.
pub(crate) fn about(history: &[Operation], it: Violation) -> Vec<&Operation> {
    let session = match it {
        Violation::SessionLost { session }
        | Violation::LogoutUndone { session }
        | Violation::WriteLost { session, .. } => Some(session),
        Violation::GrantedTwice { token }
        | Violation::GrantedWrongly { token }
        | Violation::MintLost { token } => history.iter().find_map(|other| match other.act {
            Act::Mint { session, token: minted } if minted == token => Some(session),
            _ => None,
        }),
    };
    let tokens: Vec<Number> = history
        .iter()
        .filter_map(|other| match other.act {
            Act::Mint { session: of, token } if Some(of) == session => Some(token),
            _ => None,
        })
        .collect();
    let is_about = |other: &&Operation| match other.act {
        Act::Write { session: of, .. }
        | Act::Mint { session: of, .. }
        | Act::Logout { session: of }
        | Act::Read { session: of, .. } => Some(of) == session,
        Act::Redeem { token, .. } => tokens.contains(&token),
    };
    history.iter().filter(is_about).collect()
}

/// The operations by what they are about.
#[derive(Default)]
struct Index<'h> {
    mints: HashMap<Number, (Number, &'h Operation)>,
    redemptions: HashMap<Number, Vec<(Redemption, &'h Operation)>>,
    logouts: HashMap<Number, Vec<&'h Operation>>,
    /// The looks that found a session gone.
    absences: HashMap<Number, Vec<&'h Operation>>,
    /// What was written or seen, by session and key.
    values: HashMap<Number, BTreeMap<Number, Vec<Written<'h>>>>,
}

/// A value that was written, or seen.
#[derive(Clone, Copy)]
struct Written<'h> {
    value: Option<u64>,
    /// Whether it was only seen: what is seen must have been written by somebody.
    seen: bool,
    operation: &'h Operation,
}

impl<'h> Index<'h> {
    fn of(history: &'h [Operation]) -> Self {
        let mut index = Self::default();
        for operation in history.iter().filter(|operation| operation.ending != Ending::Fail) {
            match &operation.act {
                Act::Write { session, key, value } => {
                    let written = Written { value: Some(*value), seen: false, operation };
                    let keys = index.values.entry(*session).or_default();
                    keys.entry(*key).or_default().push(written);
                }
                Act::Mint { session, token } => {
                    index.mints.insert(*token, (*session, operation));
                }
                Act::Redeem { token, saw } => {
                    index.redemptions.entry(*token).or_default().push((*saw, operation));
                }
                Act::Logout { session } => {
                    index.logouts.entry(*session).or_default().push(operation);
                }
                Act::Read { session, saw: None } => {
                    index.absences.entry(*session).or_default().push(operation);
                }
                Act::Read { .. } => {}
            }
        }
        // What was seen once is certain from then on.
        for operation in history.iter().filter(|operation| operation.is_ok()) {
            if let Act::Read { session, saw: Some(saw) } = &operation.act {
                for (key, values) in index.values.entry(*session).or_default() {
                    let value = saw.get(key).copied();
                    values.push(Written { value, seen: true, operation });
                }
            }
        }
        index
    }

    fn check_redemption(&self, token: Number, it: &Operation, found: &mut Vec<Violation>) {
        let Act::Redeem { saw, .. } = it.act else { return };
        let attempts = self.redemptions.get(&token).map_or(&[][..], Vec::as_slice);
        match (saw, self.mints.get(&token)) {
            (Redemption::Granted(session), Some((minted, _))) if session == *minted => {
                let grants =
                    attempts.iter().filter(|(saw, _)| matches!(saw, Redemption::Granted(_)));
                if grants.count() > 1 {
                    found.push(Violation::GrantedTwice { token });
                }
                self.check_logout(session, it, found);
            }
            (Redemption::Granted(_), _) => found.push(Violation::GrantedWrongly { token }),
            (Redemption::Refused(_), Some((session, mint))) if mint.is_ok() => {
                let other = attempts
                    .iter()
                    .filter(|(saw, _)| saw.may_have_won())
                    .any(|(_, other)| other.may_precede(it.ended));
                if !other && !self.may_be_logged_out(*session, it.ended) {
                    found.push(Violation::MintLost { token });
                }
            }
            _ => {}
        }
    }

    fn may_be_logged_out(&self, session: Number, moment: u64) -> bool {
        let logouts = self.logouts.get(&session);
        logouts.is_some_and(|all| all.iter().any(|logout| logout.may_precede(moment)))
    }

    fn check_absence(&self, session: Number, it: &Operation, found: &mut Vec<Violation>) {
        if it.is_ok() && !self.may_be_logged_out(session, it.ended) {
            found.push(Violation::SessionLost { session });
        }
    }

    /// What was begun after a logout was acknowledged, or seen, must not succeed in its session.
    fn check_logout(&self, session: Number, it: &Operation, found: &mut Vec<Violation>) {
        let logouts = self.logouts.get(&session).into_iter().flatten();
        let absences = self.absences.get(&session).into_iter().flatten();
        let mut ends = logouts.chain(absences);
        let over = ends.any(|end| end.is_ok() && end.ended < it.began);
        if it.is_ok() && over {
            found.push(Violation::LogoutUndone { session });
        }
    }

    fn check_values(
        &self,
        session: Number,
        saw: &BTreeMap<Number, u64>,
        it: &Operation,
        found: &mut Vec<Violation>,
    ) {
        let Some(known) = self.values.get(&session) else { return };
        for (key, values) in known {
            let saw = saw.get(key).copied();
            if !is_possible(saw, values, it) {
                found.push(Violation::WriteLost { session, key: *key, saw });
            }
        }
        for (key, value) in saw.iter().filter(|(key, _)| !known.contains_key(key)) {
            found.push(Violation::WriteLost { session, key: *key, saw: Some(*value) });
        }
    }
}

/// Whether `read` may have seen `saw`: it was written, or nothing was, and nothing that is
/// certain came in between.
fn is_possible(saw: Option<u64>, values: &[Written<'_>], read: &Operation) -> bool {
    // A key without a value was so before the first moment; any other value is there from when
    // its writer knew, or somebody saw it, at the latest.
    let same = || values.iter().filter(|other| other.value == saw);
    let written = same().any(|write| !write.seen && write.operation.began < read.ended);
    let origin = match saw {
        None => Some(0),
        Some(_) => same().map(|other| other.operation.ended).min().filter(|_| written),
    };
    let Some(origin) = origin else { return false };
    let replaces = |write: &&Written<'_>| {
        let it = write.operation;
        write.value != saw && it.is_ok() && it.began > origin && it.ended < read.began
    };
    !values.iter().any(|write| replaces(&write))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One operation after the other, each beginning after the one before has ended.
    fn history(acts: &[(Act, Ending)]) -> Vec<Operation> {
        let mut all = Vec::new();
        for (at, (act, ending)) in acts.iter().enumerate() {
            let began = 10 * (at as u64 + 1);
            let (act, ending) = (act.clone(), *ending);
            all.push(Operation { act, began, ended: began + 5, ending });
        }
        all
    }

    fn write(value: u64) -> Act {
        Act::Write { session: 1, key: 1, value }
    }

    fn read(value: u64) -> (Act, Ending) {
        (Act::Read { session: 1, saw: Some(BTreeMap::from([(1, value)])) }, Ending::Ok)
    }

    const MINT: (Act, Ending) = (Act::Mint { session: 1, token: 7 }, Ending::Ok);
    const LOGOUT: (Act, Ending) = (Act::Logout { session: 1 }, Ending::Ok);
    const GRANT: (Act, Ending) =
        (Act::Redeem { token: 7, saw: Redemption::Granted(1) }, Ending::Ok);
    const REFUSAL: (Act, Ending) =
        (Act::Redeem { token: 7, saw: Redemption::Refused("used") }, Ending::Ok);
    const UNHEARD: (Act, Ending) =
        (Act::Redeem { token: 7, saw: Redemption::Unheard }, Ending::Info);
    const ABSENT: (Act, Ending) = (Act::Read { session: 1, saw: None }, Ending::Ok);

    #[test]
    fn a_good_history_is_not_complained_about() {
        let good = [
            (write(1), Ending::Ok),
            MINT,
            GRANT,
            REFUSAL,
            (write(2), Ending::Ok),
            read(2),
            read(2),
            LOGOUT,
            ABSENT,
            (write(3), Ending::Fail),
        ];
        assert_eq!(check(&history(&good)), []);
    }

    #[test]
    fn a_token_granted_twice_is_found() {
        let twice = history(&[MINT, GRANT, UNHEARD, GRANT]);
        assert_eq!(check(&twice), [Violation::GrantedTwice { token: 7 }]);
    }

    #[test]
    fn a_token_nobody_minted_or_of_another_session_is_found() {
        let wrong = [Violation::GrantedWrongly { token: 7 }];
        assert_eq!(check(&history(&[GRANT])), wrong);
        let other = Act::Redeem { token: 7, saw: Redemption::Granted(2) };
        assert_eq!(check(&history(&[MINT, (other, Ending::Ok)])), wrong);
    }

    #[test]
    fn a_lost_mint_is_found_unless_somebody_may_have_redeemed_it() {
        assert_eq!(check(&history(&[MINT, REFUSAL])), [Violation::MintLost { token: 7 }]);
        let two = history(&[MINT, REFUSAL, GRANT]);
        assert_eq!(check(&two), [Violation::MintLost { token: 7 }], "refused and then granted");
        assert_eq!(check(&history(&[MINT, UNHEARD, REFUSAL])), []);
        assert_eq!(check(&history(&[MINT, LOGOUT, REFUSAL])), []);
    }

    #[test]
    fn whoever_asks_again_after_a_logout_may_have_won() {
        let gone = Act::Redeem { token: 7, saw: Redemption::Refused(SESSION_GONE) };
        let mut slow = history(&[MINT, REFUSAL, LOGOUT, (gone, Ending::Ok)]);
        assert_eq!(check(&slow), [Violation::MintLost { token: 7 }], "it came after the refusal");
        slow[3].began = slow[0].ended;
        assert_eq!(check(&slow), []);
    }

    #[test]
    fn a_lost_write_is_found() {
        let lost = |saw| [Violation::WriteLost { session: 1, key: 1, saw }];
        let writes = [(write(1), Ending::Ok), (write(2), Ending::Ok)];
        let then = |next: (Act, Ending)| history(&[&writes[..], &[next]].concat());
        assert_eq!(check(&then(read(1))), lost(Some(1)), "an older value came back");
        assert_eq!(check(&then(read(9))), lost(Some(9)), "nobody wrote this");
        let empty = (Act::Read { session: 1, saw: Some(BTreeMap::new()) }, Ending::Ok);
        assert_eq!(check(&then(empty)), lost(None));
        assert_eq!(check(&then(read(2))), []);
    }

    #[test]
    fn what_may_or_may_not_have_been_written_is_settled_by_the_first_look() {
        let writes = [(write(1), Ending::Ok), (write(2), Ending::Info)];
        let then = |next: &[(Act, Ending)]| check(&history(&[&writes[..], next].concat()));
        assert_eq!(then(&[read(1)]), []);
        assert_eq!(then(&[read(2)]), []);
        let lost = |saw| vec![Violation::WriteLost { session: 1, key: 1, saw: Some(saw) }];
        assert_eq!(then(&[read(1), read(2)]), lost(2), "it had not happened, and then it had");
        assert_eq!(then(&[read(2), read(1)]), lost(1), "it had happened, and then it had not");
    }

    #[test]
    fn what_may_still_happen_is_settled_by_the_first_look_that_sees_it() {
        let check = |next: &[(Act, Ending)]| {
            let writes = [(write(1), Ending::Ok), (write(2), Ending::Info)];
            let mut history = history(&[&writes[..], next].concat());
            history[1].ended = NEVER;
            check(&history)
        };
        let lost = |saw| vec![Violation::WriteLost { session: 1, key: 1, saw: Some(saw) }];
        assert_eq!(check(&[read(1), read(2), read(2)]), [], "it came late");
        assert_eq!(check(&[read(1), read(2), read(1)]), lost(1), "and stays");
        let replaced = [read(2), (write(3), Ending::Ok), read(2)];
        assert_eq!(check(&replaced), lost(2), "it is over by now");
        assert_eq!(check(&[(write(3), Ending::Ok), read(2), read(2)]), []);
    }

    #[test]
    fn of_writes_at_the_same_time_either_may_be_last() {
        let mut both = history(&[(write(1), Ending::Ok), (write(2), Ending::Ok), read(1)]);
        both[0].ended = both[1].ended;
        assert_eq!(check(&both), []);
    }

    #[test]
    fn a_lost_session_is_found() {
        let gone = [Violation::SessionLost { session: 1 }];
        assert_eq!(check(&history(&[(write(1), Ending::Ok), ABSENT])), gone);
        let maybe = (Act::Logout { session: 1 }, Ending::Info);
        assert_eq!(check(&history(&[(write(1), Ending::Ok), maybe, ABSENT])), []);
    }

    #[test]
    fn a_logout_undone_is_found_whatever_undoes_it() {
        let undone = [Violation::LogoutUndone { session: 1 }];
        let after =
            |next: (Act, Ending)| check(&history(&[(write(1), Ending::Ok), MINT, LOGOUT, next]));
        assert_eq!(after(read(1)), undone);
        assert_eq!(after((write(2), Ending::Ok)), undone);
        assert_eq!(after(GRANT), undone);
        assert_eq!(after((Act::Mint { session: 1, token: 8 }, Ending::Ok)), undone);
        assert_eq!(after((write(2), Ending::Fail)), []);
        let maybe = (Act::Logout { session: 1 }, Ending::Info);
        let back = history(&[(write(1), Ending::Ok), maybe, ABSENT, read(1)]);
        assert_eq!(check(&back), undone, "it was gone, and then it was there");
    }
}
