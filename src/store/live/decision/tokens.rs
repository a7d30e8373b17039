//! Decides the operations that mint and redeem a token.

use std::sync::Arc;

use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::Timestamp;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::SessionState;
use crate::store::live::decision::Granted;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Minted;
use crate::store::port::Redeemed;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;
use crate::token::Verdict;

impl SessionState {
    pub(crate) fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: &Patch,
        token: &Token,
    ) -> Decision {
        let record = match self.under(now, right) {
            Checked::Done(record) => record,
            Checked::Gone => return Decision::with(self.noticed(now), Minted::Gone),
            Checked::Replaced => return Decision::only(Minted::Replaced),
        };
        let Ok(next) = patch.apply(record) else { return Decision::only(Minted::Refused) };
        let unspent = self.unspent.iter().filter(|held| now < held.expires_at).count();
        // A rotation revokes the session's other tokens first.
        if patch.rotate.is_none() && unspent >= TOKENS_PER_SESSION_MAX {
            return Decision::only(Minted::TooMany);
        }
        let generation = next.generation;
        let mut changes = self.patching(now, patch, next);
        changes.push(Change::Minted { token: Arc::new(Token { generation, ..token.clone() }) });
        Decision::opened(changes, self.id, |opened| {
            opened.map_or(Minted::Gone, Minted::Done).into()
        })
    }

    pub(crate) fn redeem(&self, now: Timestamp, token: &Token, claim: &Claim) -> Decision {
        match token.judge(&claim.attempt(), now) {
            Verdict::Won => self.win(now, token, claim),
            Verdict::WonBefore => self.say_again(now, token, claim),
            Verdict::Used(at) => Decision::only(Redeemed::Used(at, token.session)),
            Verdict::EndedBySignIn => Decision::only(Redeemed::EndedBySignIn),
            Verdict::WrongHandler => Decision::only(Redeemed::WrongHandler),
            Verdict::Repeats(first, repeat) => self.repeat(now, token, (first, repeat)),
            Verdict::TakesOver(run) => self.take_over(now, token, claim, run),
            // No consent is asked for a session that has ended.
            Verdict::AskFirst(question) => match self.living(now) {
                Some(_) => Decision::only(Redeemed::AskFirst(question)),
                None => Decision::with(self.noticed(now), Redeemed::SessionGone),
            },
            // A caller may rely on this result after a restart with a clock that is behind.
            Verdict::Expired => Decision::with(vec![Change::Noted { at: now }], Redeemed::Expired),
        }
    }

    fn win(&self, now: Timestamp, token: &Token, claim: &Claim) -> Decision {
        let id = self.id;
        let mark = ClaimMark { id: claim.id, at: now };
        let mut changes = vec![Change::Claimed { token: token.digest, mark }];
        let Some(record) = self.living(now) else {
            changes.extend(self.noticed(now));
            return Decision::with(changes, Redeemed::SessionGone);
        };
        // Only who works in the session has begun a run: anybody else has redeemed nothing.
        if let Some(options) = &claim.repeat {
            let run = Run::begin(claim.id, options, now);
            changes.push(Change::Ran { token: token.digest, run });
        }
        let mode = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let own = own_credential(record, claim);
        if mode == RestoreMode::Transfer {
            let others = record.devices.iter().filter(|device| Some(device.digest) != own);
            changes.extend(others.map(|device| Change::Left { id, device: device.id }));
            changes.push(Change::Raised { id });
            // Every other unspent token is revoked.
            let digests = self.unspent.iter().map(|held| held.digest);
            let others = digests.filter(|held| *held != token.digest);
            changes.extend(others.map(|token| Change::Dropped { token }));
        }
        let joins = mode != RestoreMode::Context && own.is_none();
        let put_out = record.makes_room().filter(|_| joins && mode != RestoreMode::Transfer);
        if joins {
            changes.push(Change::Joined { id, device: claim.newcomer.clone() });
        }
        changes.push(Change::Seen { id, at: now });
        Decision::granted(changes, Granted { put_out, ..granted(token, claim, mode) })
    }

    /// Repeats the winner's result and changes nothing, so whatever has happened to the session
    /// since remains in effect. If the right that the winner was given has ended, the token is
    /// used, and the winner sees nothing of the session.
    fn say_again(&self, now: Timestamp, token: &Token, claim: &Claim) -> Decision {
        let Some(record) = self.living(now) else {
            return Decision::with(self.noticed(now), Redeemed::SessionGone);
        };
        let mode = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let holds = if mode == RestoreMode::Context {
            token.granted_in(record, mode)
        } else {
            let joined = record.device(&claim.newcomer.digest).is_some();
            joined || own_credential(record, claim).is_some()
        };
        if holds {
            return Decision::granted(Vec::new(), granted(token, claim, mode));
        }
        let at = token.claim.map_or(now, |mark| mark.at);
        Decision::only(Redeemed::Used(at, token.session))
    }
}

/// The credential by which the request already works in this very session.
pub(crate) fn own_credential(record: &Record, claim: &Claim) -> Option<Digest> {
    let (id, credential) = claim.current?;
    (id == record.id && record.device(&credential).is_some()).then_some(credential)
}

/// The grant of a token in this mode.
pub(crate) fn granted(token: &Token, claim: &Claim, mode: RestoreMode) -> Granted {
    let automatic =
        mode == RestoreMode::Context && !RestoreMode::asks_for_context(token.mode, claim.row_mode);
    Granted {
        session: token.session,
        token: token.id,
        mode,
        automatic,
        put_out: None,
        newcomer: claim.newcomer.digest,
        takes_over: false,
        stays: false,
    }
}
