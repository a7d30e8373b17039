//! The kept responses of callbacks, counted and in order, so that the oldest can be evicted.

use std::collections::BTreeSet;

use crate::base::Digest;
use crate::base::Timestamp;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::StateMachine;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::token::RunStage;
use crate::token::Token;

/// Overhead counted for each response, so that the number of empty ones is bounded, too.
const ANSWER_FRAME_BYTES: usize = 1024;

/// Tokens with a kept response, the oldest response first.
#[derive(Default)]
pub(super) struct Answers {
    order: BTreeSet<(Timestamp, Digest)>,
    bytes: usize,
}

impl Answers {
    /// Adds the response of a token, if it has one.
    pub(super) fn enter(&mut self, token: &Token) {
        if let Some((place, bytes)) = place(token)
            && self.order.insert(place)
        {
            self.bytes += bytes;
        }
    }

    /// Removes the response of a token, if it has one.
    pub(super) fn strike(&mut self, token: &Token) {
        if let Some((place, bytes)) = place(token)
            && self.order.remove(&place)
        {
            self.bytes -= bytes;
        }
    }
}

impl StateMachine {
    /// Whether there cannot be room for the response of a run.
    pub(super) fn is_too_large(&self, conclusion: &Conclusion) -> bool {
        let Ending::Answered(answer) = &conclusion.ending else { return false };
        self.low || cost(answer.bytes().len()) > self.config.answer_bytes_max
    }

    /// A decision about a run, after which all responses take no more than their share: the oldest
    /// make room. Whatever is evicted is recorded with its token.
    pub(super) fn keeping(&self, mut decision: Decision) -> Decision {
        let Some(Change::Ran { run, .. }) = decision.changes.last() else { return decision };
        let Some((_, answer)) = run.answer() else { return decision };
        let mut over = (self.answers.bytes + cost(answer.bytes().len()))
            .saturating_sub(self.config.answer_bytes_max);
        let kept = decision.changes.pop();
        let own = decision.changes.iter().filter_map(|change| match change {
            Change::Unanswered { token } => Some(*token),
            _ => None,
        });
        // Those that leave for the session's sake count here as well.
        let mut leaving: BTreeSet<Digest> = own.collect();
        let freed: usize = leaving.iter().map(|token| self.cost_of(token)).sum();
        over = over.saturating_sub(freed);
        for (_, token) in &self.answers.order {
            if over == 0 {
                break;
            }
            if leaving.insert(*token) {
                over = over.saturating_sub(self.cost_of(token));
            }
        }
        decision.changes = leaving.into_iter().filter_map(|it| self.unanswered(it)).collect();
        decision.changes.extend(kept);
        decision
    }

    /// The counted size of the response of a token.
    fn cost_of(&self, token: &Digest) -> usize {
        let place = self.tokens.get(token).and_then(|held| place(&held.token));
        place.map_or(0, |(_, bytes)| bytes)
    }

    /// Drops the response of a token, and records that there was one.
    fn unanswered(&self, token: Digest) -> Option<Change> {
        let mut run = self.tokens.get(&token)?.token.run.clone()?;
        run.stage = RunStage::NotKept;
        Some(Change::Ran { token, run })
    }
}

/// The position of a token's response in the order, and its counted size.
fn place(token: &Token) -> Option<((Timestamp, Digest), usize)> {
    let (at, answer) = token.run.as_ref()?.answer()?;
    Some(((at, token.digest), cost(answer.bytes().len())))
}

/// The counted size of a response of so many bytes.
pub(super) fn cost(bytes: usize) -> usize {
    bytes.saturating_add(ANSWER_FRAME_BYTES)
}
