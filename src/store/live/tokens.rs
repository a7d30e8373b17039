//! Decides the operations on tokens.

use std::ops::Bound;
use std::sync::Arc;

use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::SWEEP_RECORDS_MAX;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::session::Patch;
use crate::session::PatchRefused;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decided;
use crate::store::live::Live;
use crate::store::live::Living;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Grant;
use crate::store::port::Minted;
use crate::store::port::Redeemed;
use crate::token::ClaimMark;
use crate::token::Run;
use crate::token::Token;
use crate::token::Verdict;

impl Live {
    pub(crate) fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: &Patch,
        token: &Token,
    ) -> Decided {
        let id = token.session;
        let living = match self.under(id, now, right) {
            Checked::Done(living) => living,
            Checked::Gone => return Decided::with(self.noticed(id, now), Minted::Gone),
            Checked::Replaced => return Decided::only(Minted::Replaced),
        };
        let next = match patch.apply(&living.record) {
            Ok(next) if !self.tokens.contains_key(&token.digest) => next,
            Ok(_) | Err(PatchRefused::Conflict | PatchRefused::TooLarge) => {
                return Decided::only(Minted::Refused);
            }
        };
        // A rotation revokes the session's other tokens first.
        let held = if patch.rotate.is_some() { 0 } else { self.unspent(id, now) };
        if held >= TOKENS_PER_SESSION_MAX {
            return Decided::only(Minted::TooMany);
        }
        let mut changes = Vec::new();
        if !self.has_room_for_token(&next, &changes) {
            changes = self.overdue(now, SWEEP_RECORDS_MAX);
        }
        if !self.has_room_for_token(&next, &changes) {
            return Decided::full(changes);
        }
        let generation = next.generation;
        if changes.is_empty() {
            changes = self.growing(&next);
        }
        changes.extend(self.patching(now, id, patch));
        changes.push(Change::Minted { token: Arc::new(Token { generation, ..token.clone() }) });
        Decided::after(changes, move |live| live.opened(id).map_or(Minted::Gone, Minted::Done))
    }

    fn unspent(&self, id: SessionId, now: Timestamp) -> usize {
        let digests = self.tokens_of.get(&id).into_iter().flatten();
        let tokens = digests.filter_map(|digest| self.tokens.get(digest));
        tokens.filter(|held| held.token.is_unspent(now)).count()
    }

    /// Whether one more token of this session may be kept after `swept`. Guests may fill their
    /// share only, so that their tokens cannot keep signed-in users from minting.
    pub(super) fn has_room_for_token(&self, session: &Record, swept: &[Change]) -> bool {
        let forgotten =
            swept.iter().filter(|change| matches!(change, Change::Forgotten { .. })).count();
        let most = if session.access.known {
            self.config.others_max()
        } else {
            self.config.guest_tokens_max()
        };
        !self.low && self.tokens.len() < most.saturating_add(forgotten)
    }

    pub(crate) fn redeem(&self, now: Timestamp, claim: &Claim) -> Decided {
        let Some(held) = self.tokens.get(&claim.token).filter(|held| now < held.due_at) else {
            return Decided::only(Redeemed::Unknown);
        };
        let token = &held.token;
        match token.judge(&claim.attempt(), now) {
            Verdict::Won => self.win(now, token, claim),
            Verdict::WonBefore => self.say_again(now, token, claim),
            Verdict::Used(at) => Decided::only(Redeemed::Used(at, token.session)),
            Verdict::EndedBySignIn => Decided::only(Redeemed::EndedBySignIn),
            Verdict::WrongHandler => Decided::only(Redeemed::WrongHandler),
            Verdict::Repeats(first, repeat) => Decided::only(Redeemed::Repeats(first, repeat)),
            Verdict::TakesOver(run) => self.take_over(now, token, claim, run),
            // No consent is asked for a session that has ended.
            Verdict::AskFirst(question) => match self.living(token.session, now) {
                Some(_) => Decided::only(Redeemed::AskFirst(question)),
                None => Decided::with(self.noticed(token.session, now), Redeemed::SessionGone),
            },
            Verdict::Expired => {
                // Whoever hears this may rely on it after a restart with a clock that is behind.
                let known = self.noted >= token.expires_at;
                let changes = if known { Vec::new() } else { vec![Change::Noted { at: now }] };
                Decided::with(changes, Redeemed::Expired)
            }
        }
    }

    fn win(&self, now: Timestamp, token: &Token, claim: &Claim) -> Decided {
        let id = token.session;
        let mark = ClaimMark { id: claim.id, at: now };
        let mut changes = vec![Change::Claimed { token: token.digest, mark }];
        let Some(living) = self.living(id, now) else {
            changes.extend(self.noticed(id, now));
            return Decided::with(changes, Redeemed::SessionGone);
        };
        // Only who works in the session has begun a run: anybody else has redeemed nothing.
        if let Some(wish) = &claim.repeat {
            let run = Run::begin(claim.id, wish, now);
            changes.push(Change::Ran { token: token.digest, run });
        }
        let mode = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let own = living.own_credential(claim);
        if mode == RestoreMode::Transfer {
            let others = living.record.devices.iter().filter(|device| Some(device.digest) != own);
            changes.extend(others.map(|device| Change::Left { id, device: device.id }));
            changes.push(Change::Raised { id });
            changes.extend(self.dropping(id, token.digest));
        }
        let joins = mode != RestoreMode::Context && own.is_none();
        let put_out = living.record.makes_room().filter(|_| joins && mode != RestoreMode::Transfer);
        if joins {
            changes.push(Change::Joined { id, device: claim.newcomer.clone() });
        }
        changes.push(Change::Seen { id, at: now });
        let granted = grant(token, claim);
        Decided::after(changes, move |live| match granted(live) {
            Redeemed::Granted(grant) => Redeemed::Granted(Grant { put_out, ..grant }),
            other => other,
        })
    }

    /// Repeats the winner's result and changes nothing, so whatever has happened to the session
    /// since remains in effect. If the right that the winner was given has ended, the token is
    /// used, and the winner sees nothing of the session.
    fn say_again(&self, now: Timestamp, token: &Token, claim: &Claim) -> Decided {
        let Some(living) = self.living(token.session, now) else {
            return Decided::with(self.noticed(token.session, now), Redeemed::SessionGone);
        };
        let mode = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let holds = if mode == RestoreMode::Context {
            token.granted_in(&living.record, mode)
        } else {
            let joined = living.record.device(&claim.newcomer.digest).is_some();
            joined || living.own_credential(claim).is_some()
        };
        if holds {
            return Decided::after(Vec::new(), grant(token, claim));
        }
        let at = token.claim.map_or(now, |mark| mark.at);
        Decided::only(Redeemed::Used(at, token.session))
    }

    pub(crate) fn revoke(&self, now: Timestamp, name: TokenId) -> Decided {
        let token = self.names.get(&name).and_then(|digest| self.tokens.get(digest));
        match token {
            Some(held) if held.token.is_unspent(now) => {
                Decided::with(vec![Change::Dropped { token: held.token.digest }], true)
            }
            _ => Decided::only(false),
        }
    }

    pub(crate) fn tokens(&self, now: Timestamp, after: Option<TokenId>, at_most: usize) -> Decided {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let digests = self.names.range((from, Bound::Unbounded)).map(|(_, digest)| digest);
        let tokens = digests.filter_map(|digest| self.tokens.get(digest)).map(|held| &held.token);
        let unspent = tokens
            .filter(|token| token.is_unspent(now) && self.living(token.session, now).is_some());
        Decided::only(unspent.take(at_most).map(|token| Token::clone(token)).collect::<Vec<_>>())
    }
}

impl Living {
    /// The credential by which the request already works in this very session.
    pub(super) fn own_credential(&self, claim: &Claim) -> Option<Digest> {
        let (id, credential) = claim.current?;
        (id == self.record.id && self.record.device(&credential).is_some()).then_some(credential)
    }
}

/// The result of a winner, read from the session after the claim.
fn grant(token: &Token, claim: &Claim) -> impl FnOnce(&Live) -> Redeemed + Send + 'static {
    let (id, token_id) = (token.session, token.id);
    let mode = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
    let newcomer = claim.newcomer.digest;
    let automatic =
        mode == RestoreMode::Context && !RestoreMode::asks_for_context(token.mode, claim.row_mode);
    move |live| match live.opened(id) {
        Some(opened) => {
            let joined = opened.record.device(&newcomer).is_some();
            let put_out = None;
            Redeemed::Granted(Grant { opened, token: token_id, mode, joined, automatic, put_out })
        }
        None => Redeemed::SessionGone,
    }
}
