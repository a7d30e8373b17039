//! The kept responses of callbacks, counted and in order, so that the oldest can be evicted.

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

/// Overhead counted for each response, so that the number of empty ones is bounded, too.
const ANSWER_FRAME_BYTES: usize = 1024;

/// Tokens with a kept response, the oldest response first.
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
    /// Adds the response of a token, if it has one.
    pub(super) fn enter(&mut self, token: &Token) {
        let Some((place, bytes)) = place(token) else { return };
        let own = self.of.entry(token.session).or_default();
        for shelf in [own, &mut self.all] {
            if shelf.order.insert(place) {
                shelf.bytes += bytes;
            }
        }
    }

    /// Removes the response of a token, if it has one.
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
    /// The changes that evict the oldest responses to make room for one more of a session. `None`
    /// if there cannot be room for it.
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
    /// Drops the response, and records that there was one.
    fn forgetting(&self) -> Option<Change> {
        let mut run = self.token.run.clone()?;
        run.stage = RunStage::NotKept;
        Some(Change::Ran { token: self.token.digest, run })
    }
}

/// The position of a token's response in the order, and its counted size.
fn place(token: &Token) -> Option<((Timestamp, Digest), usize)> {
    let (at, answer) = token.run.as_ref()?.answer()?;
    Some(((at, token.digest), cost(answer)))
}

fn cost(answer: &SealedAnswer) -> usize {
    answer.bytes().len() + ANSWER_FRAME_BYTES
}
