//! Decides the operations on sessions.

use std::ops::Bound;
use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::SWEEP_RECORDS_MAX;
use crate::session::Patch;
use crate::session::PatchRefused;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decided;
use crate::store::live::Live;
use crate::store::live::Living;
use crate::store::live::Standing;
use crate::store::live::guests::Wanted;
use crate::store::port::Checked;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Patched;
use crate::store::port::Resumed;
use crate::store::port::StoreReply;
use crate::token::ClaimMark;
use crate::token::Token;

impl Live {
    pub(crate) fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Decided {
        match self.standing(id, now) {
            Standing::Living(living) if living.record.device(&credential).is_some() => {
                let used = living.record.device(&credential).map(|device| device.id);
                let used = used.filter(|_| living.record.is_behind(&credential));
                let mut changes = vec![living.touch(now)];
                changes.extend(used.map(|device| Change::Used { id, device }));
                Decided::after(changes, move |live| {
                    live.opened(id).map_or(Resumed::Closed, Resumed::Open)
                })
            }
            Standing::Unheard => Decided::only(Resumed::Unheard),
            Standing::Living(living) => {
                let joined = living.record.devices.iter().map(|device| device.since);
                Decided::only(Resumed::Replaced { joined_last: joined.max() })
            }
            Standing::Expired | Standing::Ended => {
                Decided::with(self.noticed(id, now), Resumed::Closed)
            }
        }
    }

    pub(crate) fn create(&self, now: Timestamp, founding: &Founding) -> Decided {
        let id = founding.record.id;
        match self.standing(id, now) {
            Standing::Living(living) => Decided::only(meet(living, &founding.record)),
            Standing::Expired | Standing::Ended => {
                Decided::with(self.noticed(id, now), Created::Closed)
            }
            Standing::Unheard => self.found_new(now, founding),
        }
    }

    fn found_new(&self, now: Timestamp, founding: &Founding) -> Decided {
        let record = match founding.patch.apply(&founding.record) {
            Ok(record) => Arc::new(record),
            Err(PatchRefused::TooLarge) => return Decided::only(Created::TooLarge),
            // The patch read a value of a session that no longer exists.
            Err(PatchRefused::Conflict) => return Decided::only(Created::Closed),
        };
        let mut changes = Vec::new();
        if !self.has_room_for_session(&changes) {
            changes = self.overdue(now, SWEEP_RECORDS_MAX);
        }
        changes.extend(self.displacing(&Wanted { record: &record, is_new: true }, &changes));
        let has_room = self.has_room_for_session(&changes)
            && (founding.token.is_none() || self.has_room_for_token(&record, &changes));
        if !has_room {
            return Decided::full(changes);
        }
        let (id, generation) = (record.id, record.generation);
        changes.push(Change::Founded { record, seen_at: now });
        if let Some(token) = &founding.token {
            let token = Arc::new(Token { generation, ..token.clone() });
            changes.push(Change::Minted { token });
        }
        Decided::after(changes, move |live| live.opened(id).map_or(Created::Closed, Created::New))
    }

    /// Whether one more session may be created after `swept`. A swept session becomes a tombstone.
    fn has_room_for_session(&self, swept: &[Change]) -> bool {
        let count = |is: fn(&Change) -> bool| swept.iter().filter(|change| is(change)).count();
        let ending = count(|change| matches!(change, Change::Ended { .. }));
        let displaced = count(|change| matches!(change, Change::Displaced { .. }));
        let ended = self.sessions.len() - self.index.ids.len() + ending;
        !self.low
            && self.index.ids.len() < self.config.sessions_max + ending + displaced
            && ended <= self.config.others_max()
    }

    pub(crate) fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: &Patch,
    ) -> Decided {
        let living = match self.under(id, now, right) {
            Checked::Done(living) => living,
            Checked::Gone => return Decided::with(self.noticed(id, now), Patched::Gone),
            Checked::Replaced => return Decided::only(Patched::Replaced),
        };
        match patch.apply(&living.record) {
            Ok(next) => {
                let mut changes = self.growing(&next);
                changes.extend(self.patching(now, id, patch));
                Decided::after(changes, move |live| {
                    live.opened(id).map_or(Patched::Gone, Patched::Done)
                })
            }
            Err(PatchRefused::Conflict) => Decided::only(Patched::Conflict(living.opened())),
            Err(PatchRefused::TooLarge) => Decided::only(Patched::TooLarge),
        }
    }

    /// The guests to evict for a session that has grown to this size.
    pub(super) fn growing(&self, record: &Record) -> Vec<Change> {
        self.displacing(&Wanted { record, is_new: false }, &[])
    }

    /// The changes of an accepted patch; none if the patch is empty.
    pub(super) fn patching(&self, now: Timestamp, id: SessionId, patch: &Patch) -> Vec<Change> {
        if patch.is_empty() {
            return Vec::new();
        }
        let accepted = Patch { expect: None, expect_access: None, ..patch.clone() };
        let mut changes = vec![Change::Patched { id, patch: accepted }];
        if patch.rotate.is_some() {
            let mark = ClaimMark::by_sign_in(now);
            let digests = self.tokens_of.get(&id).into_iter().flatten();
            changes.extend(digests.map(|token| Change::Claimed { token: *token, mark }));
        }
        changes
    }

    /// Revokes every unspent token of a session but one.
    pub(super) fn dropping(&self, id: SessionId, spared: Digest) -> Vec<Change> {
        let digests = self.tokens_of.get(&id).into_iter().flatten();
        digests
            .filter(|digest| **digest != spared)
            .map(|digest| Change::Dropped { token: *digest })
            .collect()
    }

    pub(crate) fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Decided {
        self.checked(now, id, right, |living| {
            let held = living.record.devices.iter().any(|held| held.id == device);
            (held.then_some(Change::Left { id, device }), held)
        })
    }

    pub(crate) fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Decided {
        self.checked(now, id, right, |_| (Some(Change::Ended { id, at: now }), ()))
    }

    pub(crate) fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Decided {
        self.checked(now, id, right, |living| (None, living.opened()))
    }

    /// The result of an operation with no further condition on the session.
    fn checked<T>(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        does: impl FnOnce(&Living) -> (Option<Change>, T),
    ) -> Decided
    where
        StoreReply: From<Checked<T>>,
    {
        match self.under(id, now, right) {
            Checked::Done(living) => {
                let (change, result) = does(living);
                Decided::with(change.into_iter().collect(), Checked::Done(result))
            }
            Checked::Gone => Decided::with(self.noticed(id, now), Checked::<T>::Gone),
            Checked::Replaced => Decided::only(Checked::<T>::Replaced),
        }
    }

    pub(crate) fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Decided {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.index.ids.range((from, Bound::Unbounded));
        let page = ids.filter_map(|id| self.living(*id, now)).map(Living::opened).take(at_most);
        Decided::only(page.collect::<Vec<_>>())
    }
}

impl Living {
    /// Counts the session as used.
    ///
    /// The use is recorded once half of the lag has passed. The other half covers the time that
    /// the change takes to become durable.
    fn touch(&self, now: Timestamp) -> Change {
        let id = self.record.id;
        if now.since(self.saved_at) >= self.record.lifetime.touch_lag() / 2 {
            Change::Seen { id, at: now }
        } else {
            Change::Touched { id, at: now }
        }
    }
}

/// The result of a create that finds the session present.
fn meet(living: &Living, founder: &Record) -> Created {
    let known = founder
        .devices
        .first()
        .is_some_and(|device| living.record.device(&device.digest).is_some());
    if known { Created::Met(living.opened()) } else { Created::Replaced }
}
