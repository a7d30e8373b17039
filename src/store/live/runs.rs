//! Decides the operation that renews or ends the run of a callback, and the take-over of one that
//! was cut off.

use std::sync::Arc;

use crate::base::RestoreMode;
use crate::base::Timestamp;
use crate::session::Record;
use crate::store::live::Change;
use crate::store::live::Decided;
use crate::store::live::HeldToken;
use crate::store::live::Live;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Grant;
use crate::store::port::Redeemed;
use crate::token::Repeat;
use crate::token::Run;
use crate::token::RunStage;
use crate::token::Token;

impl Live {
    pub(crate) fn conclude(&self, now: Timestamp, conclusion: &Conclusion) -> Decided {
        let held = self.tokens.get(&conclusion.token).filter(|held| now < held.due_at);
        let run = held.and_then(|held| Some((&held.token, held.token.run.as_ref()?)));
        let Some((token, run)) = run else { return Decided::only(Concluded::Forgotten) };
        if run.by != conclusion.run {
            return Decided::only(Concluded::Late);
        }
        match run.stage {
            RunStage::Running | RunStage::Interrupted => {}
            RunStage::Answered { .. } => return Decided::only(Concluded::Kept),
            RunStage::NotKept | RunStage::NotStarted => return Decided::only(Concluded::NotKept),
        }
        let ended = |stage| Change::Ran { token: token.digest, run: Run { stage, ..run.clone() } };
        match &conclusion.ending {
            Ending::Running if run.stage == RunStage::Interrupted => {
                Decided::only(Concluded::NotKept)
            }
            Ending::Running => {
                let renewed = Change::Ran { token: token.digest, run: run.renewed(now) };
                Decided::with(vec![renewed], Concluded::Renewed)
            }
            Ending::Answered(answer) => match self.room_for_answer(token.session, answer) {
                Some(mut changes) => {
                    changes.push(ended(RunStage::Answered { at: now, answer: answer.clone() }));
                    Decided::with(changes, Concluded::Kept)
                }
                None => Decided::with(vec![ended(RunStage::NotKept)], Concluded::NotKept),
            },
            Ending::TooLarge => Decided::with(vec![ended(RunStage::NotKept)], Concluded::NotKept),
            Ending::Interrupted => {
                Decided::with(vec![ended(RunStage::Interrupted)], Concluded::NotKept)
            }
            Ending::NotStarted => {
                Decided::with(vec![ended(RunStage::NotStarted)], Concluded::NotKept)
            }
        }
    }

    /// Gives the run to the claim of a repeat. The token was redeemed before, so no device is
    /// added. A browser that is in the session already stays in it, and any other works in its
    /// context. If the devices of the session have been signed out since, the bearer of the token
    /// is refused as well.
    pub(super) fn take_over(
        &self,
        now: Timestamp,
        token: &Arc<Token>,
        claim: &Claim,
        run: Run,
    ) -> Decided {
        let id = token.session;
        let Some(living) = self.living(id, now) else {
            return Decided::with(self.noticed(id, now), Redeemed::SessionGone);
        };
        let decided = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let mode = match living.own_credential(claim) {
            Some(_) => decided,
            None if token.granted_in(&living.record, decided) => RestoreMode::Context,
            None => {
                let first = token.claim.map_or(now, |mark| mark.at);
                return Decided::only(Redeemed::Repeats(first, Repeat::Interrupted));
            }
        };
        let automatic = mode == RestoreMode::Context
            && !RestoreMode::asks_for_context(token.mode, claim.row_mode);
        let token_id = token.id;
        let changes = vec![Change::Ran { token: token.digest, run }, Change::Seen { id, at: now }];
        Decided::after(changes, move |live| match live.opened(id) {
            Some(opened) => {
                let (joined, put_out) = (false, None);
                let token = token_id;
                Redeemed::TakenOver(Grant { opened, token, mode, joined, automatic, put_out })
            }
            None => Redeemed::SessionGone,
        })
    }
}

impl Token {
    /// Whether the session is as a redemption of this token in `mode` left it: nobody was put out
    /// since then. A transfer puts others out itself.
    pub(super) fn granted_in(&self, session: &Record, mode: RestoreMode) -> bool {
        let raised = u64::from(mode == RestoreMode::Transfer);
        session.generation == self.generation.saturating_add(raised)
    }
}

impl HeldToken {
    /// Marks a run that was in progress as one whose process died.
    pub(super) fn cut_off(&mut self) {
        if !matches!(&self.token.run, Some(run) if run.stage == RunStage::Running) {
            return;
        }
        if let Some(run) = &mut Arc::make_mut(&mut self.token).run {
            run.stage = RunStage::Interrupted;
        }
    }
}
