//! The kept answers of callbacks, counted and in order, so that the oldest can make room.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::ANSWER_BYTES_PER_SESSION_MAX;
use crate::store::live::Change;
use crate::store::live::HeldToken;
use crate::store::live::Live;
use crate::token::RunStage;
use crate::token::SealedAnswer;
use crate::token::Token;

/// What an answer counts for besides its bytes, so that empty ones have a number, too.
const ANSWER_FRAME_BYTES: usize = 1024;

/// Which tokens have an answer, the oldest answer first.
#[derive(Default)]
pub(super) struct Answers {
    all: Shelf,
    of: HashMap<SessionId, Shelf>,
}

#[derive(Default)]
struct Shelf {
    order: BTreeSet<(Timestamp, Digest)>,
    bytes: usize,
}

impl Answers {
    /// Enters the answer of a token, if it has one.
    pub(super) fn enter(&mut self, token: &Token) {
        let Some((place, bytes)) = place(token) else { return };
        let own = self.of.entry(token.session).or_default();
        for shelf in [own, &mut self.all] {
            if shelf.order.insert(place) {
                shelf.bytes += bytes;
            }
        }
    }

    /// Strikes out the answer of a token, if it has one.
    pub(super) fn strike(&mut self, token: &Token) {
        let Some((place, bytes)) = place(token) else { return };
        let own = self.of.entry(token.session).or_default();
        for shelf in [&mut *own, &mut self.all] {
            if shelf.order.remove(&place) {
                shelf.bytes -= bytes;
            }
        }
        if own.order.is_empty() {
            self.of.remove(&token.session);
        }
    }
}

impl Live {
    /// The changes by which the oldest answers make room for one more of a session; `None` if
    /// there is no room for it at all.
    pub(super) fn room_for_answer(
        &self,
        session: SessionId,
        answer: &SealedAnswer,
    ) -> Option<Vec<Change>> {
        let bytes = cost(answer);
        if self.low || bytes > self.config.answer_bytes_max.min(ANSWER_BYTES_PER_SESSION_MAX) {
            return None;
        }
        let mut leaving = BTreeSet::new();
        let mut freed = 0;
        let own = self.answers.of.get(&session);
        for (kept, bytes_max) in [
            (own, ANSWER_BYTES_PER_SESSION_MAX),
            (Some(&self.answers.all), self.config.answer_bytes_max),
        ] {
            let Some(kept) = kept else { continue };
            // What leaves for the session's sake is in `all` as well, so it is freed there, too.
            let mut over = (kept.bytes + bytes).saturating_sub(bytes_max + freed);
            for (_, digest) in &kept.order {
                if over == 0 {
                    break;
                }
                let held = self.tokens.get(digest).and_then(|held| place(&held.token));
                if let Some((_, bytes)) = held
                    && leaving.insert(*digest)
                {
                    over = over.saturating_sub(bytes);
                    freed += bytes;
                }
            }
        }
        Some(leaving.iter().filter_map(|digest| self.tokens.get(digest)?.forgetting()).collect())
    }
}

impl HeldToken {
    /// Gives up the answer, and remembers that there was one.
    fn forgetting(&self) -> Option<Change> {
        let mut run = self.token.run.clone()?;
        run.stage = RunStage::NotKept;
        Some(Change::Ran { token: self.token.digest, run })
    }
}

/// The place of a token's answer and what it counts for.
fn place(token: &Token) -> Option<((Timestamp, Digest), usize)> {
    let (at, answer) = token.run.as_ref()?.answer()?;
    Some(((at, token.digest), cost(answer)))
}

fn cost(answer: &SealedAnswer) -> usize {
    answer.bytes().len() + ANSWER_FRAME_BYTES
}
