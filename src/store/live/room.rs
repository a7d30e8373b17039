//! Admits what a decision adds to the store, and makes room for it.

use crate::base::Timestamp;
use crate::base::limits::SWEEP_RECORDS_MAX;
use crate::session::Record;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::Entry;
use crate::store::live::StateMachine;
use crate::store::live::guests::Wanted;
use crate::store::port::Minted;

impl StateMachine {
    /// A decision on a session, after which there is still room; or that there is none.
    pub(super) fn admit(
        &self,
        now: Timestamp,
        entry: Option<&Entry>,
        mut decision: Decision,
    ) -> Decision {
        let (mut wanted, mut minted) = (None, None);
        for change in &decision.changes {
            match change {
                Change::Created { record, .. } => wanted = Some(Wanted { record, is_new: true }),
                Change::Patched { next: Some(record), .. } => {
                    wanted = Some(Wanted { record, is_new: false });
                }
                Change::Minted { token } => minted = Some(token),
                _ => {}
            }
        }
        let is_new = wanted.as_ref().is_some_and(|wanted| wanted.is_new);
        if minted.is_some_and(|token| !is_new && self.tokens.contains_key(&token.digest)) {
            return Decision::only(Minted::Refused);
        }
        let held = || entry.and_then(Entry::record).map(|record| &**record);
        let minting = minted.and_then(|_| wanted.as_ref().map(|it| it.record).or_else(held));
        let fits = |swept: &[Change]| {
            (!is_new || self.has_room_for_session(swept))
                && minting.is_none_or(|record| self.has_room_for_token(record, swept))
        };
        let mut room = Vec::new();
        if !fits(&room) {
            room = self.overdue(now, SWEEP_RECORDS_MAX);
        }
        if let Some(wanted) = wanted.filter(|_| is_new || room.is_empty()) {
            room.extend(self.displacing(&wanted, &room));
        }
        if !fits(&room) {
            return Decision::full(room);
        }
        if !room.is_empty() {
            room.append(&mut decision.changes);
            decision.changes = room;
        }
        decision
    }

    /// Whether one more session may be created after `swept`. A swept session becomes a tombstone.
    fn has_room_for_session(&self, swept: &[Change]) -> bool {
        let count = |is: fn(&Change) -> bool| swept.iter().filter(|change| is(change)).count();
        let ending = count(|change| matches!(change, Change::Ended { .. }));
        let displaced = count(|change| matches!(change, Change::Displaced { .. }));
        !self.low
            && self.index.ids.len() < self.config.sessions_max + ending + displaced
            && self.ended + ending <= self.config.others_max()
    }

    /// Whether one more token of this session may be kept after `swept`. Guests may fill their
    /// share only, so that their tokens cannot keep signed-in users from minting.
    fn has_room_for_token(&self, session: &Record, swept: &[Change]) -> bool {
        let forgotten =
            swept.iter().filter(|change| matches!(change, Change::Forgotten { .. })).count();
        let most = if session.access.known {
            self.config.others_max()
        } else {
            self.config.guest_tokens_max()
        };
        !self.low && self.tokens.len() < most.saturating_add(forgotten)
    }
}
