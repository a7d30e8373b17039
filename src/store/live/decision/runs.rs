//! Decides the operation that renews or ends the run of a callback, and the take-over of one that
//! was cut off.

use crate::base::RestoreMode;
use crate::base::Timestamp;
use crate::base::limits::ANSWER_BYTES_PER_SESSION_MAX;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::SessionState;
use crate::store::live::answers::cost;
use crate::store::live::decision::Granted;
use crate::store::live::decision::tokens::granted;
use crate::store::live::decision::tokens::own_credential;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Redeemed;
use crate::token::AnswerRight;
use crate::token::Repeat;
use crate::token::Run;
use crate::token::RunStage;
use crate::token::SealedAnswer;
use crate::token::Token;

impl SessionState {
    pub(crate) fn conclude(
        &self,
        now: Timestamp,
        token: &Token,
        conclusion: &Conclusion,
    ) -> Decision {
        let Some(run) = &token.run else { return Decision::only(Concluded::Forgotten) };
        if run.by != conclusion.run {
            return Decision::only(Concluded::Late);
        }
        match run.stage {
            RunStage::Running | RunStage::Interrupted => {}
            RunStage::Answered { .. } => return Decision::only(Concluded::Kept),
            RunStage::NotKept | RunStage::NotStarted => return Decision::only(Concluded::NotKept),
        }
        let ended = |stage| Change::Ran { token: token.digest, run: Run { stage, ..run.clone() } };
        match &conclusion.ending {
            Ending::Running if run.stage == RunStage::Interrupted => {
                Decision::only(Concluded::NotKept)
            }
            Ending::Running => {
                let renewed = Change::Ran { token: token.digest, run: run.renewed(now) };
                Decision::with(vec![renewed], Concluded::Renewed)
            }
            Ending::Answered { answer, right } => match self.room_for_answer(answer) {
                Some(mut changes) => {
                    let (answer, right) = (answer.clone(), *right);
                    changes.push(ended(RunStage::Answered { at: now, answer, right }));
                    Decision::with(changes, Concluded::Kept)
                }
                None => Decision::with(vec![ended(RunStage::NotKept)], Concluded::NotKept),
            },
            Ending::TooLarge => Decision::with(vec![ended(RunStage::NotKept)], Concluded::NotKept),
            Ending::Interrupted => {
                Decision::with(vec![ended(RunStage::Interrupted)], Concluded::NotKept)
            }
            Ending::NotStarted => {
                Decision::with(vec![ended(RunStage::NotStarted)], Concluded::NotKept)
            }
        }
    }

    /// Gives a repeat its result. A response that depends on a right is given as long as the right
    /// holds; after that the token is one that was used.
    pub(crate) fn repeat(
        &self,
        now: Timestamp,
        token: &Token,
        (first, repeat): (Timestamp, Repeat),
    ) -> Decision {
        let right = token.run.as_ref().and_then(Run::answer_right).map(|right| match right {
            AnswerRight::Credential(digest) => Right::Credential(digest),
            AnswerRight::Grant { generation } => Right::Grant { generation },
        });
        match right.map(|right| self.under(now, right)) {
            None | Some(Checked::Done(_)) => Decision::only(Redeemed::Repeats(first, repeat)),
            Some(Checked::Gone | Checked::Replaced) => {
                Decision::with(self.noticed(now), Redeemed::Used(first, self.id))
            }
        }
    }

    /// The changes that evict the session's oldest responses to make room for one more. `None` if
    /// there cannot be room for it.
    fn room_for_answer(&self, answer: &SealedAnswer) -> Option<Vec<Change>> {
        let bytes = cost(answer.bytes().len());
        if bytes > ANSWER_BYTES_PER_SESSION_MAX {
            return None;
        }
        let size = |kept: u32| cost(usize::try_from(kept).unwrap_or(usize::MAX));
        let held: usize = self.answers.iter().map(|kept| size(kept.bytes)).sum();
        let mut over = (held + bytes).saturating_sub(ANSWER_BYTES_PER_SESSION_MAX);
        let mut changes = Vec::new();
        for kept in &self.answers {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(size(kept.bytes));
            changes.push(Change::Unanswered { token: kept.digest });
        }
        Some(changes)
    }

    /// Gives the run to the claim of a repeat. The token was redeemed before, so no device is
    /// added. A browser that is in the session already stays in it, including the one that redeemed
    /// the token and lost the response; any other works in its context. If the devices of the
    /// session have been signed out since, the bearer of the token is refused as well.
    pub(crate) fn take_over(
        &self,
        now: Timestamp,
        token: &Token,
        claim: &Claim,
        run: Run,
    ) -> Decision {
        let Some(record) = self.living(now) else {
            return Decision::with(self.noticed(now), Redeemed::SessionGone);
        };
        let decided = RestoreMode::decide(token.mode, claim.row_mode, claim.caller);
        let stays = own_credential(record, claim).is_some();
        let mode = if stays || record.device(&claim.newcomer.digest).is_some() {
            decided
        } else if token.granted_in(record, decided) {
            RestoreMode::Context
        } else {
            let first = token.claim.map_or(now, |mark| mark.at);
            return Decision::only(Redeemed::Repeats(first, Repeat::Interrupted));
        };
        let begun = Change::Ran { token: token.digest, run };
        let changes = vec![begun, Change::Seen { id: self.id, at: now }];
        let takes_over = true;
        Decision::granted(changes, Granted { takes_over, stays, ..granted(token, claim, mode) })
    }
}

impl Token {
    /// Whether the session is as a redemption of this token in `mode` left it: nobody was put out
    /// since then. A transfer puts others out itself.
    pub(crate) fn granted_in(&self, session: &Record, mode: RestoreMode) -> bool {
        let raised = u64::from(mode == RestoreMode::Transfer);
        session.generation == self.generation.saturating_add(raised)
    }
}
